package local

// EndMinute has CloudWatch end its minute, and evaluate the alarms, now.
func (e *Environment) EndMinute() { e.cloudwatch.EndMinute() }
