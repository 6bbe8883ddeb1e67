package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// attempts records when an event was handed over, and answers with what comes.
type attempts struct {
	began  time.Time
	mu     sync.Mutex
	ids    []string
	at     []time.Duration
	answer func(n int) (*Result, error)
}

func (a *attempts) run(_ context.Context, c invokeInput) (*Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids = append(a.ids, c.requestID)
	a.at = append(a.at, time.Since(a.began))
	return a.answer(len(a.at))
}

// asyncTest has an event taken for a function that answers as answer says, and
// returns the attempts of a day, what was logged, and how many events wait then.
func asyncTest(t *testing.T, answer func(n int) (*Result, error)) (a *attempts, log string, waiting int) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		l := newLambda(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&said, nil)) })
		a = &attempts{began: time.Now(), answer: answer}
		l.invokeAs = a.run
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		id, err := l.InvokeAsync("f", []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if i := slices.IndexFunc(a.ids, func(s string) bool { return s != id }); i >= 0 {
			t.Errorf("attempt %d has another request id", i+1)
		}
		log, waiting = said.String(), waitingFor(t, l.cfg.Store, "f")
	})
	return a, log, waiting
}

func waitingFor(t *testing.T, st *store.Store, function string) (n int) {
	t.Helper()
	for _, err := range st.Scan(store.Prefix(asyncKey(function))) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestAnEventThatIsHandledIsHandedOverOnce(t *testing.T) {
	a, log, waiting := asyncTest(t, func(int) (*Result, error) { return &Result{}, nil })
	if !slices.Equal(a.at, []time.Duration{0}) || log != "" || waiting != 0 {
		t.Errorf("attempts at %v, logged %q, %d wait", a.at, log, waiting)
	}
}

func TestAnEventThatTheFunctionFailsIsTriedTwiceMoreAndThenGivenUp(t *testing.T) {
	a, log, waiting := asyncTest(t, func(int) (*Result, error) { return &Result{FunctionError: unhandled}, nil })
	if !slices.Equal(a.at, []time.Duration{0, time.Minute, 3 * time.Minute}) || !strings.Contains(log, "the function failed it 3 times") || waiting != 0 {
		t.Errorf("attempts at %v, logged %q, %d wait", a.at, log, waiting)
	}
}

func TestAThrottledEventWaitsLongerAndLongerAndIsGivenUpAfterSixHours(t *testing.T) {
	a, log, waiting := asyncTest(t, func(int) (*Result, error) { return nil, throttled("") })
	if !slices.Equal(a.at[:4], []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}) || a.at[len(a.at)-1]-a.at[len(a.at)-2] != maxThrottleWait ||
		a.at[len(a.at)-1] > maxAsyncAge || !strings.Contains(log, "older than 6h0m0s") || waiting != 0 {
		t.Errorf("attempts at %v, logged %q, %d wait", a.at, log, waiting)
	}
	a, _, waiting = asyncTest(t, func(n int) (*Result, error) {
		if n < 20 {
			return nil, throttled("")
		}
		return &Result{}, nil
	})
	if len(a.at) != 20 || waiting != 0 {
		t.Errorf("%d attempts, %d wait", len(a.at), waiting)
	}
}

func TestAnEventThatWasTakenIsHandedOverAfterARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		life := func() (l *Lambda, a *attempts, end func()) {
			st, err := store.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			l = New(Config{Region: "us-east-1", Account: "000000000000", Store: st, Logs: &logBook{}, Logger: slog.New(slog.DiscardHandler)})
			a = &attempts{began: time.Now(), answer: func(int) (*Result, error) { return nil, throttled("") }}
			l.invokeAs = a.run
			if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
				t.Fatal(err)
			}
			return l, a, func() {
				if err := errors.Join(l.Close(), st.Close()); err != nil {
					t.Error(err)
				}
			}
		}
		l, _, end := life()
		var taken []string
		for i := range 3 {
			id, err := l.InvokeAsync("f", fmt.Append(nil, i))
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, id)
		}
		end()
		l, a, end := life()
		defer end()
		synctest.Wait()
		a.mu.Lock()
		defer a.mu.Unlock()
		slices.Sort(taken)
		slices.Sort(a.ids)
		if !slices.Equal(a.ids, taken) {
			t.Errorf("handed over %q, taken %q", a.ids, taken)
		}
		// With the function goes what waits for it.
		l.DeleteFunction("f")
		if n := waitingFor(t, l.cfg.Store, "f"); n != 0 {
			t.Errorf("%d wait for a function that is gone", n)
		}
	})
}
