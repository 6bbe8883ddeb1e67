package eventbridge

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awseb "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// queues records what it is sent, and refuses what is sent to some.
type queues struct {
	mu     sync.Mutex
	refuse map[string]error
	got    []QueueMessage
}

func (q *queues) Send(messages []QueueMessage) ([]error, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	errs := make([]error, len(messages))
	for i, m := range messages {
		if errs[i] = q.refuse[m.QueueARN]; errs[i] == nil {
			q.got = append(q.got, m)
		}
	}
	return errs, nil
}

const arn = "arn:aws:sqs:us-east-1:000000000000:"

func newService(t *testing.T, dir string, q Queues) (*Service, *store.Store) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(st, Config{Account: "000000000000", Region: "us-east-1", Queues: q, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, st
}

func client(t *testing.T, q Queues) (*awseb.Client, *Service) {
	t.Helper()
	s, st := newService(t, t.TempDir(), q)
	t.Cleanup(func() { st.Close() })
	return serve(t, s), s
}

// serve returns a client of the service's wire API.
func serve(t *testing.T, s *Service) *awseb.Client {
	t.Helper()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.JSON(WireTarget, "1.1", s.Operations())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return awseb.New(awseb.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	})
}

func mustRule(t *testing.T, s *Service, r Rule) {
	t.Helper()
	if err := s.EnsureBus(Bus{Name: r.Bus}); err != nil {
		t.Fatal(err)
	}
	if err := s.EnsureRule(r); err != nil {
		t.Fatal(err)
	}
}

func TestAnEventReachesTheTargetsOfEveryRuleThatMatches(t *testing.T) {
	q := &queues{}
	c, s := client(t, q)
	mustRule(t, s, Rule{Bus: "shop", Name: "all", Pattern: json.RawMessage(`{"source":["savings"]}`), Targets: []Target{{ID: "1", ARN: arn + "all-1"}, {ID: "2", ARN: arn + "all-2"}}})
	mustRule(t, s, Rule{Bus: "shop", Name: "large", Pattern: json.RawMessage(`{"detail":{"data":{"amount":[{"numeric":[">",100]}]}}}`), Targets: []Target{{ID: "1", ARN: arn + "large"}}})
	mustRule(t, s, Rule{Bus: "shop", Name: "off", Pattern: json.RawMessage(`{"source":["savings"]}`), Disabled: true, Targets: []Target{{ID: "1", ARN: arn + "off"}}})
	mustRule(t, s, Rule{Bus: "other", Name: "elsewhere", Pattern: json.RawMessage(`{"source":["savings"]}`), Targets: []Target{{ID: "1", ARN: arn + "elsewhere"}}})
	entry := func(source, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{EventBusName: aws.String("shop"), Source: &source, DetailType: aws.String("W"), Detail: &detail}
	}
	out, err := c.PutEvents(t.Context(), &awseb.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("savings", `{"data":{"amount":250}}`), entry("savings", `{"data":{"amount":50}}`), entry("cards", `{}`),
	}})
	if err != nil || out.FailedEntryCount != 0 {
		t.Fatal(err, out)
	}
	got := map[string]int{}
	for _, m := range q.got {
		got[strings.TrimPrefix(m.QueueARN, arn)]++
		var e event
		if err := json.Unmarshal([]byte(m.Body), &e); err != nil || e.Version != "0" || e.Source != "savings" || e.DetailType != "W" || e.Account != "000000000000" || len(e.Detail) == 0 {
			t.Errorf("body %s: %v", m.Body, err)
		}
	}
	if got["all-1"] != 2 || got["all-2"] != 2 || got["large"] != 1 || len(got) != 3 {
		t.Fatalf("delivered %v", got)
	}
	if st := s.Stats(); st.Events != 3 || st.Matched != 2 || st.Unmatched["cards/W"] != 1 || st.Delivered != 5 {
		t.Fatalf("stats %+v", st)
	}
}

