package lambda

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Lambda itself acts as the function's role, too: its pollers read queues and
// streams, and what a program prints is written to its log group.

// may asks whether a function's role may do something.
func (l *Lambda) may(f *function, a awswire.Access) error {
	if l.cfg.Roles == nil {
		return nil
	}
	p, err := l.cfg.Roles.Principal(f.Credentials.AccessKeyID)
	if err != nil || p == nil {
		return err
	}
	return p.Authorize(a)
}

// What a role needs of a mapping's source ("Creating and configuring an Amazon
// SQS event source mapping" and "Process DynamoDB records with Lambda",
// execution role permissions).
var (
	queueActions  = []string{"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"}
	streamActions = []string{"GetRecords", "GetShardIterator", "DescribeStream", "ListStreams"}
)

// mayUse asks whether a function's role may perform an action on a mapping's
// source.
func (l *Lambda) mayUse(f *function, action, sourceARN string) error {
	if strings.Contains(sourceARN, ":sqs:") {
		return l.may(f, awswire.Access{Action: "sqs:" + action, Resource: sourceARN, Policy: l.cfg.Queues.Policy(sourceARN)})
	}
	return l.may(f, awswire.Access{Action: "dynamodb:" + action, Resource: sourceARN})
}

// checkSource checks that a mapping's function can take what its source gives.
func (l *Lambda) checkSource(spec *Mapping, f *function) error {
	if f == nil {
		return nil
	}
	if err := l.checkRole(spec, f); err != nil {
		return err
	}
	return l.checkVisibility(spec, f)
}

// checkRole checks that a function's role may read a mapping's source. The
// denial stands in the error in brackets.
func (l *Lambda) checkRole(spec *Mapping, f *function) error {
	if spec.isQueue() {
		for _, action := range queueActions {
			if err := l.mayUse(f, action, spec.SourceARN); err != nil {
				return invalid("The function execution role does not have permissions to call %s on SQS (%v)", action, err)
			}
		}
		return nil
	}
	for _, action := range streamActions {
		if err := l.mayUse(f, action, spec.SourceARN); err != nil {
			return invalid("Cannot access stream %s. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions on your stream in DynamoDB. (%v)", spec.SourceARN, err)
		}
	}
	if spec.OnFailure != "" {
		if err := l.mayUse(f, "SendMessage", spec.OnFailure); err != nil {
			return invalid("The function execution role does not have permissions to call SendMessage on %s (%v)", spec.OnFailure, err)
		}
	}
	return nil
}

// permitted reports whether the mapping's function may still perform an action on
// the source. While it may not, polling fails, and is tried again every second.
func (m *mapping) permitted(ctx context.Context, action string) bool {
	f, err := m.l.find(m.function, "")
	if err == nil {
		err = m.l.mayUse(f, action, m.source)
	}
	if err == nil {
		m.denied.Store(false)
		return true
	}
	if !m.denied.Swap(true) {
		m.l.cfg.Logger.Error("a mapping cannot poll until the role of its function allows it", "function", m.function, "source", m.source, "error", err)
	}
	pause(ctx, time.Second)
	return false
}

// roleLogs writes what a program prints as far as the function's role may: where
// it may not, the lines are lost, as on AWS. It is used by one goroutine.
type roleLogs struct {
	l               *Lambda
	f               *function
	created, denied bool
}

// Append implements [LogWriter].
func (r *roleLogs) Append(group, stream, message string) {
	if err := r.may(group, stream); err != nil {
		if !r.denied {
			r.l.cfg.Logger.Error("what a function prints is lost: its role may not write to its log group", "function", r.f.Name, "error", err)
		}
		r.denied = true
		return
	}
	r.l.cfg.Logs.Append(group, stream, message)
}

func (r *roleLogs) may(group, stream string) error {
	resource := fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s:log-stream:%s", r.l.cfg.Region, r.l.cfg.Account, group, stream)
	if !r.created {
		if err := r.l.may(r.f, awswire.Access{Action: "logs:CreateLogStream", Resource: resource}); err != nil {
			return err
		}
		r.created = true
	}
	return r.l.may(r.f, awswire.Access{Action: "logs:PutLogEvents", Resource: resource})
}
