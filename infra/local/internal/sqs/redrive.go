package sqs

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// redrive says where a message goes that was received too often: a queue's
// RedrivePolicy.
type redrive struct {
	target      string // the DLQ's ARN
	maxReceives int
}

func parseRedrive(value string) (*redrive, error) {
	var p struct {
		Target      string          `json:"deadLetterTargetArn"`
		MaxReceives json.RawMessage `json:"maxReceiveCount"` // a number, or one in quotes
	}
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return nil, awswire.Errorf("InvalidParameterValue", "RedrivePolicy: %v", err)
	}
	text := string(p.MaxReceives)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 || p.Target == "" {
		return nil, awswire.Errorf("InvalidParameterValue", "RedrivePolicy: want deadLetterTargetArn, and maxReceiveCount from 1 to 1000 (got %s)", value)
	}
	return &redrive{p.Target, n}, nil
}

// redriveAllow says which queues may have this one as their DLQ: a queue's
// RedriveAllowPolicy.
type redriveAllow struct {
	permission string // allowAll, denyAll or byQueue
	sources    []string
}

// maxRedriveSources is how many queues byQueue may name ("CreateQueue",
// Amazon SQS API reference).
const maxRedriveSources = 10

func parseRedriveAllow(value string) (*redriveAllow, error) {
	var p struct {
		Permission string   `json:"redrivePermission"`
		Sources    []string `json:"sourceQueueArns"`
	}
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return nil, awswire.Errorf("InvalidAttributeValue", "RedriveAllowPolicy: %v", err)
	}
	switch p.Permission {
	case "allowAll", "denyAll":
		if len(p.Sources) > 0 {
			return nil, awswire.Errorf("InvalidAttributeValue", "RedriveAllowPolicy: sourceQueueArns goes with redrivePermission byQueue only (got %s)", value)
		}
	case "byQueue":
		if n := len(p.Sources); n < 1 || n > maxRedriveSources {
			return nil, awswire.Errorf("InvalidAttributeValue", "RedriveAllowPolicy: redrivePermission byQueue wants 1 to %d sourceQueueArns (got %d); for more, allowAll", maxRedriveSources, n)
		}
	default:
		return nil, awswire.Errorf("InvalidAttributeValue", "RedriveAllowPolicy: redrivePermission: want allowAll, denyAll or byQueue (got %q)", p.Permission)
	}
	return &redriveAllow{p.Permission, p.Sources}, nil
}

func (a *redriveAllow) allows(sourceARN string) bool {
	return a == nil || a.permission == "allowAll" || a.permission == "byQueue" && slices.Contains(a.sources, sourceARN)
}

// checkRedrive checks, when queue name is given a redrive policy, that its DLQ
// exists and lets the queue use it. The caller holds the service's lock.
func (s *Service) checkRedrive(name string, r *redrive) error {
	if r == nil {
		return nil
	}
	dlq, ok := s.lookup(r.target)
	if !ok {
		return awswire.Errorf("InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist", r.target)
	}
	dlq.mu.Lock()
	allow := dlq.settings.allow
	dlq.mu.Unlock()
	if !allow.allows(s.ARN(name)) {
		return awswire.Errorf("InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: the RedriveAllowPolicy of queue %q (%s) does not let %s use it as its dead-letter queue",
			r.target, dlq.name, allow.permission, s.ARN(name))
	}
	return nil
}

// isDeadLetterQueue reports whether a queue's redrive policy names arn. The
// caller holds the service's lock.
func (s *Service) isDeadLetterQueue(arn string) bool {
	for _, q := range s.queues {
		q.mu.Lock()
		r := q.settings.redrive
		q.mu.Unlock()
		if r != nil && r.target == arn {
			return true
		}
	}
	return false
}
