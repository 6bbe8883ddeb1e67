package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
)

// watermillMover is Watermill's outbox: its SQL publisher in the transaction,
// and its Forwarder, which publishes what its SQL subscriber reads.
//
// A subscriber hands out the next message when the last is acknowledged, and a
// Forwarder acknowledges when the message is published; so a topic is moved
// message by message, whatever is read at a time. More than one topic has a
// Forwarder each, and the writer takes turns with them.
type watermillMover struct {
	pool   *pgxpool.Pool
	client eventbus.API
	topics []string
	schema wmsql.DefaultPostgreSQLSchema
}

func newWatermill(ctx context.Context, pool *pgxpool.Pool, client eventbus.API, topics int) (*watermillMover, error) {
	w := &watermillMover{pool: pool, client: client, schema: wmsql.DefaultPostgreSQLSchema{SubscribeBatchSize: 500}}
	for i := range topics {
		topic := fmt.Sprintf("outbox_%d_of_%d", i+1, topics)
		w.topics = append(w.topics, topic)
		s, err := w.subscriber()
		if err != nil {
			return nil, err
		}
		if err := s.SubscribeInitialize(topic); err != nil {
			return nil, err
		}
		if err := s.Close(); err != nil {
			return nil, err
		}
	}
	return w, ctx.Err()
}

func (w *watermillMover) subscriber() (*wmsql.Subscriber, error) {
	return wmsql.NewSubscriber(wmsql.BeginnerFromPgx(w.pool), wmsql.SubscriberConfig{
		SchemaAdapter:  w.schema,
		OffsetsAdapter: wmsql.DefaultPostgreSQLOffsetsAdapter{},
		PollInterval:   5 * time.Millisecond, // the default is 1 s
	}, watermill.NopLogger{})
}

func (w *watermillMover) enqueue(_ context.Context, tx pgx.Tx, batch []events.Envelope) error {
	publisher, err := wmsql.NewPublisher(wmsql.TxFromPgx(tx), wmsql.PublisherConfig{SchemaAdapter: w.schema}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	messages := make([][]*message.Message, len(w.topics))
	for i, e := range batch {
		entry, err := e.Entry()
		if err != nil {
			return err
		}
		messages[i%len(w.topics)] = append(messages[i%len(w.topics)], message.NewMessage(entry.ID, message.Payload(entry.Detail)))
	}
	for i, topic := range w.topics {
		if len(messages[i]) == 0 {
			continue
		}
		to := forwarder.NewPublisher(publisher, forwarder.PublisherConfig{ForwarderTopic: topic})
		if err := to.Publish(published{}.EventType().String(), messages[i]...); err != nil {
			return err
		}
	}
	return nil
}

func (w *watermillMover) run(ctx context.Context) error {
	ended := make(chan error, len(w.topics))
	for _, topic := range w.topics {
		go func() { ended <- w.forward(ctx, topic) }()
	}
	var err error
	for range w.topics {
		err = errors.Join(err, <-ended)
	}
	return err
}

// forward runs one Forwarder until ctx ends.
func (w *watermillMover) forward(ctx context.Context, topic string) error {
	s, err := w.subscriber()
	if err != nil {
		return err
	}
	f, err := forwarder.NewForwarder(s, toBus{w.client}, watermill.NopLogger{}, forwarder.Config{ForwarderTopic: topic})
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Run(ctx)
}

// reset drops what was moved before: the subscriber keeps it.
func (w *watermillMover) reset(ctx context.Context) error {
	for _, topic := range w.topics {
		if _, err := w.pool.Exec(ctx, "TRUNCATE "+w.schema.MessagesTable(topic)); err != nil {
			return err
		}
	}
	return nil
}

// toBus is the publisher for EventBridge that one would write for Watermill,
// which has none.
type toBus struct{ client eventbus.API }

// Publish implements [message.Publisher]. The topic is the event type.
func (p toBus) Publish(topic string, messages ...*message.Message) error {
	t, err := events.ParseType(topic)
	if err != nil {
		return err
	}
	for len(messages) > 0 {
		n := min(len(messages), 10)
		entries := make([]types.PutEventsRequestEntry, n)
		for i, m := range messages[:n] {
			entries[i] = types.PutEventsRequestEntry{
				EventBusName: aws.String(bus),
				Source:       aws.String(t.Source),
				DetailType:   aws.String(t.Name),
				Detail:       aws.String(string(m.Payload)),
			}
		}
		out, err := p.client.PutEvents(messages[0].Context(), &eventbridge.PutEventsInput{Entries: entries})
		if err != nil {
			return err
		}
		if out.FailedEntryCount > 0 {
			return errors.New("the bus refused an event")
		}
		messages = messages[n:]
	}
	return nil
}

// Close implements [message.Publisher].
func (toBus) Close() error { return nil }
