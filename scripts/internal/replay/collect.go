package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

// Collect reads events of the archive that match an event pattern, of the times from
// from to to, for a trace of the event id: by a replay to a temporary rule and queue,
// so that no subscription sees them. take is given each as EventBridge delivers it, by
// one goroutine, some perhaps twice. What Collect makes it removes, or Sweep does.
func (c *Client) Collect(ctx context.Context, id, eventPattern string, from, to time.Time, take func(body string)) (err error) {
	name := c.newName(false)
	text, err := restricted(eventPattern, name)
	if err != nil {
		return err
	}
	const age = time.Hour // of what a kill leaves
	t := c.taps.Tap(tap.NewLabel(c.target.Names.Bus(), age), name)
	defer func() { err = errors.Join(err, t.Remove(context.WithoutCancel(ctx))) }()
	if err := t.Make(ctx, tap.Spec{Pattern: text, Retention: age}); err != nil {
		return err
	}
	if err := pause(ctx, c.times.rule); err != nil {
		return err
	}
	if err := c.startFor(ctx, name, from, to, t.RuleARN(), description{Trace: id}); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	group, working := errgroup.WithContext(working)
	f := newForwarder(c.taps.Queues, t.URL, "", 0)
	group.Go(func() error {
		for working.Err() == nil {
			out, err := f.queues.ReceiveMessage(working, &sqs.ReceiveMessageInput{QueueUrl: &t.URL, MaxNumberOfMessages: batch, WaitTimeSeconds: 1})
			if err != nil && working.Err() == nil {
				return err
			}
			if err != nil {
				return nil
			}
			for _, m := range out.Messages {
				take(aws.ToString(m.Body))
			}
			if err := f.delete(working, out.Messages); err != nil {
				return err
			}
		}
		return nil
	})
	var last *Status
	group.Go(func() error {
		defer stop()
		return c.untilEmpty(working, t, func(s *Status) { last = s })
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if last.State != Completed {
		return fmt.Errorf("the replay %s is %s: %s", name, last.State, last.Reason)
	}
	return nil
}
