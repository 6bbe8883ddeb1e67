package eventbus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
)

// placed is the event type of these tests.
type placed struct {
	Order string `json:"order"`
}

func (placed) EventType() events.Type { return events.Type{Source: "shop", Name: "ORDER_PLACED"} }
func (placed) Schema() events.Event   { return placed{Order: "O-1"} }

// unencodable is an event that JSON cannot express.
type unencodable struct {
	placed
	Callback func()
}

// bus answers each entry as answer says; "" accepts it. attempt counts the
// sendings of an entry, from 1.
type bus struct {
	answer func(detail string, attempt int) (code string)
	err    error

	mu    sync.Mutex
	calls [][]string // the details of each call
	sent  map[string]int
}

func (b *bus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent == nil {
		b.sent = map[string]int{}
	}
	var call []string
	out := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}
	for i, e := range in.Entries {
		if e.Time != nil || *e.EventBusName != "shop-test" {
			return nil, fmt.Errorf("entry for bus %s with time %v", *e.EventBusName, e.Time)
		}
		call = append(call, *e.Detail)
		b.sent[*e.Detail]++
		if b.answer == nil {
			continue
		}
		if code := b.answer(*e.Detail, b.sent[*e.Detail]); code != "" {
			out.FailedEntryCount++
			out.Entries[i].ErrorCode = aws.String(code)
			out.Entries[i].ErrorMessage = aws.String("because")
		}
	}
	b.calls = append(b.calls, call)
	return out, b.err
}

// entries makes entries of the given detail sizes, whose details begin with
// their index.
func entries(sizes ...int) []events.Entry {
	out := make([]events.Entry, len(sizes))
	for i, n := range sizes {
		detail := fmt.Sprintf("%06d", i)
		detail += strings.Repeat("x", max(0, n-len(detail)))
		out[i] = events.Entry{ID: fmt.Sprint("id-", i), Type: placed{}.EventType(), Detail: []byte(detail)}
	}
	return out
}

func size(detail string) int { return len("shop") + len("ORDER_PLACED") + len(detail) }

func TestEntriesArePackedTightlyWithinBothLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(
			rapid.IntRange(6, 100),
			rapid.IntRange(6, 400_000),
			rapid.SampledFrom([]int{499_984, 499_985, 950_000}), // two of the first make 1,000,000
		), 0, 40).Draw(t, "sizes")
		all := entries(sizes...)
		b := &bus{}
		p := eventbus.New(b, "shop-test", eventbus.WithConcurrency(1))
		if err := p.PutEntries(context.Background(), all); err != nil {
			t.Fatal(err)
		}
		var sent []string
		for i, call := range b.calls {
			bytes := 0
			for _, d := range call {
				bytes += size(d)
			}
			if len(call) == 0 || len(call) > 10 || bytes >= 1_000_000 {
				t.Fatalf("call %d has %d entries and %d bytes", i, len(call), bytes)
			}
			if i+1 < len(b.calls) && len(call) < 10 && bytes+size(b.calls[i+1][0]) < 1_000_000 {
				t.Fatalf("the first of call %d would have fitted into the one before", i+1)
			}
			sent = append(sent, call...)
		}
		for i, d := range sent {
			if d != string(all[i].Detail) {
				t.Fatalf("entry %d is not what was given", i)
			}
		}
		if len(sent) != len(all) {
			t.Fatalf("%d entries were sent of %d", len(sent), len(all))
		}
	})
}

func TestOnlyTheEntriesThatFailedForAMomentAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bus{answer: func(detail string, attempt int) string {
			switch {
			case detail == "000001" && attempt < 3:
				return "ThrottlingException"
			case detail == "000002" && attempt < 5:
				return "InternalFailure"
			}
			return ""
		}}
		if err := eventbus.New(b, "shop-test").PutEntries(t.Context(), entries(0, 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
		want := [][]string{
			{"000000", "000001", "000002", "000003"},
			{"000001", "000002"},
			{"000001", "000002"},
			{"000002"},
			{"000002"},
		}
		if !slices.EqualFunc(b.calls, want, slices.Equal) {
			t.Errorf("got %v, want %v", b.calls, want)
		}
	})
}

func failed(t *testing.T, err error) map[string]events.FailedEntry {
	t.Helper()
	var publish *events.PublishError
	if !errors.As(err, &publish) {
		t.Fatalf("got %v, want a PublishError", err)
	}
	byID := map[string]events.FailedEntry{}
	for _, f := range publish.Failed {
		byID[f.ID] = f
	}
	if len(byID) != len(publish.Failed) {
		t.Errorf("an event is named twice: %v", publish.Failed)
	}
	return byID
}

func TestAnEntryThatTheBusRefusesIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bus{answer: func(detail string, attempt int) string {
			return map[string]string{"000001": "MalformedDetail", "000002": "ThrottlingException"}[detail]
		}}
		got := failed(t, eventbus.New(b, "shop-test").PutEntries(t.Context(), entries(0, 0, 0)))
		if b.sent["000001"] != 1 || b.sent["000002"] != 5 {
			t.Errorf("sent %v", b.sent)
		}
		if f := got["id-1"]; f.Code != "MalformedDetail" || f.Retryable() || f.Err.Error() != "because" {
			t.Errorf("got %+v", f)
		}
		if f := got["id-2"]; f.Code != "ThrottlingException" || !f.Retryable() {
			t.Errorf("got %+v", f)
		}
		if len(got) != 2 {
			t.Errorf("failed: %v", got)
		}
	})
}

func TestACallThatFailsFailsItsEntriesAndNoOthers(t *testing.T) {
	b := &bus{}
	one := &flaky{bus: b, fail: 2, err: context.DeadlineExceeded}
	p := eventbus.New(one, "shop-test", eventbus.WithConcurrency(1))
	err := p.PutEntries(t.Context(), entries(make([]int, 25)...))
	got := failed(t, err)
	for i := range 25 {
		f, isFailed := got[fmt.Sprint("id-", i)]
		if second := i >= 10 && i < 20; isFailed != second {
			t.Errorf("entry %d: failed is %t", i, isFailed)
		}
		if isFailed && (f.Code != "RequestFailed" || !f.Retryable()) {
			t.Errorf("got %+v", f)
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not tell its cause", err)
	}
}

// flaky fails one call to the bus, counted from 1.
type flaky struct {
	*bus
	fail, calls int
	err         error
}

func (f *flaky) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, opts ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	if f.calls++; f.calls == f.fail {
		return nil, f.err
	}
	return f.bus.PutEvents(ctx, in, opts...)
}

func TestPublishingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		b := &bus{answer: func(string, int) string { return "ThrottlingException" }}
		got := failed(t, eventbus.New(b, "shop-test").PutEntries(ctx, entries(0)))
		if len(got) != 1 || b.sent["000000"] > 2 {
			t.Errorf("failed %v after %d attempts", got, b.sent["000000"])
		}
	})
}

func TestAnAnswerForFewerEntriesFailsTheOthers(t *testing.T) {
	got := failed(t, eventbus.New(short{}, "shop-test").PutEntries(t.Context(), entries(0, 0)))
	if f, ok := got["id-1"]; !ok || len(got) != 1 || f.Code != "NoAnswer" {
		t.Errorf("failed: %v", got)
	}
}

// short answers for the first entry alone.
type short struct{}

func (short) PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	return &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, 1)}, nil
}

func TestPublishSendsAStampedEvent(t *testing.T) {
	b := &bus{}
	p := eventbus.New(b, "shop-test")
	e := events.Stamp(t.Context(), placed{"O-1"})
	if err := p.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	entry, err := e.Entry()
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]string{{string(entry.Detail)}}; !slices.EqualFunc(b.calls, want, slices.Equal) {
		t.Errorf("got %v, want %v", b.calls, want)
	}
}

func TestABatchWithAnEventThatCannotBeEncodedIsNotSent(t *testing.T) {
	b := &bus{}
	err := eventbus.New(b, "shop-test").PublishBatch(t.Context(), []events.Event{placed{}, unencodable{}})
	if err == nil || len(b.calls) != 0 {
		t.Errorf("got %v after %d calls", err, len(b.calls))
	}
}

func TestClockAndIDsMayBeGiven(t *testing.T) {
	b := &bus{}
	p := eventbus.New(b, "shop-test", eventbus.WithStamper(events.Stamper{
		Now:   func() time.Time { return time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC) },
		NewID: func() string { return "id-1" },
	}))
	if err := p.Publish(t.Context(), placed{"O-9"}); err != nil {
		t.Fatal(err)
	}
	want := `{"metadata":{"id":"id-1","correlationId":"id-1","occurredAt":"2026-03-02T09:30:00Z"},"data":{"order":"O-9"}}`
	if len(b.calls) != 1 || b.calls[0][0] != want {
		t.Errorf("sent %v, want %s", b.calls, want)
	}
}
