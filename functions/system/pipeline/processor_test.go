package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/functions/pipeline"
)

// enrich calls a function for each trade's instrument, and emits what came of it.
const enrich = `[
	{"match": {"data.side": "BUY"}},
	{"externalFunction": {"functionName": "instruments", "as": "instrument", "onError": %q, "payload": [{"project": {"isin": "$data.instrument.isin"}}]}},
	{"emit": {"event": "trading/TRADE_ENRICHED", "data": {"tradeId": "$data.tradeId", "name": "$instrument.name"}}}
]`

const enriched = `{"title": "TradeEnriched", "x-code": 3000, "type": "object", "required": ["tradeId", "name"], "properties": {"tradeId": {"type": "string"}, "name": {"type": "string"}}}`

// deployed returns the processor of a pipeline, as its zip and variables make it,
// but for what touches the world.
func deployed(t *testing.T, stages string, invoker invokerFunc) (*processor, *bus) {
	t.Helper()
	zip := fstest.MapFS{
		"functions/enrich/function.json":             {Data: []byte(`{"name": "enrich", "publishes": ["trading/TRADE_ENRICHED"], "pipeline": ` + stages + `}`)},
		"schemas/trading/TRADE_ENRICHED.schema.json": {Data: []byte(enriched)},
	}
	p, err := newProcessor(zip, func(name string) string {
		return map[string]string{"PENSTOCK_FUNCTION": "enrich", "PENSTOCK_FUNCTIONS": `{"instruments": "shop-dev-instruments"}`}[name]
	}, aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{refuse: map[string]events.FailedEntry{}}
	p.effects.Invoker, p.bus = invoker, b
	return p, b
}

type invokerFunc func(ctx context.Context, c pipeline.Call) ([]byte, error)

func (f invokerFunc) Invoke(ctx context.Context, c pipeline.Call) ([]byte, error) { return f(ctx, c) }

// bus keeps what it is given, but for the trades that it refuses.
type bus struct {
	refuse map[string]events.FailedEntry // by trade

	mu      sync.Mutex
	calls   int
	entries []events.Entry
}

func (b *bus) PutEntries(_ context.Context, entries []events.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	var failed []events.FailedEntry
	for _, e := range entries {
		var detail struct{ Data struct{ TradeID string } }
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			return err
		}
		if f, ok := b.refuse[detail.Data.TradeID]; ok {
			f.ID, f.Type = e.ID, e.Type
			failed = append(failed, f)
			continue
		}
		b.entries = append(b.entries, e)
	}
	if failed != nil {
		return &events.PublishError{Failed: failed}
	}
	return nil
}

func trade(id string, side trading.Side) events.Event {
	return trading.SampleTradeExecuted(func(t *trading.TradeExecuted) { t.TradeID, t.Side = id, side })
}

func known(context.Context, pipeline.Call) ([]byte, error) { return []byte(`{"name": "SAP"}`), nil }

