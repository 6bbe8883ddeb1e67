package sqs

import (
	"fmt"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// Attributes are a queue's attributes, by the names that the API gives them
// ("SetQueueAttributes", Amazon SQS API reference).
type Attributes map[string]string

func defaults() Attributes {
	return Attributes{
		"VisibilityTimeout":             "30",
		"DelaySeconds":                  "0",
		"MessageRetentionPeriod":        "345600", // 4 days
		"ReceiveMessageWaitTimeSeconds": "0",
		"MaximumMessageSize":            "1048576", // 1 MiB
		"SqsManagedSseEnabled":          "true",
	}
}

// settings are attributes in the form that the queue works with.
type settings struct {
	visibility time.Duration
	delay      time.Duration
	retention  time.Duration
	wait       time.Duration
	maxBytes   int
	redrive    *redrive
	allow      *redriveAllow // nil: any queue may use this one as its DLQ
	policy     *policy.Policy
}

// settings checks attributes against the ranges that SQS documents.
func (a Attributes) settings() (settings, error) {
	var s settings
	for name, value := range a {
		var err error
		switch name {
		case "VisibilityTimeout":
			s.visibility, err = a.seconds(name, 0, 43_200)
		case "DelaySeconds":
			s.delay, err = a.seconds(name, 0, 900)
		case "MessageRetentionPeriod":
			s.retention, err = a.seconds(name, 60, 1_209_600)
		case "ReceiveMessageWaitTimeSeconds":
			s.wait, err = a.seconds(name, 0, 20)
		case "MaximumMessageSize":
			s.maxBytes, err = a.integer(name, 1024, 1<<20)
		case "RedrivePolicy":
			s.redrive, err = parseRedrive(value)
		case "RedriveAllowPolicy":
			s.allow, err = parseRedriveAllow(value)
		case "Policy":
			s.policy, err = parsePolicy(value)
		case "SqsManagedSseEnabled":
			if value != "true" && value != "false" {
				err = awswire.Errorf("InvalidAttributeValue", "SqsManagedSseEnabled: want true or false (got %q)", value)
			}
		default:
			err = awswire.Errorf("InvalidAttributeName", "queue attribute %s is not supported by the local environment", name)
		}
		if err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

func (a Attributes) integer(name string, least, most int) (int, error) {
	n, err := strconv.Atoi(a[name])
	if err != nil || n < least || n > most {
		return 0, awswire.Errorf("InvalidAttributeValue", "Invalid value for the parameter %s: want %d to %d (got %q)", name, least, most, a[name])
	}
	return n, nil
}

func (a Attributes) seconds(name string, least, most int) (time.Duration, error) {
	n, err := a.integer(name, least, most)
	return time.Duration(n) * time.Second, err
}

// counts are the figures among a queue's attributes that change by themselves.
type counts struct {
	visible, inFlight, delayed int
}

// described returns every attribute of the queue, as GetQueueAttributes gives
// them.
func (q *queue) described() Attributes {
	q.touch(time.Now())
	saved := q.config()
	c := q.counts()
	out := Attributes{
		"QueueArn":                              q.service.ARN(q.name),
		"ApproximateNumberOfMessages":           fmt.Sprint(c.visible),
		"ApproximateNumberOfMessagesNotVisible": fmt.Sprint(c.inFlight),
		"ApproximateNumberOfMessagesDelayed":    fmt.Sprint(c.delayed),
		"CreatedTimestamp":                      fmt.Sprint(saved.CreatedAt.Unix()),
		"LastModifiedTimestamp":                 fmt.Sprint(saved.ModifiedAt.Unix()),
	}
	for k, v := range saved.Attributes {
		out[k] = v
	}
	return out
}
