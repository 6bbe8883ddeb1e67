package localcrash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
)

// eventLoad is the clients of the bus. Every event goes to a queue of the
// campaign's, and to the function withdrawal-fee, whose effect is one item in
// the ledger. Half of them are published, and half committed with an item: then
// the outbox's relay, a function that reads the table's stream, publishes them.
type eventLoad struct {
	load   *load
	outbox *outboxdynamo.Outbox
	sent   *mailbox // events, by id: those that were published
	tx     *mailbox // and those that were committed, which have the item "tx/" + id
	queue  *mailbox // the messages of the campaign's queue, by message id
}

func newEventLoad(l *load) *eventLoad {
	config := outboxdynamo.Config{Table: l.names.Table("outbox"), MarksTable: l.names.Table("idempotency")}
	return &eventLoad{l, outboxdynamo.New(l.dynamodb, config), newMailbox(), newMailbox(), newMailbox()}
}

// prepare makes the secret that the function reads.
func (e *eventLoad) prepare(ctx context.Context) error {
	_, err := e.load.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String(e.load.names.Secret("core-api-token")), SecretString: aws.String("the token of the campaign")})
	return err
}

func (e *eventLoad) steps() []func(context.Context, *rand.Rand) error {
	return []func(context.Context, *rand.Rand) error{e.publish, e.commit, e.consume}
}

func withdrawal(random *rand.Rand) events.Event {
	return savings.SampleWithdrawal(func(w *savings.Withdrawal) {
		w.AccountID = fmt.Sprintf("ACC-%03d", random.IntN(50))
		w.Amount = float64(1 + random.IntN(1000))
	})
}

func (e *eventLoad) publish(ctx context.Context, random *rand.Rand) error {
	defer rest(ctx, 30*time.Millisecond)
	var batch []events.Event
	for range 1 + random.IntN(10) {
		batch = append(batch, withdrawal(random))
	}
	entries, err := events.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	for _, one := range entries { // it may arrive before the answer
		e.sent.with(one.ID, func(*message) {})
	}
	err = eventbus.New(e.load.events, e.load.names.Bus()).PutEntries(ctx, entries)
	failed := map[string]bool{}
	if partly, ok := errors.AsType[*events.PublishError](err); ok {
		for _, f := range partly.Failed {
			failed[f.ID] = true
		}
	}
	for _, one := range entries {
		e.sent.with(one.ID, func(m *message) { m.acknowledged = !failed[one.ID] })
	}
	e.load.report.count(kindEvents, func(c *Counts) {
		c.Acknowledged += len(entries) - len(failed)
		c.CutOff += len(failed)
	})
	return err
}

func (e *eventLoad) commit(ctx context.Context, random *rand.Rand) error {
	defer rest(ctx, 30*time.Millisecond)
	event := events.Stamp(ctx, withdrawal(random))
	e.tx.with(event.ID, func(*message) {})
	err := e.outbox.InTx(ctx, func(s *outboxdynamo.Session) error {
		if err := s.Write(types.TransactWriteItem{Put: &types.Put{TableName: aws.String(itemsTable), Item: itemOf("tx/"+event.ID, event.ID)}}); err != nil {
			return err
		}
		return s.PublishAfterCommit(ctx, event)
	})
	e.load.report.count(kindTransactions, func(c *Counts) {
		if err == nil {
			c.Acknowledged++
		} else {
			c.CutOff++
		}
	})
	if err == nil {
		e.tx.with(event.ID, func(m *message) { m.acknowledged = true })
	}
	return err
}

// consume receives what the rule has sent to the campaign's queue, and deletes
// it.
func (e *eventLoad) consume(ctx context.Context, _ *rand.Rand) error {
	client, url := e.load.sqs, e.load.queueURL(eventsQueue)
	asked := time.Now()
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	if err != nil {
		return err
	}
	now := time.Now()
	var batch []sqstypes.DeleteMessageBatchRequestEntry
	for _, one := range got.Messages {
		var event struct {
			Detail struct{ Metadata events.Metadata }
		}
		if err := json.Unmarshal([]byte(*one.Body), &event); err != nil {
			e.load.report.example("event %s is altered: %v", *one.MessageId, err)
			e.load.report.count(kindEvents, func(c *Counts) { c.Half++ })
		}
		e.queue.with(*one.MessageId, func(m *message) {
			if wrong := m.receive(asked, now); wrong != "" {
				e.load.report.example("event %s %s", event.Detail.Metadata.ID, wrong)
				e.load.report.count(kindEvents, func(c *Counts) { c.Reappeared++ })
			}
		})
		for _, box := range []*mailbox{e.sent, e.tx} {
			box.mu.Lock()
			if known := box.known[event.Detail.Metadata.ID]; known != nil { // or it is a fee's
				known.received++
			}
			box.mu.Unlock()
		}
		batch = append(batch, sqstypes.DeleteMessageBatchRequestEntry{Id: one.MessageId, ReceiptHandle: one.ReceiptHandle})
	}
	if len(batch) == 0 {
		return nil
	}
	out, err := client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: batch})
	if err != nil {
		return err
	}
	for _, done := range out.Successful {
		e.queue.with(*done.Id, func(m *message) { m.deleted = time.Now() })
	}
	return nil
}

