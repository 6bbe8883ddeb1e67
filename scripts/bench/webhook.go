package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/storage"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/webhook"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

var webhooks = suite{"webhook", "Deliveries to functions on HTTP", []part{
	{"webhook_isolation", "ms from an event in its queue to the endpoint that has it, of 1,000 a second to 50 endpoints of which 5 hang: 99 of 100 of the other 45, none lost", isolation},
}}

// Of isolation: how many endpoints there are and hang, and of each function how
// many batches are delivered at once and how large they are, which are the defaults
// of a manifest.
const (
	endpoints           = 50
	hanging             = 5
	deliveriesASecond   = 1000
	deliveriesAtOnce    = 10
	deliveriesInABatch  = 10
	deliveriesPatience  = 30 * time.Second
	deliveriesLastAtMin = 2 // seconds
)

// isolation runs the library of functions on HTTP as Lambda does: each function has
// its queue, up to ten batches at once, and the payload that Lambda gives it. The
// endpoints are HTTP servers on loopback. What the services themselves take is not
// in it.
func isolation(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	minter, err := session.NewMinter(session.Environment{Name: "bench-local"}, session.NewKeys(inMemory(`{"seed":"`+rand.Text()+rand.Text()+`"}`), "keys"))
	if err != nil {
		return err
	}
	o := &observed{arrived: map[string]time.Time{}}
	released := make(chan struct{})
	var targets []*target
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel() // before it waits
	for i := range endpoints {
		t := &target{hangs: i < hanging, queue: make(chan queuedEvent, 100_000)}
		t.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			if t.hangs {
				select {
				case <-released:
				case <-r.Context().Done():
				}
				return
			}
			o.arrival(body)
		}))
		defer t.server.Close()
		name := fmt.Sprintf("hook-%d", i)
		d, err := webhook.New(webhook.Config{
			Function: name, URL: t.server.URL, Loopback: true, Secret: webhook.NewSecret(inMemory(webhook.NewVersion(time.Time{}).Text()), "secret"), Sessions: minter,
			Log: deliveries.Log{API: tableOfAll{}, Table: "deliveries"}, Attempts: map[string]int{"events": webhook.MaxAttempts},
		})
		if err != nil {
			return err
		}
		t.function = handler.New(handler.Records(d)).WithLogger(slog.New(slog.DiscardHandler)).WithNames(name, "bench-local-"+name).WithMetrics(io.Discard)
		for range deliveriesAtOnce {
			working.Go(func() { t.poll(ctx, name) })
		}
		targets = append(targets, t)
	}
	defer close(released)
	// Every connection is made before the clock counts.
	seconds := max(deliveriesLastAtMin, int(10*b.scale.round.Seconds()))
	counted, err := o.send(ctx, targets, seconds)
	if err != nil {
		return err
	}
	latencies, lost := o.await(counted)
	if lost > 0 {
		return fmt.Errorf("%d of %d deliveries to endpoints that answer were lost", lost, len(counted))
	}
	for _, t := range targets {
		if t.failed.Load() > 0 && !t.hangs {
			return fmt.Errorf("%d deliveries to an endpoint that answers failed", t.failed.Load())
		}
	}
	b.note("%d events in %d s; p50 %s, the slowest %s", len(counted), seconds, quantile(latencies, 0.5), slices.Max(latencies))
	b.report.add(
		result{Name: "webhook_isolation", Value: float64(quantile(latencies, 0.99).Microseconds()) / 1000, Unit: "ms", Goal: "< 500"},
		result{Name: "webhook_isolation_lost", Value: float64(lost), Unit: "events", Goal: "0"},
	)
	return nil
}

// target is an endpoint with the function that delivers to it.
type target struct {
	hangs    bool
	server   *httptest.Server
	function *handler.Function
	queue    chan queuedEvent
	failed   atomic.Int64
}

