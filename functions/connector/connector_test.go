package connector_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/functions/connector"
)

func TestEveryFunctionWhoseTopicsMatchIsInvokedOnce(t *testing.T) {
	functions := connector.Static{
		function("exact", "", "payment.made"),
		function("both", "billing", "payment.*", "*.made"), // matches twice
		function("other", "", "invoice.made"),
		function("upper", "", "PAYMENT.MADE"),
		function("none", "billing"),
	}
	for name, tc := range map[string]struct {
		match     connector.Matcher
		namespace string
		want      []string
	}{
		"equality is the default":    {nil, "", []string{"exact"}},
		"upper and lower case":       {connector.EqualFold, "", []string{"exact", "upper"}},
		"wildcards":                  {connector.Wildcard, "", []string{"both", "exact"}},
		"a matcher of one's own":     {func(string, string) bool { return true }, "", []string{"both", "exact", "other", "upper"}},
		"only those of a namespace":  {connector.Wildcard, "billing", []string{"both"}},
		"a namespace of nobody":      {connector.Wildcard, "shipping", nil},
		"equality in that namespace": {nil, "billing", nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := &fakeLambda{}
			c := start(t, l, connector.Config{Source: functions, Match: tc.match, Namespace: tc.namespace})
			responses, err := c.Invoke(t.Context(), "payment.made", []byte("{}"), nil)
			if tc.want == nil {
				if !errors.Is(err, connector.ErrNoMatch) {
					t.Errorf("the error is %v, want ErrNoMatch", err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got := l.called(); !slices.Equal(got, tc.want) {
				t.Errorf("called were %v, want %v", got, tc.want)
			}
			if len(responses) != len(tc.want) {
				t.Errorf("there are %d responses, want %d", len(responses), len(tc.want))
			}
		})
	}
}

func TestWildcardsStandForAnyCharacters(t *testing.T) {
	for _, tc := range []struct {
		declared, received string
		want               bool
	}{
		{"payment", "payment", true}, {"payment", "payments", false}, {"", "", true},
		{"*", "", true}, {"*", "anything", true}, {"payment.*", "payment.", true}, {"payment.*", "payment", false},
		{"payment.*", "payment.made.late", true}, {"*.made", "payment.made", true}, {"*.made", "payment.made.late", false},
		{"a*b*c", "a-b-c", true}, {"a*b*c", "abc", true}, {"a*b*c", "acb", false}, {"a*a", "a", false}, {"a*a", "aa", true},
		{"*a*", "bab", true}, {"*a*", "bbb", false}, {"**", "x", true}, {"a**b", "ab", true}, {"*ab", "aab", true},
	} {
		if got := connector.Wildcard(tc.received, tc.declared); got != tc.want {
			t.Errorf("%q matches %q: %v, want %v", tc.declared, tc.received, got, tc.want)
		}
	}
}

func TestAMessageReachesTheFunctionWithWhatIsConfigured(t *testing.T) {
	cfg := connector.Config{
		Source: connector.Static{function("printer", "billing", "payment")}, ContentType: "text/plain",
		UserAgent: "shop/kafka-connector", Header: http.Header{"X-Served-By": {"default"}, "X-Region": {"eu"}},
	}
	for name, tc := range map[string]struct {
		change  func(*connector.Config)
		header  http.Header
		options []connector.Option
		want    http.Header
		topic   string
	}{
		"as configured": {
			nil, nil, nil,
			http.Header{"Content-Type": {"text/plain"}, "User-Agent": {"shop/kafka-connector"}, "X-Served-By": {"default"}, "X-Region": {"eu"}}, "payment",
		},
		"its own headers come first": {
			nil, http.Header{"content-type": {"image/png"}, "X-Served-By": {"a", "b"}, "User-Agent": {"me"}, "X-Topic": {"forged"}, "X-Callback-Url": {"https://evil.example"}}, nil,
			http.Header{"Content-Type": {"image/png"}, "User-Agent": {"me"}, "X-Served-By": {"a,b"}, "X-Region": {"eu"}}, "payment",
		},
		"for one call": {
			nil, http.Header{"Content-Type": {"image/png"}}, []connector.Option{connector.WithContentType("image/gif"), connector.WithTopic("told")},
			http.Header{"Content-Type": {"image/gif"}, "User-Agent": {"shop/kafka-connector"}, "X-Served-By": {"default"}, "X-Region": {"eu"}}, "told",
		},
		"without the topic": {
			func(c *connector.Config) { c.OmitTopic, c.ContentType, c.Header, c.UserAgent = true, "", nil, "" }, nil, nil,
			http.Header{"User-Agent": {"penstock-connector"}}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, cfg := &fakeLambda{}, cfg
			if tc.change != nil {
				tc.change(&cfg)
			}
			c := start(t, l, cfg)
			body := []byte{0xff, 0, 1} // not UTF-8
			responses, err := c.Invoke(t.Context(), "payment", body, tc.header, tc.options...)
			if err != nil {
				t.Fatal(err)
			}
			got := l.calls[0].request
			if !reflect.DeepEqual(got.Header, tc.want) {
				t.Errorf("its headers are\n%v, want\n%v", got.Header, tc.want)
			}
			if got.Topic != tc.topic || got.Function != "printer.billing" || !bytes.Equal(got.Body, body) || got.CallbackURL != "" {
				t.Errorf("the function got %+v", got)
			}
			if responses[0].Topic != "payment" {
				t.Errorf("the response is about topic %q, not the one that came", responses[0].Topic)
			}
		})
	}
}

func TestAFunctionIsInvokedByItsName(t *testing.T) {
	l := &fakeLambda{}
	c := start(t, l, connector.Config{
		Source:    connector.Static{function("printer", "billing", "payment"), function("clerk", "", "x")},
		Namespace: "shipping", // is about topics alone
	})
	seen := &collector{}
	c.Subscribe(seen)
	for _, name := range []string{"printer.billing", "printer", "clerk"} {
		r, err := c.InvokeFunction(t.Context(), name, []byte("hello"), nil, connector.WithTopic("greeting"))
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != 200 || string(r.Body) != "done" || r.Topic != "greeting" || !strings.HasPrefix(r.Function, strings.Split(name, ".")[0]) {
			t.Errorf("%s: the response is %+v", name, r)
		}
	}
	if got, want := l.called(), []string{"clerk", "printer", "printer"}; !slices.Equal(got, want) {
		t.Errorf("called were %v, want %v", got, want)
	}
	for _, name := range []string{"printer.shipping", "clerk.billing", "nobody", ""} {
		_, err := c.InvokeFunction(t.Context(), name, nil, nil)
		if err == nil || !strings.Contains(err.Error(), "no function \""+name+"\"") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestMatchesAreCalledAtOnceWithinTheConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var functions connector.Static
		for _, name := range strings.Split("abcdefghij", "") {
			functions = append(functions, function(name, "", "payment"))
		}
		l := &fakeLambda{answer: func(context.Context, string, int) (*lambda.InvokeOutput, error) {
			time.Sleep(time.Second)
			return ok(), nil
		}}
		c := start(t, l, connector.Config{Source: functions, Concurrency: 4})
		began := time.Now()
		if _, err := c.Invoke(t.Context(), "payment", nil, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); l.max != 4 || took != 3*time.Second {
			t.Errorf("10 calls of 1 s took %v, %d at a time; want 3 s, 4 at a time", took, l.max)
		}
	})
}

