package eventbridge

import (
	"encoding/json"
	"fmt"
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

const functionARN = "arn:aws:lambda:us-east-1:000000000000:function:"

// functions records what it is invoked with.
type functions struct {
	mu  sync.Mutex
	err error
	got []string
}

func (f *functions) Invoke(function, rule string, event []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.got = append(f.got, strings.TrimPrefix(function, functionARN)+" "+rule+" "+string(event))
	}
	return f.err
}

func (f *functions) invocations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *functions) calls() int { return len(f.invocations()) }

func (q *queues) messages() []QueueMessage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.got)
}

func TestAScheduleExpressionSaysWhen(t *testing.T) {
	from := time.Date(2026, 2, 27, 10, 20, 30, 0, time.UTC) // a Friday
	for expression, want := range map[string]string{
		"rate(1 minute)":                   "02-27 10:21:30",
		"rate(5 minutes)":                  "02-27 10:25:30",
		"rate(1 hour)":                     "02-27 11:20:30",
		"rate(7 days)":                     "03-06 10:20:30",
		"cron(* * * * ? *)":                "02-27 10:21:00",
		"cron(20 10 * * ? *)":              "02-28 10:20:00",
		"cron(0/15 * * * ? *)":             "02-27 10:30:00",
		"cron(0 8,18 * * ? *)":             "02-27 18:00:00",
		"cron(0 10 ? * MON-FRI *)":         "03-02 10:00:00",
		"cron(0 10 ? * 1 *)":               "03-01 10:00:00",
		"cron(30 6 1 jan,MAR ? 2026)":      "03-01 06:30:00",
		"cron(0 0 31 * ? *)":               "03-31 00:00:00",
		"cron(0-10/5 11 28 2 ? 2026-2027)": "02-28 11:00:00",
	} {
		s, err := parseSchedule(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := s.next(from).Format("01-02 15:04:05"); got != want {
			t.Errorf("%s: next is %s, want %s", expression, got, want)
		}
	}
	if s, err := parseSchedule("cron(0 0 30 2 ? *)"); err != nil || !s.next(from).IsZero() {
		t.Errorf("the 30th of February: %v", err)
	}
}

func TestAWrongScheduleIsRefusedWithTheWayOut(t *testing.T) {
	for expression, want := range map[string]string{
		"every minute":          "want rate(value unit) or cron(",
		"rate(1 minute":         "want rate(value unit) or cron(",
		"rate(0 minutes)":       "a positive number",
		"rate(1 minutes)":       "minute, hour or day for 1",
		"rate(2 minute)":        "minute, hour or day for 1",
		"rate(5 seconds)":       "minute, hour or day for 1",
		"cron(* * * * ?)":       "want 6 fields (got 5)",
		"cron(* * * * * *)":     "one of day-of-month and day-of-week is ?",
		"cron(60 * * * ? *)":    "minutes: \"60\"",
		"cron(0/0 * * * ? *)":   "the step is a positive number",
		"cron(0 0 L * ? *)":     `day-of-month: "L" is not supported by the local environment`,
		"cron(0 0 ? * MON#1 *)": `day-of-week: "MON#1" is not supported by the local environment`,
	} {
		if err := CheckSchedule(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", expression, err, want)
		}
	}
}

// scheduled opens a service with one rule, every minute.
func scheduled(t *testing.T, f *functions, q *queues, targets ...Target) (*Service, func()) {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(st, Config{Account: "000000000000", Region: "us-east-1", Queues: q, Functions: f, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EnsureRule(Rule{Name: "sweep", Schedule: "rate(1 minute)", Targets: targets}); err != nil {
		t.Fatal(err)
	}
	return s, func() {
		s.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func minutes(n int) {
	time.Sleep(time.Duration(n) * time.Minute)
	synctest.Wait()
}

func TestAScheduleInvokesItsTargetsUntilItIsDisabledOrDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := &functions{}, &queues{}
		s, closeAll := scheduled(t, f, q, Target{ID: "f", ARN: functionARN + "relay"}, Target{ID: "q", ARN: arn + "q"})
		defer closeAll()
		minutes(1)
		invocations, messages := f.invocations(), q.messages()
		if len(invocations) != 1 || len(messages) != 1 {
			t.Fatalf("after a minute: %q, %+v", invocations, messages)
		}
		const rule = "arn:aws:events:us-east-1:000000000000:rule/sweep"
		text, ok := strings.CutPrefix(invocations[0], "relay "+rule+" ")
		var e map[string]any
		if err := json.Unmarshal([]byte(text), &e); err != nil || !ok || messages[0].Body != text || messages[0].RuleARN != rule {
			t.Fatalf("got %s and %+v: %v", invocations[0], messages[0], err)
		}
		if got, want := fmt.Sprint(e["detail-type"], e["source"], e["detail"], e["resources"], e["account"], e["region"], e["version"], e["time"]),
			"Scheduled Eventaws.eventsmap[] ["+rule+"]000000000000us-east-102000-01-01T00:01:00Z"; got != want {
			t.Errorf("event %s, want %s", got, want)
		}
		minutes(2)
		if f.calls() != 3 {
			t.Errorf("after three minutes: %d invocations", f.calls())
		}
		disabled := Rule{Name: "sweep", Schedule: "rate(1 minute)", Disabled: true, Targets: []Target{{ID: "f", ARN: functionARN + "relay"}}}
		enabled := disabled
		enabled.Disabled = false
		for _, step := range []struct {
			rule Rule
			want int
		}{{disabled, 3}, {enabled, 4}} {
			if err := s.EnsureRule(step.rule); err != nil {
				t.Fatal(err)
			}
			if minutes(1); f.calls() != step.want {
				t.Errorf("disabled %v: %d invocations, want %d", step.rule.Disabled, f.calls(), step.want)
			}
		}
		if err := s.DeleteRule("default", "sweep"); err != nil {
			t.Fatal(err)
		}
		if minutes(5); f.calls() != 4 {
			t.Errorf("after its deletion: %d invocations", f.calls())
		}
	})
}

func TestARuleThatIsEnsuredAgainKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &functions{}
		target := Target{ID: "f", ARN: functionARN + "relay"}
		s, closeAll := scheduled(t, f, &queues{}, target)
		defer closeAll()
		for range 3 {
			time.Sleep(40 * time.Second)
			if err := s.EnsureRule(Rule{Name: "sweep", Schedule: "rate(1 minute)", Targets: []Target{target}}); err != nil {
				t.Fatal(err)
			}
		}
		if synctest.Wait(); f.calls() != 2 {
			t.Errorf("%d invocations in two minutes", f.calls())
		}
	})
}