// queuedEvent is a message of the target's queue.
type queuedEvent struct {
	id   string
	body string
	sent time.Time
}

// poll takes batches from the queue and invokes the function, one at a time, as a
// poller of Lambda does.
func (t *target) poll(ctx context.Context, name string) {
	for {
		var batch []queuedEvent
		select {
		case <-ctx.Done():
			return
		case e := <-t.queue:
			batch = append(batch, e)
		}
	more:
		for len(batch) < deliveriesInABatch {
			select {
			case e := <-t.queue:
				batch = append(batch, e)
			default:
				break more
			}
		}
		answer, err := t.function.Invoke(ctx, payloadOf(name, batch))
		if err != nil || strings.Contains(string(answer), "itemIdentifier") {
			t.failed.Add(int64(len(batch)))
		}
	}
}

// payloadOf is a batch as Lambda hands it over.
func payloadOf(name string, batch []queuedEvent) []byte {
	records := make([]any, len(batch))
	for i, e := range batch {
		records[i] = map[string]any{
			"messageId": e.id, "receiptHandle": "", "body": e.body, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
			"eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench-local-" + name + "-events",
			"attributes":     map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(e.sent.UnixMilli())},
		}
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		panic(err) // texts are JSON
	}
	return payload
}

// observed knows when each event arrived at its endpoint.
type observed struct {
	mu      sync.Mutex
	arrived map[string]time.Time // by the event's id, the first time
}

func (o *observed) arrival(body []byte) {
	now := time.Now()
	var event struct{ ID string }
	if json.Unmarshal(body, &event) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.arrived[event.ID].IsZero() {
		o.arrived[event.ID] = now
	}
}

// send puts events into the queues, at an even rate, one endpoint after the other.
// It returns when each that is counted was put there: those of endpoints that
// answer, after a second in which connections are made.
func (o *observed) send(ctx context.Context, targets []*target, seconds int) (map[string]time.Time, error) {
	counted := map[string]time.Time{}
	origin := events.WithOrigin(ctx, events.Origin{UserID: "ann"})
	began := time.Now()
	for i := range (1 + seconds) * deliveriesASecond {
		due := began.Add(time.Duration(i) * time.Second / deliveriesASecond)
		if wait := time.Until(due); wait > 0 {
			pause(ctx, wait)
		}
		e := events.Stamp(origin, storage.SampleInsert())
		entry, err := e.Entry()
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(map[string]any{"source": entry.Type.Source, "detail-type": entry.Type.Name, "detail": json.RawMessage(entry.Detail)})
		if err != nil {
			return nil, err
		}
		t := targets[i%len(targets)]
		now := time.Now()
		if !t.hangs && i >= deliveriesASecond {
			counted[e.ID] = now
		}
		select {
		case t.queue <- queuedEvent{e.ID, string(body), now}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return counted, nil
}

// await waits until all that are counted have arrived, and returns how long each
// took, and how many never came.
func (o *observed) await(counted map[string]time.Time) (latencies []time.Duration, lost int) {
	for deadline := time.Now().Add(deliveriesPatience); ; time.Sleep(10 * time.Millisecond) {
		latencies, lost = latencies[:0], 0
		o.mu.Lock()
		for id, sent := range counted {
			if at := o.arrived[id]; at.IsZero() {
				lost++
			} else {
				latencies = append(latencies, at.Sub(sent))
			}
		}
		o.mu.Unlock()
		if lost == 0 || time.Now().After(deadline) {
			return latencies, lost
		}
	}
}

// inMemory is a Secrets Manager of one secret.
type inMemory string

func (s inMemory) GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	text := string(s)
	return &secretsmanager.GetSecretValueOutput{SecretString: &text}, nil
}

// tableOfAll is a DynamoDB that takes everything and keeps nothing.
type tableOfAll struct{ dynamodb.QueryAPIClient }

func (tableOfAll) BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	return &dynamodb.BatchWriteItemOutput{}, nil
}