// source is a source that can be changed, and fail.
type source struct {
	functions atomic.Pointer[[]connector.Function]
	fault     atomic.Pointer[error]
}

func (s *source) set(functions ...connector.Function) { s.functions.Store(&functions) }

func (s *source) Functions(context.Context) ([]connector.Function, error) {
	if fault := s.fault.Load(); fault != nil {
		return nil, *fault
	}
	return *s.functions.Load(), nil
}

func TestTheMapOfTopicsIsRebuiltAndKeptWhenThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		functions := &source{}
		functions.set(function("a", "", "x", "z"), function("b", "", "y", "x"))
		c := start(t, &fakeLambda{}, connector.Config{Source: functions, RebuildInterval: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		topics := func(want ...string) {
			t.Helper()
			if got := c.Topics(); !slices.Equal(got, want) {
				t.Errorf("the topics are %v, want %v", got, want)
			}
		}
		topics("x", "y", "z")

		functions.set(function("a", "", "new"))
		topics("x", "y", "z")
		if err := c.Rebuild(t.Context()); err != nil { // at once
			t.Fatal(err)
		}
		topics("new")

		functions.set(function("a", "", "newer"))
		time.Sleep(time.Minute)
		synctest.Wait()
		topics("newer")
		built, err := c.Rebuilt()
		if err != nil || built != time.Now() {
			t.Errorf("it was built at %v, error %v", built, err)
		}

		fault := errors.New("throttled")
		functions.fault.Store(&fault)
		time.Sleep(time.Minute)
		synctest.Wait()
		topics("newer")
		if _, err := c.Invoke(t.Context(), "newer", nil, nil); err != nil {
			t.Error(err)
		}
		if since, err := c.Rebuilt(); !errors.Is(err, fault) || since != built {
			t.Errorf("it was built at %v, error %v; want the time and the reason", since, err)
		}
		if !strings.Contains(log.String(), "throttled") {
			t.Errorf("the log does not say why:\n%s", &log)
		}

		functions.fault.Store(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := c.Rebuilt(); err != nil {
			t.Errorf("it has succeeded, and still reports %v", err)
		}
	})
}

