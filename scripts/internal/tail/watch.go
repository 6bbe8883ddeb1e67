package tail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

const (
	// receivers is how many receive at once. A call brings 10 events at most
	// ("ReceiveMessage", Amazon SQS API reference) and needs another to delete
	// them: at 100 ms a call, 24 bring 1,200 events a second.
	receivers = 24

	// longPoll is how long a call waits for an event, in seconds: the longest
	// that SQS takes.
	longPoll = 20

	// callSlack is what a call may need beyond its waiting. After that its
	// connection counts as lost: one that a sleeping laptop had says nothing.
	callSlack = 10 * time.Second

	// The waits before trying again grow from the first to the last.
	firstWait = 250 * time.Millisecond
	lastWait  = 5 * time.Second

	// settling is how long a new queue may not exist everywhere ("CreateQueue":
	// at least one second).
	settling = 3 * time.Second
)

// pipe is a tap that is received from.
type pipe struct {
	*tap.Tap
	// receiving does not retry: a tail does so itself, and says so.
	receiving *sqs.Client
}

func newPipe(cfg aws.Config, t *tap.Tap) *pipe {
	return &pipe{t, sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })}
}

// errGone ends a session whose queue somebody has removed.
var errGone = errors.New("the queue is gone")

// watch receives and shows events until something ends it, and returns what.
func (t *Tail) watch(ctx context.Context, p *pipe, shown *shown) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)

	events := make(chan Event, 10*receivers)
	l := &link{note: t.note}
	for range receivers {
		running.Go(func() {
			// A panic here would end the program before anything is removed.
			defer func() {
				if r := recover(); r != nil {
					cancel(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
				}
			}()
			cancel(p.receive(ctx, l, events))
		})
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-events:
			if err := shown.show(e); err != nil {
				return err
			}
		}
	}
}

// receive receives until ctx ends or there is no use in going on; the error
// says why.
func (p *pipe) receive(ctx context.Context, l *link, events chan<- Event) error {
	transient := retry.NewStandard()
	wait := firstWait
	for poll := longPoll; ; {
		messages, err := p.poll(ctx, poll)
		var gone *sqstypes.QueueDoesNotExist
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			l.works()
			poll, wait = longPoll, firstWait
		case errors.As(err, &gone) && time.Since(p.Made) > settling:
			return errGone
		case errors.As(err, &gone), errors.Is(err, context.DeadlineExceeded), transient.IsErrorRetryable(err):
			l.fails(err)
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(wait/2 + rand.N(wait)):
			}
			// The next call answers soon, so that one knows that it works again.
			poll, wait = 1, min(2*wait, lastWait)
			continue
		default:
			return fmt.Errorf("receiving from queue %s: %w", p.Name, err)
		}
		for _, m := range messages {
			e, err := Decode([]byte(aws.ToString(m.Body)))
			if err != nil {
				l.note("a message in queue %s is not an event: %v", p.Name, err)
				continue
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		p.delete(ctx, messages)
	}
}

// poll receives up to 10 messages, and waits for the first of them.
func (p *pipe) poll(ctx context.Context, seconds int) ([]sqstypes.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+callSlack)
	defer cancel()
	out, err := p.receiving.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &p.URL, MaxNumberOfMessages: 10, WaitTimeSeconds: int32(seconds)})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// delete takes messages from the queue. One that it fails for comes again, and
// is not shown again.
func (p *pipe) delete(ctx context.Context, messages []sqstypes.Message) {
	if len(messages) == 0 {
		return
	}
	entries := make([]sqstypes.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	_, _ = p.Queues.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &p.URL, Entries: entries})
}

// link says once that the connection is lost, and once that it is back, however
// many receivers find out.
type link struct {
	note func(format string, args ...any)
	mu   sync.Mutex
	lost bool
}

func (l *link) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost {
		l.lost = true
		l.note("the connection is lost: %s; trying again", cli.Brief(err))
	}
}

func (l *link) works() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		l.lost = false
		l.note("connected again")
	}
}
