package connector_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/penstock-dev/penstock/functions/connector"
)

var one = connector.Static{function("printer", "billing", "payment")}

type contextKey struct{}

func TestEveryResponseReachesEverySubscriberWithAllItsFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(_ context.Context, _ string, attempt int) (*lambda.InvokeOutput, error) {
			time.Sleep(70 * time.Millisecond)
			switch attempt {
			case 1:
				return functionError(`{"errorMessage": "no paper", "errorType": "errorString"}`), nil
			case 2:
				return status(503, "later"), nil
			}
			return status(201, "printed", "X-Page", "7"), nil
		}}
		c := start(t, l, connector.Config{Source: one})
		seen := []*collector{{}, {}}
		for _, s := range seen {
			c.Subscribe(s)
		}
		ctx := context.WithValue(t.Context(), contextKey{}, "mine")
		responses, err := c.Invoke(ctx, "payment", []byte("m"), nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, s := range seen {
			got := s.responses()
			if len(got) != 3 {
				t.Fatalf("a subscriber has %d responses, want one for each attempt: %+v", len(got), got)
			}
			for i, r := range got {
				if r.Context.Value(contextKey{}) != "mine" || r.Topic != "payment" || r.Function != "printer.billing" || r.Duration != 70*time.Millisecond ||
					r.Attempt != i+1 || r.CallID != []string{"printer-1", "printer-2", "printer-3"}[i] || r.Final != (i == 2) || r.DeadLettered || r.Missed != 0 {
					t.Errorf("attempt %d: %+v", i+1, r)
				}
			}
			var failure *connector.FunctionError
			if !errors.As(got[0].Err, &failure) || failure.Message != "no paper" || failure.Type != "errorString" || failure.Function != "printer.billing" || got[0].Status != 0 {
				t.Errorf("the error of a function is reported as %+v", got[0])
			}
			if got[1].Err != nil || got[1].Status != 503 || string(got[1].Body) != "later" || !got[1].Failed() {
				t.Errorf("a status is reported as %+v", got[1])
			}
			if got[2].Status != 201 || string(got[2].Body) != "printed" || got[2].Header.Get("X-Page") != "7" || got[2].Failed() {
				t.Errorf("success is reported as %+v", got[2])
			}
		}
		if len(responses) != 1 || responses[0].Attempt != 3 || responses[0].Status != 201 {
			t.Errorf("Invoke returned %+v, want the last attempt", responses)
		}
		if l.calls[0].request.ID == "" || l.calls[0].request.ID != l.calls[2].request.ID {
			t.Error("the attempts of a call do not share an id")
		}
	})
}

func TestAMessageThatNobodyIsInvokedForIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeLambda{}, connector.Config{Source: one})
		seen := &collector{}
		c.Subscribe(seen)
		responses, err := c.Invoke(t.Context(), "invoice", nil, nil)
		if !errors.Is(err, connector.ErrNoMatch) || !strings.Contains(err.Error(), `"invoice"`) || responses != nil {
			t.Errorf("it returned %v, %v", responses, err)
		}
		synctest.Wait()
		got := seen.responses()
		if len(got) != 1 || !errors.Is(got[0].Err, connector.ErrNoMatch) || got[0].Topic != "invoice" || got[0].Function != "" || !got[0].Final || got[0].Context != t.Context() {
			t.Errorf("the subscriber has %+v", got)
		}
	})
}

func TestASlowSubscriberStallsNobodyAndLearnsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeLambda{}, connector.Config{Source: one, Backlog: 3})
		quick, slow, release := &collector{}, &collector{}, make(chan struct{})
		c.Subscribe(quick)
		subscription := c.Subscribe(connector.SubscriberFunc(func(r connector.Response) {
			<-release
			slow.Response(r)
		}))
		invoke := func(n int) {
			t.Helper()
			began := time.Now()
			for range n {
				if _, err := c.Invoke(t.Context(), "payment", nil, nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // the quick one keeps up
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("the slow subscriber has held up the calls for %v", took)
			}
		}
		invoke(10) // one is with the slow one, three wait, six do not fit
		if got := len(quick.responses()); got != 10 {
			t.Errorf("the quick subscriber has %d responses, want 10", got)
		}
		if got := subscription.Dropped(); got != 6 {
			t.Errorf("%d responses were dropped, want 6", got)
		}
		close(release)
		synctest.Wait()
		invoke(1)
		var missed []int
		for _, r := range slow.responses() {
			missed = append(missed, r.Missed)
		}
		if want := []int{0, 0, 0, 0, 6}; !slices.Equal(missed, want) {
			t.Errorf("the slow subscriber was told %v, want %v", missed, want)
		}
	})
}

func TestWhoUnsubscribesIsToldNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, &fakeLambda{}, connector.Config{Source: one})
		seen := &collector{}
		var subscription *connector.Subscription
		subscription = c.Subscribe(connector.SubscriberFunc(func(r connector.Response) {
			seen.Response(r)
			subscription.Unsubscribe() // from within, and more than once
		}))
		for range 3 {
			if _, err := c.Invoke(t.Context(), "payment", nil, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got := len(seen.responses()); got != 1 {
			t.Errorf("it was told of %d responses, want 1", got)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		late := c.Subscribe(seen)
		late.Unsubscribe()
	})
}

func TestACallIsMadeAgainAsThePolicySays(t *testing.T) {
	throttled := &types.TooManyRequestsException{RetryAfterSeconds: aws.String("7")}
	answers := func(all ...any) func(context.Context, string, int) (*lambda.InvokeOutput, error) {
		return func(_ context.Context, _ string, attempt int) (*lambda.InvokeOutput, error) {
			switch a := all[min(attempt, len(all))-1].(type) {
			case error:
				return nil, a
			case *lambda.InvokeOutput:
				copied := *a
				return &copied, nil
			}
			panic("neither an error nor an output")
		}
	}
	for name, tc := range map[string]struct {
		policy      connector.Retry
		answer      func(context.Context, string, int) (*lambda.InvokeOutput, error)
		attempts    int
		least, most time.Duration // of all waits together
		fails       string
	}{
		"three times by default":                     {connector.Retry{}, answers(status(500, "")), 3, 0, 600 * time.Millisecond, "answered 500 Internal Server Error"},
		"not if it has succeeded":                    {connector.Retry{}, answers(ok()), 1, 0, 0, ""},
		"an error of the function":                   {connector.Retry{}, answers(functionError("{}"), ok()), 2, 0, 200 * time.Millisecond, ""},
		"a status that will not pass":                {connector.Retry{}, answers(status(400, "")), 1, 0, 0, "answered 400 Bad Request"},
		"a redirection is a failure":                 {connector.Retry{}, answers(status(302, "")), 1, 0, 0, "answered 302 Found"},
		"statuses that are given replace the others": {connector.Retry{Statuses: []int{409}}, answers(status(409, ""), status(500, "")), 2, 0, 200 * time.Millisecond, "answered 500"},
		"no statuses":                                {connector.Retry{Statuses: []int{}}, answers(status(500, "")), 1, 0, 0, "answered 500"},
		"as often as is said":                        {connector.Retry{Attempts: 7, Base: time.Second, Cap: 4 * time.Second}, answers(status(503, "")), 7, 0, 19 * time.Second, "attempt 7"},
		"once":                                       {connector.Retry{Attempts: 1}, answers(functionError("{}")), 1, 0, 0, "it did not say why"},
		"Retry-After is the least":                   {connector.Retry{}, answers(status(429, "", "Retry-After", "5"), status(503, "", "retry-after", "6"), ok()), 3, 11 * time.Second, 11 * time.Second, ""},
		"Retry-After as a time":                      {connector.Retry{}, answers(status(503, "", "Retry-After", "Sat, 01 Jan 2000 00:00:09 GMT"), ok()), 2, 9 * time.Second, 9 * time.Second, ""},
		"Retry-After of another status":              {connector.Retry{}, answers(status(500, "", "Retry-After", "50"), ok()), 2, 0, 200 * time.Millisecond, ""},
		"Retry-After that is too long":               {connector.Retry{MaxRetryAfter: 4 * time.Second}, answers(status(503, "", "Retry-After", "5")), 1, 0, 0, "answered 503"},
		"throttling by Lambda":                       {connector.Retry{}, answers(throttled, ok()), 2, 7 * time.Second, 7 * time.Second, ""},
		"a fault of AWS":                             {connector.Retry{}, answers(&types.ServiceException{}), 1, 0, 0, "ServiceException"}, // without its status 500
		"a function that is not there":               {connector.Retry{}, answers(&types.ResourceNotFoundException{}), 1, 0, 0, "ResourceNotFoundException"},
		"a broken connection":                        {connector.Retry{}, answers(&connectionLost{}, ok()), 2, 0, 200 * time.Millisecond, ""},
		"an answer that cannot be read":              {connector.Retry{}, answers(&lambda.InvokeOutput{Payload: []byte(`{"statusCode": 7}`)}), 1, 0, 0, "statusCode 7"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLambda{answer: tc.answer}
				c := start(t, l, connector.Config{Source: one, Retry: tc.policy})
				began := time.Now()
				_, err := c.Invoke(t.Context(), "payment", nil, nil)
				if got := len(l.calls); got != tc.attempts {
					t.Errorf("there were %d attempts, want %d", got, tc.attempts)
				}
				if took := time.Since(began); took < tc.least || took > tc.most {
					t.Errorf("the waits were %v, want %v to %v", took, tc.least, tc.most)
				}
				if tc.fails == "" && err != nil || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
					t.Errorf("the error is %v, want one that says %q", err, tc.fails)
				}
			})
		})
	}
}

