package eventbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

var (
	throttled = awswire.Errorf("RequestThrottled", "too much at once")
	broken    = &awswire.Error{Code: "InternalFailure", Message: "the disk is on fire", Status: 500}
	denied    = awswire.Errorf("AccessDenied", "the policy says no")
	missing   = awswire.Errorf("QueueDoesNotExist", "no such queue")
)

// set changes what is refused; nil takes everything.
func (q *queues) set(refuse map[string]error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse = refuse
}

// names returns how many messages each queue got.
func (q *queues) names() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	got := map[string]int{}
	for _, m := range q.got {
		got[strings.TrimPrefix(m.QueueARN, arn)]++
	}
	return fmt.Sprint(got)
}

// publish puts one event that every rule of these tests matches.
func publish(t *testing.T, s *Service) {
	t.Helper()
	results, err := s.Put(t.Context(), []Entry{{EventBusName: "shop", Source: "savings", DetailType: "W", Detail: `{}`, TraceHeader: "Root=1-2-3"}})
	if err != nil || results[0].ErrorCode != "" {
		t.Fatal(err, results)
	}
}

// everything is the pattern of every event of publish.
var everything = json.RawMessage(`{"source":["savings"]}`)

// nothingWaits checks that no delivery is kept for a retry.
func nothingWaits(t *testing.T, st *store.Store) {
	t.Helper()
	for e, err := range st.Scan(store.Prefix(retryKey())) {
		t.Errorf("this is kept: %s (error %v)", e.Value, err)
	}
}

func TestWhatATargetRefusesForGoodGoesToItsDeadLetterQueueAtOnceOrIsDropped(t *testing.T) {
	q := &queues{refuse: map[string]error{arn + "denied": denied, arn + "missing": missing}}
	_, s := client(t, q)
	mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "denied", DeadLetterARN: arn + "rule-dlq"}}})
	mustRule(t, s, Rule{Bus: "shop", Name: "b", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "missing", DeadLetterARN: arn + "denied"}}})
	mustRule(t, s, Rule{Bus: "shop", Name: "c", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "missing"}}})
	publish(t, s)
	if q.names() != "map[rule-dlq:1]" {
		t.Fatalf("got %s", q.names())
	}
	want := map[string]string{
		"RULE_ARN": s.RuleARN("shop", "a"), "TARGET_ARN": arn + "denied", "RETRY_ATTEMPTS": "0",
		"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "AccessDenied: the policy says no",
	}
	if got := q.got[0].Attributes; !maps.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
	var e event
	if err := json.Unmarshal([]byte(q.got[0].Body), &e); err != nil || e.DetailType != "W" {
		t.Errorf("the body is not the event: %s", q.got[0].Body)
	}
	if st := s.Stats(); st.DeadLettered != 1 || st.Dropped != 2 || st.Delivered != 0 || st.Retried != 0 {
		t.Fatalf("stats %+v", st)
	}
}

func TestEachOfFiveTargetsIsServedByItself(t *testing.T) {
	q := &queues{refuse: map[string]error{arn + "2": missing, arn + "4": throttled}}
	_, s := client(t, q)
	r := Rule{Bus: "shop", Name: "r", Pattern: everything}
	for i := range 5 {
		r.Targets = append(r.Targets, Target{ID: fmt.Sprint(i), ARN: arn + fmt.Sprint(i), DeadLetterARN: arn + "dlq"})
	}
	mustRule(t, s, r)
	publish(t, s)
	if q.names() != "map[0:1 1:1 3:1 dlq:1]" {
		t.Fatalf("got %s", q.names())
	}
	for _, m := range q.got {
		if (m.TraceHeader == "Root=1-2-3") == (m.QueueARN == arn+"dlq") {
			t.Errorf("%s has the trace header %q", m.QueueARN, m.TraceHeader)
		}
	}
	r.Targets = append(r.Targets, Target{ID: "5", ARN: arn + "5"})
	var refused *awswire.Error
	if err := s.EnsureRule(r); !errors.As(err, &refused) || refused.Code != "LimitExceededException" {
		t.Errorf("a sixth target: got %v", err)
	}
}