func TestWhatPassesIsPublishedOnceForTheBatchWithTheIdsOfItsSource(t *testing.T) {
	p, b := deployed(t, fmt.Sprintf(enrich, "fail"), known)
	f := handlertest.New(t, handler.Records(p)).With(handlertest.Named("enrich", "shop-dev-enrich"))
	origin := events.WithOrigin(t.Context(), events.Origin{CorrelationID: "corr-1", UserID: "ann"})
	first, second := events.Stamp(origin, trade("TRD-1", trading.SideBuy)), events.Stamp(origin, trade("TRD-2", trading.SideBuy))
	result := f.Send(first, events.Stamp(origin, trade("TRD-3", trading.SideSell)), second)
	result.RequireHandled()
	if b.calls != 1 || len(b.entries) != 2 {
		t.Fatalf("%d calls with %d entries, want one with 2", b.calls, len(b.entries))
	}
	for i, source := range []events.Envelope{first, second} {
		e := b.entries[i]
		enriched := events.Type{Source: "trading", Name: "TRADE_ENRICHED"}
		key := "enrich/subscription/" + source.ID
		if want := events.DeriveID(source.OccurredAt, key, enriched, 0); e.ID != want || e.Type != enriched {
			t.Errorf("published %s %s, want %s %s", e.Type, e.ID, enriched, want)
		}
		var detail struct {
			Metadata events.Metadata
			Data     json.RawMessage
		}
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			t.Fatal(err)
		}
		m := detail.Metadata
		if m.ID != e.ID || m.CorrelationID != "corr-1" || m.CausationID != source.ID || m.UserID != "ann" || m.Depth != 1 || m.Code != 3000 {
			t.Errorf("metadata %+v", m)
		}
		if want := fmt.Sprintf(`{"tradeId":"TRD-%d","name":"SAP"}`, i+1); string(detail.Data) != want {
			t.Errorf("data %s, want %s", detail.Data, want)
		}
	}
	outcomes := handlertest.Logged[struct{ Caused string }](result, "outcome")
	if want := "trading/TRADE_ENRICHED " + b.entries[0].ID; outcomes[0].Caused != want || outcomes[1].Caused != "" {
		t.Errorf("the outcome records say %q and %q, want %q and nothing", outcomes[0].Caused, outcomes[1].Caused, want)
	}
	f.With(handlertest.Received(2)).Send(first).RequireHandled()
	if again := b.entries[len(b.entries)-1]; again.ID != b.entries[0].ID {
		t.Errorf("delivered again, the event makes %s, and made %s", again.ID, b.entries[0].ID)
	}
}

func TestADeadDocumentGoesToTheDLQWithWhatIsKnownOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := deployed(t, fmt.Sprintf(enrich, "dlq"), func(context.Context, pipeline.Call) ([]byte, error) {
			return nil, &pipeline.FunctionError{Type: "NotFound", Message: "no such instrument"}
		})
		result := handlertest.New(t, handler.Records(p)).Send(trade("TRD-1", trading.SideBuy))
		result.RequireOutcomes("permanent")
		letter := result.Queue.Letters[0]
		const reason = "pipeline[1].externalFunction: function instruments: NotFound: no such instrument"
		if letter.Reason != reason || !strings.Contains(letter.Body, `"detail-type":"TRADE_EXECUTED"`) {
			t.Errorf("letter %q of %s", letter.Reason, letter.Body)
		}
		for name, want := range map[string]string{
			queue.Processor: "enrich", queue.Operator: "pipeline[1].externalFunction", queue.Time: time.Now().UTC().Format(time.RFC3339Nano),
		} {
			if got := letter.Attributes[name]; got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		var document struct{ Data trading.TradeExecuted }
		if err := json.Unmarshal([]byte(letter.Attributes[queue.Document]), &document); err != nil || document.Data.TradeID != "TRD-1" {
			t.Errorf("document %s: %v", letter.Attributes[queue.Document], err)
		}
		if b.calls != 0 {
			t.Error("something was published")
		}
	})
}

func TestAFailedDocumentComesBackAndAnIgnoredCallIsLogged(t *testing.T) {
	throttled := func(context.Context, pipeline.Call) ([]byte, error) { return nil, errors.New("TooManyRequests") }
	p, b := deployed(t, fmt.Sprintf(enrich, "fail"), throttled)
	result := handlertest.New(t, handler.Records(p)).Send(trade("TRD-1", trading.SideBuy))
	result.RequireOutcomes("failed")
	result.RequireReason(0, "calling function instruments: TooManyRequests")

	const note = `[{"externalFunction": {"functionName": "note", "execution": "async", "onError": "ignore"}}]`
	p, b = deployed(t, note, throttled)
	result = handlertest.New(t, handler.Records(p)).Send(trade("TRD-1", trading.SideBuy))
	result.RequireHandled()
	lines := handlertest.Logged[struct{ Reason string }](result, "a call failed, and is ignored")
	if len(lines) != 1 || !strings.Contains(lines[0].Reason, "pipeline[0].externalFunction: calling function note: TooManyRequests") {
		t.Errorf("logged %v", lines)
	}
	if b.calls != 0 {
		t.Error("something was published")
	}
}