// connectionLost is an error that the SDK takes for that of a connection.
type connectionLost struct{}

func (*connectionLost) Error() string         { return "connection reset" }
func (*connectionLost) ConnectionError() bool { return true }

func TestWaitsVary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(context.Context, string, int) (*lambda.InvokeOutput, error) { return status(500, ""), nil }}
		c := start(t, l, connector.Config{Source: one, Retry: connector.Retry{Attempts: 2, Base: time.Hour / 10, Cap: time.Hour / 10}})
		waits := map[time.Duration]bool{}
		for range 5 {
			began := time.Now()
			_, _ = c.Invoke(t.Context(), "payment", nil, nil)
			waits[time.Since(began)] = true
		}
		if len(waits) < 3 {
			t.Errorf("5 waits of up to 6 minutes were %v", waits)
		}
	})
}

func TestACallThatWaitsToBeMadeAgainTakesNobodysTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(_ context.Context, function string, attempt int) (*lambda.InvokeOutput, error) {
			if function == "failing" && attempt == 1 {
				return status(503, "", "Retry-After", "60"), nil
			}
			return ok(), nil
		}}
		c := start(t, l, connector.Config{Source: connector.Static{function("failing", "", "x"), function("fine", "", "y")}, Concurrency: 1})
		go func() { _, _ = c.Invoke(t.Context(), "x", nil, nil) }()
		synctest.Wait()
		began := time.Now()
		if _, err := c.Invoke(t.Context(), "y", nil, nil); err != nil || time.Since(began) != 0 {
			t.Errorf("it took %v, error %v", time.Since(began), err)
		}
	})
}

func TestAnAttemptEndsAtTheTimeoutAndIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(ctx context.Context, _ string, attempt int) (*lambda.InvokeOutput, error) {
			if attempt == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return ok(), nil
		}}
		c := start(t, l, connector.Config{Source: one, Timeout: 5 * time.Second})
		seen := &collector{}
		c.Subscribe(seen)
		if _, err := c.Invoke(t.Context(), "payment", nil, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := seen.responses()[0]; got.Err == nil || !strings.Contains(got.Err.Error(), "it took longer than 5s") || got.Duration != 5*time.Second {
			t.Errorf("it is reported as %+v", got)
		}
	})
}

func TestWhatFailsForGoodIsInTheDLQWithTheMessageAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(_ context.Context, function string, _ int) (*lambda.InvokeOutput, error) {
			if function == "fine" {
				return ok(), nil
			}
			return status(500, "no"), nil
		}}
		dlq := &letters{}
		c := start(t, l, connector.Config{Source: connector.Static{function("failing", "", "x"), function("fine", "", "x")}, DLQ: dlq})
		seen := &collector{}
		c.Subscribe(seen)
		responses, err := c.Invoke(t.Context(), "x", []byte("message"), http.Header{"X-Id": {"1"}})
		if err != nil {
			t.Errorf("nothing is lost, and the error is %v", err)
		}
		if len(dlq.all) != 1 {
			t.Fatalf("the DLQ has %d letters, want 1", len(dlq.all))
		}
		got := dlq.all[0]
		if got.Topic != "x" || got.Function != "failing" || string(got.Message) != "message" || got.Header.Get("X-Id") != "1" ||
			got.Reason != "function failing answered 500 Internal Server Error" || got.Status != 500 || got.Attempts != 3 || !got.FailedAt.Equal(time.Now()) {
			t.Errorf("the letter is %+v", got)
		}
		if !responses[0].DeadLettered || responses[1].DeadLettered {
			t.Errorf("the responses are %+v", responses)
		}

		dlq.fault = errors.New("no such queue")
		responses, err = c.Invoke(t.Context(), "x", nil, nil)
		if !errors.Is(err, dlq.fault) || !strings.Contains(err.Error(), "answered 500") || responses[0].DeadLettered || !errors.Is(responses[0].Err, dlq.fault) {
			t.Errorf("the DLQ took nothing, and the error is %v, the responses %+v", err, responses)
		}
	})
}