func TestAnEventIsRetriedUntilItsTargetTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queues{refuse: map[string]error{arn + "busy": throttled, arn + "broken": broken}}
		s, st := newService(t, t.TempDir(), q)
		defer st.Close()
		defer s.Close()
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "busy"}, {ID: "2", ARN: arn + "broken"}, {ID: "3", ARN: arn + "fine"}}})
		publish(t, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if q.names() != "map[fine:1]" {
			t.Fatalf("after a minute, got %s", q.names())
		}
		if st := s.Stats(); st.Retried < 2*5 || st.Retried > 2*7 { // at most 1+2+4+…+32 s, at least half of it
			t.Errorf("%d retries within a minute", st.Retried)
		}
		q.set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if q.names() != "map[broken:1 busy:1 fine:1]" {
			t.Fatalf("in the end, got %s", q.names())
		}
		nothingWaits(t, st)
		if st := s.Stats(); st.Delivered != 3 || st.DeadLettered != 0 || st.Dropped != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestRetriesEndAtTheFirstBoundOfTheRetryPolicy(t *testing.T) {
	limit := func(seconds, retries int) RetryPolicy { return RetryPolicy{&seconds, &retries} }
	for name, test := range map[string]struct {
		policy    RetryPolicy
		condition string
		least     int // retries
		most      int
		within    time.Duration
	}{
		"no retries":         {limit(86_400, 0), "MaximumRetryAttempts", 0, 0, 0},
		"three retries":      {limit(86_400, 3), "MaximumRetryAttempts", 3, 3, 7 * time.Second},
		"a minute":           {limit(60, 185), "MaximumEventAgeInSeconds", 5, 6, time.Minute},
		"the default, a day": {RetryPolicy{}, "", 176, 185, 24 * time.Hour},
		"twenty retries":     {RetryPolicy{MaximumRetryAttempts: new(20)}, "MaximumRetryAttempts", 20, 20, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queues{refuse: map[string]error{arn + "busy": throttled}}
				s, st := newService(t, t.TempDir(), q)
				defer st.Close()
				defer s.Close()
				if err := s.Resume(); err != nil {
					t.Fatal(err)
				}
				mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "busy", DeadLetterARN: arn + "dlq", RetryPolicy: test.policy}}})
				publish(t, s)
				time.Sleep(test.within)
				synctest.Wait()
				if q.names() != "map[dlq:1]" {
					t.Fatalf("after %v, got %s", test.within, q.names())
				}
				a := q.got[0].Attributes
				var retries int
				if _, err := fmt.Sscan(a["RETRY_ATTEMPTS"], &retries); err != nil || retries < test.least || retries > test.most {
					t.Errorf("RETRY_ATTEMPTS %q, want %d to %d", a["RETRY_ATTEMPTS"], test.least, test.most)
				}
				if a["ERROR_CODE"] != "THROTTLING" || a["EXHAUSTED_RETRY_CONDITION"] == "" || test.condition != "" && a["EXHAUSTED_RETRY_CONDITION"] != test.condition {
					t.Errorf("attributes %v", a)
				}
				if stats := s.Stats(); stats.Retried != retries || stats.DeadLettered != 1 {
					t.Errorf("stats %+v", stats)
				}
				nothingWaits(t, st)
			})
		})
	}
}

// A service that is not closed stands for one that was killed.
func TestEventsThatWaitForARetrySurviveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q := &queues{refuse: map[string]error{arn + "busy": throttled}}
		s, st := newService(t, dir, q)
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		target := Target{ID: "1", ARN: arn + "busy", DeadLetterARN: arn + "dlq"}
		mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{target}})
		for range 3 {
			publish(t, s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s.mu.Lock()
		s.closed = true // its timers may not reach the closed store
		s.mu.Unlock()
		st.Close()

		q.set(nil)
		s, st = newService(t, dir, q)
		defer st.Close()
		defer s.Close()
		time.Sleep(time.Hour)
		if q.names() != "map[]" {
			t.Fatalf("before Resume, got %s", q.names())
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if q.names() != "map[busy:3]" {
			t.Fatalf("got %s", q.names())
		}
		nothingWaits(t, st)
	})
}

