package localcrash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// messageLoad is the clients of a plain queue with a DLQ: they send, with and
// without delay, receive, delete, let messages come back, and redrive.
type messageLoad struct {
	load *load
	box  *mailbox // by body
}

func newMessageLoad(l *load) *messageLoad {
	return &messageLoad{l, newMailbox()}
}

func (m *messageLoad) steps() []func(context.Context, *rand.Rand) error {
	return []func(context.Context, *rand.Rand) error{m.send, m.receive, m.receive, m.redrive}
}

// mostWaiting bounds how many messages there are at a time.
const mostWaiting = 300

func (m *messageLoad) send(ctx context.Context, random *rand.Rand) error {
	waiting := 0
	m.box.all(func(_ string, one *message) {
		if one.acknowledged && one.deleted.IsZero() {
			waiting++
		}
	})
	if waiting > mostWaiting {
		rest(ctx, 50*time.Millisecond)
		return nil
	}
	var batch []types.SendMessageBatchRequestEntry
	for i := range 1 + random.IntN(10) {
		id := version(random)
		batch = append(batch, types.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(strings.Repeat(id, 1+random.IntN(20))), DelaySeconds: int32(random.IntN(3)),
		})
	}
	out, err := m.load.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: m.load.queueURL(queueName), Entries: batch})
	if err != nil {
		m.load.report.count(kindMessages, func(c *Counts) { c.CutOff += len(batch) })
		return err
	}
	for _, sent := range out.Successful {
		for _, e := range batch {
			if *e.Id == *sent.Id {
				m.box.with(*e.MessageBody, func(one *message) { one.acknowledged = true })
			}
		}
	}
	m.load.report.count(kindMessages, func(c *Counts) { c.Acknowledged += len(out.Successful) })
	if len(out.Failed) > 0 {
		m.load.report.refused(fmt.Errorf("sending a message: %s", aws.ToString(out.Failed[0].Message)))
	}
	return nil
}

func (m *messageLoad) receive(ctx context.Context, random *rand.Rand) error {
	got, err := m.take(ctx, queueName, 1)
	if err != nil {
		return err
	}
	var batch []types.DeleteMessageBatchRequestEntry
	for i, one := range got {
		switch draw := random.IntN(10); {
		case draw < 6:
			m.box.with(*one.Body, func(known *message) { known.triedDelete = true })
			batch = append(batch, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: one.ReceiptHandle})
		case draw < 7:
			m.box.with(*one.Body, func(known *message) { known.hiddenUntil = time.Time{} })
			if _, err := m.load.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
				QueueUrl: m.load.queueURL(queueName), ReceiptHandle: one.ReceiptHandle, VisibilityTimeout: int32(random.IntN(3))}); err != nil && !isBack(err) {
				return err
			}
		}
	}
	return m.remove(ctx, queueName, got, batch)
}

// isBack reports whether a change of a message's visibility came too late: it
// was not in flight any more.
func isBack(err error) bool {
	c := code(err)
	return strings.Contains(c, "MessageNotInflight") || strings.Contains(c, "ReceiptHandleIsInvalid") || c == "InvalidParameterValue"
}

// take receives messages and notes that they came.
func (m *messageLoad) take(ctx context.Context, queue string, wait int32) ([]types.Message, error) {
	asked := time.Now()
	out, err := m.load.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: m.load.queueURL(queue), MaxNumberOfMessages: 10, WaitTimeSeconds: wait})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, one := range out.Messages {
		m.box.with(*one.Body, func(known *message) {
			again := known.received > 0
			wrong := known.receive(asked, now)
			if wrong != "" {
				m.load.report.example("message %.17s %s", *one.Body, wrong)
			}
			m.load.report.count(kindMessages, func(c *Counts) {
				if wrong != "" {
					c.Reappeared++
				}
				if again {
					c.Duplicates++
				}
				if body := *one.Body; len(body)%17 != 0 || body != strings.Repeat(body[:17], len(body)/17) {
					c.Half++
				}
			})
		})
	}
	return out.Messages, nil
}

// remove deletes messages and notes which are.
func (m *messageLoad) remove(ctx context.Context, queue string, got []types.Message, batch []types.DeleteMessageBatchRequestEntry) error {
	if len(batch) == 0 {
		return nil
	}
	out, err := m.load.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: m.load.queueURL(queue), Entries: batch})
	if err != nil {
		return err
	}
	for _, done := range out.Successful {
		for i, one := range got {
			if *done.Id == fmt.Sprint(i) {
				m.box.with(*one.Body, func(known *message) { known.deleted = time.Now() })
			}
		}
	}
	return nil
}

// redrive moves what is in the DLQ back, now and then.
func (m *messageLoad) redrive(ctx context.Context, _ *rand.Rand) error {
	rest(ctx, time.Second)
	source := aws.String("arn:aws:sqs:" + m.load.aws.Region + ":" + account + ":" + deadLetters)
	_, err := m.load.sqs.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: source})
	if refused(err) && strings.Contains(err.Error(), "already a task running") { // the last one goes on
		return nil
	}
	return err
}

// runOut receives and deletes until both queues stay empty for longer than a
// message can be hidden, and looks for those that never came.
func (m *messageLoad) runOut(ctx context.Context) error {
	last := map[string]bool{} // what came now
	for quiet := time.Now(); time.Since(quiet) < (hidden+3)*time.Second; {
		for _, queue := range []string{queueName, deadLetters} {
			var got []types.Message
			err := insist(ctx, func() (err error) { got, err = m.take(ctx, queue, 1); return err })
			if err != nil {
				return err
			}
			var batch []types.DeleteMessageBatchRequestEntry
			for i, one := range got {
				last[*one.Body] = true
				quiet = time.Now()
				batch = append(batch, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: one.ReceiptHandle})
			}
			if err := insist(ctx, func() error { return m.remove(ctx, queue, got, batch) }); err != nil {
				return err
			}
		}
	}
	m.box.all(func(body string, one *message) {
		if !one.acknowledged {
			return
		}
		if last[body] || one.triedDelete && one.received > 0 {
			m.load.report.count(kindMessages, func(c *Counts) { c.Found++ })
			return
		}
		m.load.report.example("message %.17s is missing; it was received %d times", body, one.received)
		m.load.report.count(kindMessages, func(c *Counts) { c.Missing++ })
	})
	return nil
}