func TestWhatTheCallerGivesUpIsNotInTheDLQ(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(context.Context, string, int) (*lambda.InvokeOutput, error) {
			return status(503, "", "Retry-After", "60"), nil
		}}
		dlq := &letters{}
		c := start(t, l, connector.Config{Source: one, DLQ: dlq})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		responses, err := c.Invoke(ctx, "payment", nil, nil)
		if !errors.Is(err, context.DeadlineExceeded) || len(dlq.all) != 0 || !responses[0].Final || !errors.Is(responses[0].Err, context.DeadlineExceeded) {
			t.Errorf("it returned %+v, %v, and the DLQ has %v", responses, err, dlq.all)
		}
	})
}

func TestAMessageThatLambdaWouldRefuseIsNotSent(t *testing.T) {
	for name, tc := range map[string]struct {
		body   []byte
		async  bool
		refuse bool
	}{
		"synchronous":                 {bytes.Repeat([]byte("x"), 6<<20-1000), false, false},
		"synchronous, too large":      {bytes.Repeat([]byte("x"), 6<<20), false, true},
		"in base64, too large":        {bytes.Repeat([]byte{0xff}, 5<<20), false, true},
		"asynchronous":                {bytes.Repeat([]byte("x"), 1<<20-1000), true, false},
		"asynchronous, too large":     {bytes.Repeat([]byte("x"), 1<<20), true, true},
		"escapes count as in the end": {bytes.Repeat([]byte("\n"), 4<<20), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			l, dlq := &fakeLambda{}, &letters{}
			c := start(t, l, connector.Config{Source: one, DLQ: dlq})
			responses, err := c.Invoke(t.Context(), "payment", tc.body, nil, connector.WithAsync(tc.async))
			if err != nil {
				t.Fatal(err)
			}
			if !tc.refuse {
				if len(l.calls) != 1 {
					t.Errorf("it was sent %d times", len(l.calls))
				}
				return
			}
			if len(l.calls) != 0 || len(dlq.all) != 1 || dlq.all[0].Attempts != 0 || !strings.Contains(responses[0].Err.Error(), "Lambda takes") || responses[0].Attempt != 0 {
				t.Errorf("it was sent %d times, and returned %v", len(l.calls), responses[0].Err)
			}
		})
	}
}

func TestAnAsynchronousCallIsAcceptedAtOnceWithItsCallID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(_ context.Context, _ string, attempt int) (*lambda.InvokeOutput, error) {
			if attempt == 1 {
				return nil, &types.TooManyRequestsException{} // not accepted: repeated
			}
			return &lambda.InvokeOutput{StatusCode: 202}, nil
		}}
		c := start(t, l, connector.Config{Source: one, Async: true, CallbackURL: "https://example.com/done"})
		responses, err := c.Invoke(t.Context(), "payment", []byte("m"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := responses[0]; r.Status != http.StatusAccepted || r.CallID != "printer-2" || len(r.Body) != 0 || r.Failed() || r.Attempt != 2 {
			t.Errorf("the response is %+v", r)
		}
		if got := l.calls[1]; got.kind != "Event" || got.request.CallbackURL != "https://example.com/done" || !got.request.Start.Equal(began(t)) {
			t.Errorf("the call was %+v", got)
		}

		l.calls = nil
		if _, err := c.Invoke(t.Context(), "payment", nil, nil, connector.WithCallbackURL("https://example.org")); err != nil || l.calls[0].request.CallbackURL != "https://example.org" {
			t.Errorf("the error is %v, the call %+v", err, l.calls)
		}
		l.calls = nil
		l.answer = nil
		r, err := c.InvokeFunction(t.Context(), "printer", nil, nil, connector.WithAsync(false))
		if err != nil || r.Status != 200 || l.calls[0].kind != "" || l.calls[0].request.CallbackURL != "" {
			t.Errorf("the error is %v, the response %+v, the call %+v", err, r, l.calls)
		}
	})
}

// began is when a test under synctest began.
func began(*testing.T) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestWhatAnAsynchronousCallCannotKeepIsRefused(t *testing.T) {
	c := start(t, &fakeLambda{}, connector.Config{Source: one, Retry: connector.Retry{Statuses: []int{500}}})
	for name, tc := range map[string]struct {
		option connector.Option
		says   string
	}{
		"a policy by statuses":             {connector.WithAsync(true), "Retry.Statuses cannot go with asynchronous calls"},
		"a callback of a synchronous call": {connector.WithCallbackURL("https://example.com"), "takes an asynchronous call"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.Invoke(t.Context(), "payment", nil, nil, tc.option); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %v, want one that says %q", err, tc.says)
			}
		})
	}
}