func TestErrorsAreToldAsEventBridgeTellsThem(t *testing.T) {
	for _, test := range []struct {
		err   error
		code  string
		retry bool
	}{
		{denied, "NO_PERMISSIONS", false},
		{missing, "NO_RESOURCE", false},
		{awswire.Errorf("ResourceNotFoundException", "no such function"), "NO_RESOURCE", false},
		{awswire.Errorf("InvalidParameterValue", "too long"), "INVALID_PARAMETER", false},
		{awswire.Errorf("InvalidRequestContentException", "not JSON"), "ERROR_FROM_TARGET", false},
		{throttled, "THROTTLING", true},
		{awswire.Errorf("TooManyRequestsException", "slow down"), "THROTTLING", true},
		{broken, "INTERNAL_ERROR", true},
		{&awswire.Error{Code: "ServiceUnavailable", Status: 503}, "ERROR_FROM_TARGET", true},
		{errors.New("anything else"), "INTERNAL_ERROR", true},
	} {
		if code, retry := errorCode(test.err), retriable(test.err); code != test.code || retry != test.retry {
			t.Errorf("%v: %s, retried %t; want %s, %t", test.err, code, retry, test.code, test.retry)
		}
	}
}

func TestTargetsAreChecked(t *testing.T) {
	_, s := client(t, &queues{})
	if err := s.EnsureBus(Bus{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	for want, targets := range map[string][]Target{
		"target id":                    {{ID: "a b", ARN: arn + "q"}},
		"only SQS queues":              {{ID: "1", ARN: "arn:aws:sns:us-east-1:000000000000:topic"}},
		"functions as those of":        {{ID: "1", ARN: "arn:aws:lambda:us-east-1:000000000000:function:f"}},
		"two targets":                  {{ID: "1", ARN: arn + "q"}, {ID: "1", ARN: arn + "p"}},
		"DeadLetterConfig":             {{ID: "1", ARN: arn + "q", DeadLetterARN: "arn:aws:sns:us-east-1:000000000000:topic"}},
		"MaximumEventAgeInSeconds":     {{ID: "1", ARN: arn + "q", RetryPolicy: RetryPolicy{MaximumEventAgeInSeconds: new(59)}}},
		"want 60 to 86400":             {{ID: "1", ARN: arn + "q", RetryPolicy: RetryPolicy{MaximumEventAgeInSeconds: new(86_401)}}},
		"MaximumRetryAttempts":         {{ID: "1", ARN: arn + "q", RetryPolicy: RetryPolicy{MaximumRetryAttempts: new(186)}}},
		"MaximumRetryAttempts: want 0": {{ID: "1", ARN: arn + "q", RetryPolicy: RetryPolicy{MaximumRetryAttempts: new(-1)}}},
	} {
		err := s.EnsureRule(Rule{Bus: "shop", Name: "r", Pattern: everything, Targets: targets})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %s", targets, err, want)
		}
	}
}

func TestABusTakesSoManyRules(t *testing.T) {
	_, s := client(t, &queues{})
	if err := s.EnsureBus(Bus{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	put := func(name, pattern string) string {
		err := s.EnsureRule(Rule{Bus: "shop", Name: name, Pattern: json.RawMessage(pattern)})
		var refused *awswire.Error
		if errors.As(err, &refused) {
			return refused.Code
		}
		return fmt.Sprint(err)
	}
	wild := []string{`{"source":[{"wildcard":"a*"}]}`, `{"$or":[{"source":["a"]},{"detail":{"x":[{"anything-but":{"wildcard":"*a"}}]}}]}`}
	for i := range maxWildcardRules {
		if got := put(fmt.Sprint("wild-", i), wild[i%2]); got != "<nil>" {
			t.Fatal(got)
		}
	}
	for i := range maxRules - maxWildcardRules {
		if i == 0 {
			for _, p := range wild {
				if got := put("one-more", p); got != "LimitExceededException" {
					t.Errorf("one more with wildcards: got %s", got)
				}
			}
			if got := put("wild-0", wild[1]); got != "<nil>" {
				t.Errorf("a change of one with wildcards: got %s", got)
			}
		}
		if got := put(fmt.Sprint("plain-", i), `{"source":["a"]}`); got != "<nil>" {
			t.Fatal(got)
		}
	}
	if got := put("one-more", `{"source":["a"]}`); got != "LimitExceededException" {
		t.Errorf("one more: got %s", got)
	}
	if got := put("plain-0", `{"source":["b"]}`); got != "<nil>" {
		t.Errorf("a change: got %s", got)
	}
}