func TestStartFailsWithoutAMapAndMayBeTriedAgain(t *testing.T) {
	functions, fault := &source{}, errors.New("no network")
	functions.fault.Store(&fault)
	c, err := connector.New(&fakeLambda{}, connector.Config{Source: functions})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Invoke(t.Context(), "x", nil, nil); !errors.Is(err, connector.ErrNotStarted) {
		t.Errorf("the error is %v, want ErrNotStarted", err)
	}
	if err := c.Start(t.Context()); !errors.Is(err, fault) {
		t.Errorf("the error is %v, want %v", err, fault)
	}
	if c.Topics() != nil {
		t.Error("there are topics before there is a map")
	}
	functions.fault.Store(nil)
	functions.set(function("a", "", "x"))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err == nil {
		t.Error("it was started twice")
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.InvokeFunction(t.Context(), "a", nil, nil); !errors.Is(err, connector.ErrClosed) {
		t.Errorf("the error is %v, want ErrClosed", err)
	}
	if err := c.Start(t.Context()); !errors.Is(err, connector.ErrClosed) {
		t.Errorf("the error is %v, want ErrClosed", err)
	}
}

func TestCloseWaitsForWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(_ context.Context, _ string, attempt int) (*lambda.InvokeOutput, error) {
			time.Sleep(time.Second)
			if attempt == 1 {
				return status(503, "", "retry-after", "10"), nil
			}
			return ok(), nil
		}}
		c := start(t, l, connector.Config{Source: connector.Static{function("a", "", "x")}})
		seen := &collector{}
		c.Subscribe(connector.SubscriberFunc(func(r connector.Response) {
			time.Sleep(time.Minute) // slow, and waited for
			seen.Response(r)
		}))
		failed := make(chan error, 1)
		go func() {
			_, err := c.Invoke(t.Context(), "x", nil, nil)
			failed <- err
		}()
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-failed; err != nil {
			t.Errorf("a message that was taken failed: %v", err)
		}
		if got := seen.responses(); len(got) != 2 || got[1].Status != 200 {
			t.Errorf("the subscriber has %+v", got)
		}
	})
}

func TestCloseGivesUpAtTheEndOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLambda{answer: func(ctx context.Context, _ string, _ int) (*lambda.InvokeOutput, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		dlq := &letters{}
		c := start(t, l, connector.Config{Source: connector.Static{function("a", "", "x")}, DLQ: dlq, Timeout: 10 * time.Minute})
		release := make(chan struct{})
		c.Subscribe(connector.SubscriberFunc(func(connector.Response) { <-release }))
		failed := make(chan error, 1)
		go func() {
			_, err := c.Invoke(t.Context(), "x", nil, nil)
			failed <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Close(ctx)
		if err == nil || !strings.Contains(err.Error(), "calls were still under way") || !strings.Contains(err.Error(), "a subscriber has not taken") {
			t.Errorf("the error is %v", err)
		}
		if err := <-failed; !errors.Is(err, connector.ErrClosed) {
			t.Errorf("the call ended with %v, want ErrClosed", err)
		}
		if len(dlq.all) != 0 {
			t.Error("what the source still has is in the DLQ")
		}
		close(release)
	})
}

func TestAConfigurationThatCannotWorkIsRefusedWhole(t *testing.T) {
	_, err := connector.New(&fakeLambda{}, connector.Config{
		RebuildInterval: time.Millisecond, Concurrency: -1, Timeout: time.Hour, Backlog: -1, Async: true, CallbackURL: "not a URL",
		Retry: connector.Retry{Attempts: 101, Base: -1, Cap: time.Hour, MaxRetryAfter: time.Hour, Statuses: []int{200}},
	})
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{
		"Config.Source", "Config.RebuildInterval is 1ms: want 1s to 24h0m0s", "Config.Concurrency is -1", "Config.Timeout is 1h", "Config.Backlog",
		"Retry.Attempts is 101", "Retry.Base is -1ns", "Retry.Cap is 1h", "Retry.MaxRetryAfter is 1h", "Retry.Statuses has 200",
		"Config.Retry.Statuses cannot go with asynchronous calls", `"not a URL"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	_, err = connector.New(&fakeLambda{}, connector.Config{Source: connector.Static{}, CallbackURL: "https://example.com"})
	if err == nil || !strings.Contains(err.Error(), "takes an asynchronous call") {
		t.Errorf("the error is %v", err)
	}
}
