package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// eventBus records what is put on it, and asks whether that is allowed.
type eventBus struct {
	refuse error
	mu     sync.Mutex
	got    []recordedResult
}

type recordedResult struct {
	bus, source, detailType string
	resources               []string
	at                      time.Time
	detail                  struct {
		Version, Timestamp string
		RequestContext     struct {
			RequestID, FunctionArn, Condition string
			ApproximateInvokeCount            int
		}
		RequestPayload  json.RawMessage
		ResponseContext *struct {
			StatusCode                     int
			ExecutedVersion, FunctionError string
		}
		ResponsePayload json.RawMessage
	}
}

func (b *eventBus) PutEvent(ctx context.Context, busARN, source, detailType string, resources []string, detail []byte) error {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "events:PutEvents", Resource: busARN}); err != nil {
		return err
	}
	one := recordedResult{bus: busARN, source: source, detailType: detailType, resources: resources, at: time.Now()}
	if err := json.Unmarshal(detail, &one.detail); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse == nil {
		b.got = append(b.got, one)
	}
	return b.refuse
}

const (
	resultsBus  = "arn:aws:events:us-east-1:000000000000:event-bus/shop"
	functionARN = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"
)

// resultTest has an event taken by a function with destinations, and returns what
// its bus gets within a day, and what was logged.
func resultTest(t *testing.T, config EventInvokeConfig, edit func(*Function, *eventBus, *oneRole), answer func(n int) (*Result, error)) (got []recordedResult, a *attempts, log string) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		bus, role, f := &eventBus{}, &oneRole{}, Function{Name: "f", Program: program}
		l := newLambda(t, func(c *Config) {
			c.Destinations, c.Roles, c.Logger = bus, role, slog.New(slog.NewTextHandler(&said, nil))
		})
		a = &attempts{began: time.Now(), answer: answer}
		l.invokeAs = a.run
		if edit != nil {
			edit(&f, bus, role)
		}
		if err := l.CreateFunction(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		config.OnSuccess, config.OnFailure = resultsBus, resultsBus
		if err := l.EnsureEventInvokeConfig("f", config); err != nil {
			t.Fatal(err)
		}
		if bus.refuse != nil {
			role.deny()
		}
		if _, err := l.InvokeAsync("f", []byte(`{"n":1}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		got, log = bus.got, said.String()
		if n := waitingFor(t, l.cfg.Store, "f"); n != 0 {
			t.Errorf("%d events wait", n)
		}
	})
	return got, a, log
}

func failing(int) (*Result, error) {
	return &Result{FunctionError: unhandled, Payload: []byte(`{"errorMessage":"no"}`)}, nil
}

func TestTheResultOfAnEventGoesToTheBusOfItsFunction(t *testing.T) {
	got, a, _ := resultTest(t, EventInvokeConfig{}, nil, func(int) (*Result, error) { return &Result{Payload: []byte(`{"statusCode":500}`)}, nil })
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	r := got[0]
	if r.bus != resultsBus || r.source != "lambda" || r.detailType != "Lambda Function Invocation Result - Success" || !slices.Equal(r.resources, []string{functionARN, resultsBus}) {
		t.Errorf("the event is %+v", r)
	}
	d := r.detail
	if d.Version != "1.0" || d.Timestamp == "" || d.RequestContext.RequestID != a.ids[0] || d.RequestContext.FunctionArn != functionARN ||
		d.RequestContext.Condition != "Success" || d.RequestContext.ApproximateInvokeCount != 1 ||
		string(d.RequestPayload) != `{"n":1}` || string(d.ResponsePayload) != `{"statusCode":500}` ||
		d.ResponseContext == nil || d.ResponseContext.StatusCode != 200 || d.ResponseContext.ExecutedVersion != "$LATEST" || d.ResponseContext.FunctionError != "" {
		t.Errorf("the record is %+v", d)
	}
}

func TestWhatFailsForGoodIsTold(t *testing.T) {
	zero := 0
	for name, c := range map[string]struct {
		config    EventInvokeConfig
		edit      func(*Function, *eventBus, *oneRole)
		answer    func(int) (*Result, error)
		condition string
		count     int
		after     time.Duration
		response  string
	}{
		"after two retries":   {answer: failing, condition: "RetriesExhausted", count: 3, after: 3 * time.Minute, response: `{"errorMessage":"no"}`},
		"without retries":     {config: EventInvokeConfig{MaximumRetryAttempts: &zero}, answer: failing, condition: "RetriesExhausted", count: 1, response: `{"errorMessage":"no"}`},
		"too old for a retry": {config: EventInvokeConfig{MaximumEventAge: 90 * time.Second}, answer: failing, condition: "EventAgeExceeded", count: 2, after: 3 * time.Minute, response: `{"errorMessage":"no"}`},
		"throttled until it is too old": {config: EventInvokeConfig{MaximumEventAge: time.Minute}, answer: func(int) (*Result, error) { return nil, throttled("") },
			condition: "EventAgeExceeded", after: 63 * time.Second},
		"no concurrency is reserved": {edit: func(f *Function, _ *eventBus, _ *oneRole) { f.ReservedConcurrency = &zero }, condition: "ZeroReservedConcurrency"},
	} {
		t.Run(name, func(t *testing.T) {
			got, a, _ := resultTest(t, c.config, c.edit, c.answer)
			if len(got) != 1 {
				t.Fatalf("got %+v", got)
			}
			d := got[0].detail
			if got[0].detailType != "Lambda Function Invocation Result - Failure" || d.RequestContext.Condition != c.condition || d.RequestContext.ApproximateInvokeCount != c.count ||
				got[0].at.Sub(a.began) != c.after || string(d.ResponsePayload) != c.response || string(d.RequestPayload) != `{"n":1}` {
				t.Errorf("after %v: %+v, response %s", got[0].at.Sub(a.began), d, d.ResponsePayload)
			}
			if c.response != "" && (d.ResponseContext == nil || d.ResponseContext.FunctionError != "Unhandled") {
				t.Errorf("the response's context is %+v", d.ResponseContext)
			}
		})
	}
}

func TestAResultThatTheBusRefusesIsLostAndLogged(t *testing.T) {
	got, _, log := resultTest(t, EventInvokeConfig{}, func(_ *Function, b *eventBus, _ *oneRole) { b.refuse = errors.New("too large") },
		func(int) (*Result, error) { return &Result{Payload: []byte("null")}, nil })
	if len(got) != 0 || !strings.Contains(log, "the result of an asynchronous invocation is lost") || !strings.Contains(log, "too large") {
		t.Errorf("got %+v; logged %s", got, log)
	}
}

func TestResultsNeedThePermissionOfTheFunctionsRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, role := &eventBus{}, &oneRole{}
		l := newLambda(t, func(c *Config) { c.Destinations, c.Roles = bus, role })
		a := &attempts{began: time.Now(), answer: func(int) (*Result, error) { return &Result{Payload: []byte("null")}, nil }}
		l.invokeAs = a.run
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		config := EventInvokeConfig{OnSuccess: resultsBus}
		role.deny("events:PutEvents")
		if err := l.EnsureEventInvokeConfig("f", config); err == nil || !strings.Contains(err.Error(), "execution role does not have permissions to call PutEvents on "+resultsBus) {
			t.Errorf("got %v", err)
		}
		role.deny()
		if err := l.EnsureEventInvokeConfig("f", config); err != nil {
			t.Fatal(err)
		}
		for _, denied := range []string{"events:PutEvents", ""} {
			role.deny(denied)
			if _, err := l.InvokeAsync("f", []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(bus.got) != 1 || len(a.ids) != 2 {
			t.Errorf("%d results of %d attempts", len(bus.got), len(a.ids))
		}
		l.DeleteEventInvokeConfig("f")
		if _, err := l.InvokeAsync("f", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(bus.got) != 1 {
			t.Error("a result went to a destination that is gone")
		}
	})
}

func TestAConfigurationThatLambdaDoesNotTakeIsRefused(t *testing.T) {
	l, _ := withFunction(t, nil)
	n := func(n int) *int { return &n }
	for want, c := range map[string]EventInvokeConfig{
		"MaximumRetryAttempts 3":          {MaximumRetryAttempts: n(3)},
		"MaximumRetryAttempts -1":         {MaximumRetryAttempts: n(-1)},
		"MaximumEventAgeInSeconds 59s":    {MaximumEventAge: 59 * time.Second},
		"MaximumEventAgeInSeconds 6h0m1s": {MaximumEventAge: 6*time.Hour + time.Second},
		"arn:aws:sqs:us-east-1:000000000000:q: anything but an event bus is not supported by the local environment": {OnFailure: "arn:aws:sqs:us-east-1:000000000000:q"},
	} {
		if err := l.EnsureEventInvokeConfig("f", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := l.EnsureEventInvokeConfig("g", EventInvokeConfig{}); err == nil {
		t.Error("a function that does not exist has a configuration")
	}
}

func TestAnEventThatWaitedOverARestartIsToldAsBefore(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		bus := &eventBus{}
		life := func(answer func(int) (*Result, error)) (l *Lambda, end func()) {
			st, err := store.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			l = New(Config{Region: "us-east-1", Account: "000000000000", Store: st, Logs: &logBook{}, Destinations: bus, Logger: slog.New(slog.DiscardHandler)})
			a := &attempts{began: time.Now(), answer: answer}
			l.invokeAs = a.run
			if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
				t.Fatal(err)
			}
			return l, func() {
				if err := errors.Join(l.Close(), st.Close()); err != nil {
					t.Error(err)
				}
			}
		}
		l, end := life(failing)
		if err := l.EnsureEventInvokeConfig("f", EventInvokeConfig{OnSuccess: resultsBus}); err != nil {
			t.Fatal(err)
		}
		id, err := l.InvokeAsync("f", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it has failed once
		end()
		// The second deployment has not come to the destinations yet.
		_, end = life(func(int) (*Result, error) { return &Result{Payload: []byte("null")}, nil })
		time.Sleep(2 * time.Minute)
		end()
		if len(bus.got) != 1 || bus.got[0].detail.RequestContext.RequestID != id || bus.got[0].detail.RequestContext.ApproximateInvokeCount != 2 {
			t.Errorf("got %+v", bus.got)
		}
	})
}
