package dlq

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/time/rate"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// MaxRedrives is how often a message is brought back by default: what fails for
// the fourth time needs a person.
const MaxRedrives = 3

// Redrive brings messages back to a subscription's queue. It is used once, and
// by one goroutine.
type Redrive struct {
	API API
	To  string // the URL of the subscription's queue
	// Picker picks the messages. Its history also tells when a message failed first.
	Picker
	// MaxRedrives is how often a message may have been brought back before; one that
	// was oftener stays.
	MaxRedrives int
	// Rate is how many messages to move a second; 0 is as fast as it goes.
	Rate float64
	// Change changes a message before it is moved; one for which it fails stays. nil
	// changes nothing.
	Change func(*Message) error
	// DryRun moves nothing: Would gathers what would be moved.
	DryRun bool
	// Journal is nil for a dry run, and for messages that are in no DLQ any more.
	Journal *Journal
	Result

	limiter *rate.Limiter
	sentIDs []string // of the last visit, whose messages are deleted by now
}

// Result is what a redrive has done.
type Result struct {
	Moved int `json:"moved"`
	// MovedTwice is how many of them an interrupted redrive may have moved before.
	MovedTwice int `json:"movedTwice"`
	// Cleared is how many messages were only deleted, since an interrupted redrive
	// had moved them.
	Cleared   int `json:"cleared"`
	TooOften  int `json:"tooOften"`  // brought back too often before
	Unchanged int `json:"unchanged"` // could not be changed as wanted
	Refused   int `json:"refused"`   // SQS did not take them
	// Would is what a dry run would move, without attributes and bodies.
	Would []Failure `json:"-"`
}

// Chunk is how many messages Visit is to be given at once.
func (r *Redrive) Chunk() int {
	const most = 10 * maxBatch
	if r.Rate == 0 {
		return most
	}
	return min(max(int(r.Rate/2), 1), most) // some twice a second
}

// Visit moves what it is to move: a [Visit] for [Queue.Walk].
func (r *Redrive) Visit(ctx context.Context, batch []*Message) (done []*Message, err error) {
	if r.Journal != nil {
		r.Journal.gone(r.sentIDs)
		r.sentIDs = nil
	}
	chosen, done, err := r.choose(ctx, batch)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		r.Would = append(r.Would, r.summaries(chosen)...)
		return nil, nil
	}
	moved, err := r.move(ctx, chosen)
	done = append(done, moved...)
	for _, m := range done {
		r.sentIDs = append(r.sentIDs, m.ID)
	}
	return done, err
}

// choose returns the messages that are to be moved, as they are to be sent, and
// those that were sent before.
func (r *Redrive) choose(ctx context.Context, batch []*Message) (chosen, cleared []*Message, err error) {
	var left []*Message
	for _, m := range batch {
		if r.Journal != nil && r.Journal.sentBefore(m.ID) {
			cleared = append(cleared, m)
			continue
		}
		left = append(left, m)
	}
	r.Cleared += len(cleared)
	picked, err := r.Pick(ctx, left)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range picked {
		switch {
		case m.Redrives() >= r.MaxRedrives:
			r.TooOften++
			r.note("left, since it was brought back often enough: event %s", eventOf(m))
		case m.Queue == Undelivered && !m.IsEvent():
			r.Unchanged++
			r.note("left, since it holds no event as the queue has them: message %s", m.ID)
		default:
			if err := r.change(m); err != nil {
				r.Unchanged++
				r.note("left: event %s: %v", eventOf(m), err)
				continue
			}
			chosen = append(chosen, m)
		}
	}
	return chosen, cleared, nil
}

func (r *Redrive) change(m *Message) error {
	if r.Change == nil {
		return nil
	}
	return r.Change(m)
}

// eventOf names a message for people.
func eventOf(m *Message) string {
	if m.Metadata.ID == "" {
		return "(none) in message " + m.ID
	}
	return m.Metadata.ID
}

// move sends messages, and returns those that SQS has taken.
func (r *Redrive) move(ctx context.Context, messages []*Message) (moved []*Message, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	if err := r.wait(ctx, len(messages)); err != nil {
		return nil, err
	}
	ids := make([]string, len(messages))
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	twice := make([]bool, len(messages))
	for i, m := range messages {
		ids[i], entries[i] = m.ID, r.entry(m)
		twice[i] = r.Journal != nil && r.Journal.perhapsBefore(m.ID)
	}
	if r.Journal != nil {
		if err := r.Journal.begin(ids); err != nil {
			return nil, err
		}
	}
	var took []string
	var broken error
	for i, sendErr := range send(ctx, r.API, r.To, entries) {
		if sendErr != nil {
			r.Refused++
			r.note("left, since SQS did not take it: event %s: %v", eventOf(messages[i]), sendErr)
			if _, alone := errors.AsType[*refusal](sendErr); !alone {
				broken = sendErr // the others would not fare better
			}
			continue
		}
		took = append(took, ids[i])
		moved = append(moved, messages[i])
		if twice[i] {
			r.MovedTwice++
		}
	}
	r.Moved += len(moved)
	if r.Journal != nil {
		err = r.Journal.took(took) // of the others SQS may have taken some whose answer was lost
	}
	return moved, errors.Join(broken, err)
}

// wait waits until the rate allows n messages more.
func (r *Redrive) wait(ctx context.Context, n int) error {
	if r.Rate == 0 {
		return ctx.Err()
	}
	if r.limiter == nil {
		r.limiter = rate.NewLimiter(rate.Limit(r.Rate), r.Chunk())
		r.limiter.ReserveN(time.Now(), r.Chunk()-1) // no burst at first
	}
	return r.limiter.WaitN(ctx, n)
}

// entry is a message as it is sent to the subscription's queue: without what
// tells of its failure.
func (r *Redrive) entry(m *Message) types.SendMessageBatchRequestEntry {
	attributes := maps.Clone(m.Attributes)
	if attributes == nil {
		attributes = map[string]types.MessageAttributeValue{}
	}
	for _, name := range slices.Concat(queue.OfFailure, eventBridgeAttributes) {
		delete(attributes, name)
	}
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	attributes[queue.Redrives] = text(strconv.Itoa(m.Redrives() + 1))
	if at := firstFailed(m, r.History); !at.IsZero() {
		attributes[queue.FirstFailed] = text(at.Format(time.RFC3339Nano))
	}
	e := types.SendMessageBatchRequestEntry{MessageBody: &m.Body, MessageAttributes: attributes}
	if m.GroupID != "" {
		e.MessageGroupId = &m.GroupID
	}
	if m.TraceHeader != "" {
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &m.TraceHeader},
		}
	}
	return e
}