func TestWhatAFunctionRefusesGoesToTheTargetsDeadLetterQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := &functions{err: awswire.Errorf("AccessDeniedException", "no permission")}, &queues{}
		_, closeAll := scheduled(t, f, q, Target{ID: "f", ARN: functionARN + "relay", DeadLetterARN: arn + "dlq"})
		defer closeAll()
		minutes(1)
		if got := q.messages(); len(got) != 1 || got[0].QueueARN != arn+"dlq" || got[0].Attributes["ERROR_CODE"] != "NO_PERMISSIONS" {
			t.Errorf("got %+v", got)
		}
	})
}

// The functions are deployed after the service is opened, and the rule again
// after them.
func TestAfterARestartAScheduleRunsFromWhenItsRuleIsEnsuredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		target := []Target{{ID: "f", ARN: functionARN + "relay"}}
		f := &functions{}
		for i, want := range []int{1, 2} {
			st, err := store.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(st, Config{Account: "000000000000", Region: "us-east-1", Queues: &queues{}, Functions: f, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if minutes(2); f.calls() != i {
				t.Errorf("opened: %d invocations, want %d", f.calls(), i)
			}
			if err := s.EnsureRule(Rule{Name: "sweep", Schedule: "rate(1 minute)", Targets: target}); err != nil {
				t.Fatal(err)
			}
			if minutes(1); f.calls() != want {
				t.Errorf("ensured: %d invocations, want %d", f.calls(), want)
			}
			s.Close()
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAScheduleEndsWithTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &functions{}
		_, closeAll := scheduled(t, f, &queues{}, Target{ID: "f", ARN: functionARN + "relay"})
		closeAll()
		if minutes(5); f.calls() != 0 {
			t.Errorf("%d invocations", f.calls())
		}
	})
}

func TestWhatARuleWithAScheduleMayBe(t *testing.T) {
	s, st := newService(t, t.TempDir(), &queues{})
	defer st.Close()
	defer s.Close()
	if err := s.EnsureBus(Bus{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	target := []Target{{ID: "f", ARN: functionARN + "relay"}}
	for what, c := range map[string]struct {
		rule Rule
		want string
	}{
		"on another bus":                    {Rule{Name: "r", Bus: "shop", Schedule: "rate(1 minute)"}, "only on the default event bus"},
		"with a wrong expression":           {Rule{Name: "r", Schedule: "rate(1 second)"}, "ScheduleExpression is not valid"},
		"a pattern that goes to a function": {Rule{Name: "r", Pattern: json.RawMessage(`{"source":["a"]}`), Targets: target}, "functions as those of a schedule"},
		"neither pattern nor schedule":      {Rule{Name: "r"}, "Event pattern is not valid"},
	} {
		if err := s.EnsureRule(c.rule); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", what, err, c.want)
		}
	}
}