// A document whose turn has not come has not failed: even on its last receive it
// does not go to the DLQ.
func TestWhatTimeRanOutForIsSentAfresh(t *testing.T) {
	t.Setenv("PENSTOCK_RETRIES", `{"subscription": {"maxReceiveCount": 1, "baseSeconds": 1, "capSeconds": 1}}`)
	synctest.Test(t, func(t *testing.T) {
		p, _ := deployed(t, fmt.Sprintf(enrich, "fail"), func(ctx context.Context, _ pipeline.Call) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		result := handlertest.New(t, handler.Records(p)).With(handlertest.Timeout(time.Minute)).Send(trade("TRD-1", trading.SideBuy), trade("TRD-2", trading.SideBuy))
		result.RequireOutcomes("failed", "failed")
		result.RequireReason(0, "deadline exceeded")
		if len(result.Queue.Sent) != 1 || !strings.Contains(result.Queue.Sent[0].Body, "TRD-2") {
			t.Errorf("sent afresh: %v, want TRD-2 alone", result.Queue.Sent)
		}
	})
}

func TestWhatTheBusDoesNotTakeFailsItsSourceAlone(t *testing.T) {
	p, b := deployed(t, fmt.Sprintf(enrich, "fail"), known)
	b.refuse["TRD-2"] = events.FailedEntry{Code: "ThrottlingException", Err: errors.New("rate exceeded")}
	result := handlertest.New(t, handler.Records(p)).Send(trade("TRD-1", trading.SideBuy), trade("TRD-2", trading.SideBuy))
	result.RequireOutcomes("handled", "failed")
	result.RequireReason(1, "ThrottlingException: rate exceeded")
}

func TestAnEventThatTheBusWillNeverTakeGoesToTheDLQ(t *testing.T) {
	for what, c := range map[string]struct{ answer, reason string }{
		"it violates its schema": {`{"name": 7}`, "name"},
		"it is too large":        {`{"name": "` + strings.Repeat("x", events.MaxEntryBytes) + `"}`, "the bus takes at most"},
	} {
		t.Run(what, func(t *testing.T) {
			p, b := deployed(t, fmt.Sprintf(enrich, "ignore"), func(context.Context, pipeline.Call) ([]byte, error) { return []byte(c.answer), nil })
			result := handlertest.New(t, handler.Records(p)).Send(trade("TRD-1", trading.SideBuy))
			result.RequireOutcomes("permanent")
			result.RequireReason(0, c.reason)
			if b.calls != 0 {
				t.Error("it was sent all the same")
			}
		})
	}
}

func TestAPipelineThatIsNotAsItWasDeployedDoesNotStart(t *testing.T) {
	manifest := func(text string) fstest.MapFS {
		return fstest.MapFS{"functions/enrich/function.json": {Data: []byte(text)}}
	}
	for want, c := range map[string]struct {
		zip       fstest.MapFS
		functions string
	}{
		"functions/enrich/function.json: file does not exist":                    {zip: fstest.MapFS{}},
		`pipeline[0]: unknown stage "mtach"`:                                     {zip: manifest(`{"pipeline": [{"mtach": {}}]}`)},
		"no event type \"trading/TRADE_ENRICHED\"":                               {zip: manifest(`{"publishes": ["trading/TRADE_ENRICHED"], "pipeline": [{"emit": {"event": "trading/TRADE_ENRICHED"}}]}`)},
		`PENSTOCK_FUNCTIONS is "[]", which the deployment makes of the manifest`: {zip: manifest(`{"pipeline": [{"match": {}}]}`), functions: "[]"},
	} {
		_, err := newProcessor(c.zip, func(name string) string {
			return map[string]string{"PENSTOCK_FUNCTION": "enrich", "PENSTOCK_FUNCTIONS": c.functions}[name]
		}, aws.Config{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