func TestEachEntryIsAcceptedOrRefusedByItself(t *testing.T) {
	c, s := client(t, &queues{})
	if err := s.EnsureBus(Bus{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	entry := func(bus, source, name, detail string) types.PutEventsRequestEntry {
		e := types.PutEventsRequestEntry{EventBusName: &bus, Source: &source, DetailType: &name, Detail: &detail}
		if detail == "" {
			e.Detail = nil
		}
		return e
	}
	out, err := c.PutEvents(t.Context(), &awseb.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("shop", "savings", "W", `{}`),
		entry("shop", "savings", "W", ""),
		entry("shop", "savings", "W", `[1]`),
		entry("shop", "aws.s3", "W", `{}`),
		entry("shop", "savings", strings.Repeat("W", 129), `{}`),
		entry("nowhere", "savings", "W", `{}`), // accepted, and dropped
		entry("shop", "savings", "W", `{"a":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`),
		entry("shop", "savings", "W", `{"a":`+strings.Repeat("[", 999)+strings.Repeat("]", 999)+`}`),
		entry(s.BusARN("shop"), "savings", "W", `{}`),
		entry("arn:aws:events:us-east-1:111122223333:event-bus/shop", "savings", "W", `{}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range []string{"", "InvalidArgument", "MalformedDetail", "NotAuthorizedForSourceException", "InvalidArgument", "", "MalformedDetail", "", "", "InvalidAccountIdException"} {
		if got := aws.ToString(out.Entries[i].ErrorCode); got != code || (code == "") == (out.Entries[i].EventId == nil) {
			t.Errorf("entry %d: %q %v, want %q", i, got, aws.ToString(out.Entries[i].ErrorMessage), code)
		}
	}
	if out.FailedEntryCount != 6 {
		t.Errorf("FailedEntryCount %d", out.FailedEntryCount)
	}
}

func TestACallAboveALimitIsRefusedWhole(t *testing.T) {
	c, _ := client(t, &queues{})
	big := `{"x":"` + strings.Repeat("x", 600_000) + `"}`
	entry := types.PutEventsRequestEntry{Source: aws.String("s"), DetailType: aws.String("T"), Detail: &big}
	small := entry
	small.Detail = aws.String("{}")
	for name, entries := range map[string][]types.PutEventsRequestEntry{
		"11 entries":     {small, small, small, small, small, small, small, small, small, small, small},
		"more than 1 MB": {entry, entry},
	} {
		_, err := c.PutEvents(t.Context(), &awseb.PutEventsInput{Entries: entries})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "ValidationException" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestATemporaryRuleIsMadeUsedAndRemovedThroughTheAPI(t *testing.T) {
	q := &queues{}
	c, s := client(t, q)
	ctx := t.Context()
	if _, err := c.CreateEventBus(ctx, &awseb.CreateEventBusInput{Name: aws.String("shop")}); err != nil {
		t.Fatal(err)
	}
	bus, rule := aws.String("shop"), aws.String("tail-1")
	if _, err := c.PutRule(ctx, &awseb.PutRuleInput{EventBusName: bus, Name: rule, EventPattern: aws.String(`{"source":["savings"]}`),
		Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("me")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutTargets(ctx, &awseb.PutTargetsInput{EventBusName: bus, Rule: rule, Targets: []types.Target{{Id: aws.String("q"), Arn: aws.String(arn + "q")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), []Entry{{EventBusName: "shop", Source: "savings", DetailType: "W", Detail: `{}`}}); err != nil || len(q.got) != 1 {
		t.Fatal(err, q.got)
	}
	targets, err := c.ListTargetsByRule(ctx, &awseb.ListTargetsByRuleInput{EventBusName: bus, Rule: rule})
	if err != nil || len(targets.Targets) != 1 || targets.Targets[0].RetryPolicy != nil {
		t.Fatal(err, targets)
	}
	if _, err := c.DeleteRule(ctx, &awseb.DeleteRuleInput{EventBusName: bus, Name: rule}); err == nil {
		t.Fatal("a rule with targets was deleted")
	}
	if _, err := c.RemoveTargets(ctx, &awseb.RemoveTargetsInput{EventBusName: bus, Rule: rule, Ids: []string{"q"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteRule(ctx, &awseb.DeleteRuleInput{EventBusName: bus, Name: rule}); err != nil {
		t.Fatal(err)
	}
	rules, err := c.ListRules(ctx, &awseb.ListRulesInput{EventBusName: bus})
	if err != nil || len(rules.Rules) != 0 {
		t.Fatal(err, rules)
	}
}

func TestInvalidRulesAreRefused(t *testing.T) {
	c, _ := client(t, &queues{})
	put := func(in awseb.PutRuleInput) error {
		in.Name = aws.String("r")
		_, err := c.PutRule(t.Context(), &in)
		return err
	}
	for _, test := range []struct {
		name, code string
		err        error
	}{
		{"pattern", "InvalidEventPatternException", put(awseb.PutRuleInput{EventPattern: aws.String(`{"source":"savings"}`)})},
		{"schedule", "ValidationException", put(awseb.PutRuleInput{ScheduleExpression: aws.String("rate(1 minute)")})},
		{"no bus", "ResourceNotFoundException", put(awseb.PutRuleInput{EventBusName: aws.String("nowhere"), EventPattern: aws.String(`{"source":["savings"]}`)})},
		{"wildcards that are too complex", "InvalidEventPatternException", put(awseb.PutRuleInput{EventPattern: aws.String(`{"source":[{"wildcard":"*aaaaaaaaaaaa"}]}`)})},
		{"long pattern", "LimitExceededException", put(awseb.PutRuleInput{EventPattern: aws.String(`{"source":["` + strings.Repeat("x", maxPattern) + `"]}`)})},
	} {
		var api smithy.APIError
		if !errors.As(test.err, &api) || api.ErrorCode() != test.code {
			t.Errorf("%s: got %v, want %s", test.name, test.err, test.code)
		}
	}
}

func TestBusesAndRulesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s, st := newService(t, dir, &queues{})
	mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: json.RawMessage(`{"source":["savings"]}`), Targets: []Target{{ID: "1", ARN: arn + "q"}}})
	st.Close()
	q := &queues{}
	s, st = newService(t, dir, q)
	defer st.Close()
	if _, err := s.Put(t.Context(), []Entry{{EventBusName: "shop", Source: "savings", DetailType: "W", Detail: `{}`}}); err != nil || len(q.got) != 1 {
		t.Fatal(err, q.got)
	}
}

func TestAnEventArrivesAsItWasPublished(t *testing.T) {
	q := &queues{}
	c, s := client(t, q)
	mustRule(t, s, Rule{Bus: "shop", Name: "all", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "q"}}})
	at := time.Date(2026, 5, 4, 11, 30, 0, 0, time.FixedZone("", 2*60*60))
	out, err := c.PutEvents(t.Context(), &awseb.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: aws.String("shop"), Source: aws.String("savings"), DetailType: aws.String("A & B"), Time: &at, Resources: []string{"r1", "r2"},
		Detail: aws.String(`{ "text": "<b> & \u00e9 😀", "n": 1.50 }`),
	}}})
	if err != nil || out.FailedEntryCount != 0 || len(q.got) != 1 {
		t.Fatal(err, out, q.got)
	}
	want := `{"version":"0","id":"` + *out.Entries[0].EventId + `","detail-type":"A & B","source":"savings","account":"000000000000","time":"2026-05-04T09:30:00Z",` +
		`"region":"us-east-1","resources":["r1","r2"],"detail":{"text":"<b> & é 😀","n":1.50}}`
	if got := q.got[0].Body; got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}