// runsOutWithin is how long everything may take to arrive once no process is
// killed any more.
const runsOutWithin = 3 * time.Minute

// runOut waits until everything has arrived that was acknowledged, or the time
// is over, and counts.
func (e *eventLoad) runOut(ctx context.Context) error {
	if err := insist(ctx, func() error { return e.load.enable(ctx) }); err != nil {
		return err
	}
	var fees, items map[string]int
	quiet := time.Now() // since when nothing has come
	came := -1
	for began := time.Now(); time.Since(began) < e.load.within; {
		if err := insist(ctx, func() error { return e.consume(ctx, nil) }); err != nil {
			return err
		}
		n := 0
		for _, box := range []*mailbox{e.sent, e.tx} {
			box.all(func(_ string, m *message) { n += m.received })
		}
		if n != came {
			came, quiet = n, time.Now()
			continue
		}
		var err error
		if fees, err = e.scan(ctx, e.load.names.Table("ledger"), "withdrawalId", ""); err != nil {
			return err
		}
		if items, err = e.scan(ctx, itemsTable, "pk", "tx/"); err != nil {
			return err
		}
		waiting := e.waiting(fees, items)
		if waiting == 0 && time.Since(quiet) > (hidden+2)*time.Second {
			break
		}
		fmt.Fprintf(e.load.progress, "%d have not arrived\n", waiting)
		rest(ctx, time.Second)
	}
	e.reconcile(fees, items)
	return ctx.Err()
}

// waiting counts the acknowledged events, and those of transactions that have
// committed, that have not come to the queue or have no fee.
func (e *eventLoad) waiting(fees, items map[string]int) (n int) {
	e.sent.all(func(id string, m *message) {
		if m.acknowledged && m.received == 0 || m.received > 0 && fees[id] == 0 {
			n++
		}
	})
	e.tx.all(func(id string, m *message) {
		if (m.acknowledged || items["tx/"+id] > 0) && m.received == 0 || m.received > 0 && fees[id] == 0 {
			n++
		}
	})
	return n
}

// reconcile counts what has arrived, and what has not.
func (e *eventLoad) reconcile(fees, items map[string]int) {
	r := e.load.report
	effect := func(id string, m *message) {
		if m.received == 0 && fees[id] == 0 {
			return
		}
		if fees[id] == 0 {
			r.example("event %s has no fee", id)
		}
		r.count(kindEffects, func(c *Counts) {
			c.Acknowledged++
			switch {
			case fees[id] == 0:
				c.Missing++
			case fees[id] > 1: // its mark was lost
				c.Half++
			default:
				c.Found++
			}
		})
	}
	e.sent.all(func(id string, m *message) {
		effect(id, m)
		if m.acknowledged && m.received == 0 {
			r.example("event %s is missing", id)
		}
		r.count(kindEvents, func(c *Counts) {
			switch {
			case m.received > 0:
				c.Found++
				c.Duplicates += m.received - 1
			case m.acknowledged:
				c.Missing++
			}
		})
	})
	e.tx.all(func(id string, m *message) {
		effect(id, m)
		item, event := items["tx/"+id] > 0, m.received > 0
		wrong := item != event || m.acknowledged && !item
		if wrong {
			r.example("transaction %s: acknowledged %t, item %t, event %t", id, m.acknowledged, item, event)
		}
		r.count(kindTransactions, func(c *Counts) {
			switch {
			case item != event:
				c.Half++
			case wrong:
				c.Missing++
			case item:
				c.Found++
				c.Duplicates += m.received - 1
			}
		})
	})
}

// scan counts the values of a text attribute in a table, those with a prefix.
func (e *eventLoad) scan(ctx context.Context, table, attribute, prefix string) (map[string]int, error) {
	out := map[string]int{}
	in := &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true),
		ProjectionExpression: aws.String("#a"), ExpressionAttributeNames: map[string]string{"#a": attribute}}
	if prefix != "" {
		in.FilterExpression, in.ExpressionAttributeValues = aws.String("begins_with(#a, :p)"), item{":p": text(prefix)}
	}
	pages := dynamodb.NewScanPaginator(e.load.dynamodb, in)
	for pages.HasMorePages() {
		var page *dynamodb.ScanOutput
		err := insist(ctx, func() (err error) { page, err = pages.NextPage(ctx); return err })
		if err != nil {
			return nil, err
		}
		for _, one := range page.Items {
			if value, ok := one[attribute].(*types.AttributeValueMemberS); ok {
				out[value.Value]++
			}
		}
	}
	return out, nil
}
