package dlq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Walk says how to go through a queue.
type Walk struct {
	// Limit is how many messages to look at, at the most; 0 is all, as far as
	// [MaxHeld] allows.
	Limit int
	// Chunk is how many messages the visitor is given at once, at the most: 1 or
	// more.
	Chunk int
	// Patient has the walk wait for messages that are hidden, for 75 seconds at the
	// most: somebody else is looking at them, or was when he was killed.
	Patient bool
	// Note is told what a person who waits wants to know; nil is nobody.
	Note func(format string, args ...any)
}

// Visit is what a walk does with messages: it returns those that are done with,
// which are deleted. After an error nothing more is received; [ErrEnough] is none.
type Visit func(ctx context.Context, batch []*Message) (done []*Message, err error)

// ErrEnough is how a [Visit] says that it has seen all it wanted.
var ErrEnough = errors.New("enough was seen")

// Seen is what a walk has seen.
type Seen struct {
	Messages int // looked at
	Deleted  int
	Newer    int // of those looked at: sent after the queue was opened, and not visited
	// Unseen is about how many messages the queue still has that were not looked at;
	// Hidden is how many of them others are looking at.
	Unseen, Hidden int
	// Stopped says why not all was looked at; empty if all was.
	Stopped string
	// Lost is how many messages could not be given back: they come back by
	// themselves within a minute.
	Lost int
}

// receiveWait is how long a receive waits for messages, so that SQS asks all of
// its servers ("Amazon SQS short and long polling").
const receiveWait = time.Second

// patience is how long a patient walk waits for messages that are hidden: what a
// kill has left is visible before.
const patience = moreHide + 15*time.Second

// giveBackTimeout bounds the giving back of all messages: some 10,000 calls.
const giveBackTimeout = 2 * time.Minute

// Walk goes through the queue, and calls visit for what it sees. Messages that
// were sent after the queue was opened are not visited: they failed again, or
// anew. However it ends, what visit did not return is visible again.
func (q *Queue) Walk(ctx context.Context, w Walk, visit Visit) (seen Seen, err error) {
	h := newHeld(q)
	keeping, stopKeeping := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { h.keep(keeping) })
	defer func() {
		stopKeeping()
		keeper.Wait()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
		defer cancel()
		seen.Lost = h.giveBack(bounded)
	}()

	waitUntil := time.Time{}
	for {
		n := w.Chunk
		if w.Limit > 0 {
			n = min(n, w.Limit-seen.Messages)
		}
		n = min(n, MaxHeld-h.len())
		switch {
		case ctx.Err() != nil:
			return seen, context.Cause(ctx)
		case w.Limit > 0 && seen.Messages >= w.Limit:
			err = q.count(ctx, h, &seen, fmt.Sprintf("the limit of %d was reached", w.Limit))
			return seen, err
		case n <= 0:
			err = q.count(ctx, h, &seen, fmt.Sprintf("%d messages are held that were not picked, and SQS lets no more be", MaxHeld))
			return seen, err
		case !w.Patient && seen.Messages > 0 && seen.Messages >= q.Depth.Total():
			err = q.count(ctx, h, &seen, "")
			return seen, err
		}
		batch, err := q.receive(ctx, h, n)
		seen.Messages += len(batch)
		if len(batch) > 0 {
			waitUntil = time.Time{}
			stopped, visitErr := q.visit(ctx, h, &seen, batch, visit)
			if err == nil {
				err = visitErr
			}
			if err == nil && stopped {
				return seen, nil
			}
		}
		if err != nil {
			return seen, err
		}
		if len(batch) > 0 {
			continue
		}
		if err := q.count(ctx, h, &seen, ""); err != nil {
			return seen, err
		}
		if !w.Patient || seen.Hidden == 0 {
			return seen, nil
		}
		switch now := time.Now(); {
		case waitUntil.IsZero():
			waitUntil = now.Add(patience)
			if w.Note != nil {
				w.Note("%s: messages that are hidden, since somebody looks at them, or was killed meanwhile: %d (waiting for them, up to %v)", q.Name, seen.Hidden, patience)
			}
		case now.After(waitUntil):
			seen.Stopped = fmt.Sprintf("messages that stay hidden, since somebody else looks at them: %d", seen.Hidden)
			return seen, nil
		}
	}
}

// visit has a batch visited, and deletes what is done with. stopped says that
// enough was seen.
func (q *Queue) visit(ctx context.Context, h *held, seen *Seen, batch []*Message, visit Visit) (stopped bool, err error) {
	var old []*Message
	for _, m := range batch {
		// The clock of Opened goes by the second.
		if m.SentAt.After(q.Opened.Add(time.Second)) {
			seen.Newer++
			continue
		}
		old = append(old, m)
	}
	var done []*Message
	if len(old) > 0 {
		done, err = visit(ctx, old)
	}
	if errors.Is(err, ErrEnough) {
		stopped, err = true, nil
	}
	for i, deleteErr := range q.remove(ctx, done) {
		if deleteErr != nil {
			err = errors.Join(err, fmt.Errorf("deleting message %s: %w", done[i].ID, deleteErr))
			continue
		}
		h.forget(done[i])
		seen.Deleted++
	}
	return stopped, err
}

// count counts what was not looked at.
func (q *Queue) count(ctx context.Context, h *held, seen *Seen, stopped string) error {
	now, _, err := q.depth(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	seen.Hidden = max(now.Hidden-h.len(), 0)
	seen.Unseen = now.Visible + now.Delayed + seen.Hidden
	if seen.Unseen > 0 {
		seen.Stopped = stopped
	}
	return nil
}

// receive receives up to n messages, and holds them. It returns those that were
// not held before. What was received before an error is returned with it.
func (q *Queue) receive(ctx context.Context, h *held, n int) ([]*Message, error) {
	batch, err := q.receiveTen(ctx, h, min(n, maxBatch), receiveWait)
	if err != nil || len(batch) < maxBatch {
		return batch, err
	}
	// There are many.
	var (
		calls sync.WaitGroup
		mu    sync.Mutex
		slots = make(chan struct{}, parallel)
	)
	for n -= maxBatch; n > 0; n -= maxBatch {
		most := min(n, maxBatch)
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			more, moreErr := q.receiveTen(ctx, h, most, 0)
			mu.Lock()
			defer mu.Unlock()
			batch, err = append(batch, more...), errors.Join(err, moreErr)
		})
	}
	calls.Wait()
	return batch, err
}

func (q *Queue) receiveTen(ctx context.Context, h *held, n int, wait time.Duration) ([]*Message, error) {
	// A receive that were cut short would hide messages that nobody knows of.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	received := time.Now()
	out, err := q.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: int32(n), VisibilityTimeout: int32(firstHide / time.Second), WaitTimeSeconds: int32(wait / time.Second),
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, err
	}
	var batch []*Message
	for _, m := range out.Messages {
		one := q.newMessage(m)
		if h.add(one, received) {
			batch = append(batch, one)
		}
	}
	return batch, nil
}
