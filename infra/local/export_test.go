package local

// EndMinute has CloudWatch end its minute, and evaluate the alarms, now.
func (e *Environment) EndMinute() { e.cloudwatch.EndMinute() }

// FailedInvokes is how many events a mapping has counted as failed.
func (e *Environment) FailedInvokes(uuid string) (uint64, error) {
	m, err := e.lambda.Mapping(uuid)
	return m.Counters.FailedInvoke, err
}
