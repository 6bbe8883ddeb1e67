package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/system/internal/metrics"
)

type attributes = map[string]dbtypes.AttributeValue

// waiting is the item of withdrawals from accounts, written now.
func waiting(t *testing.T, accounts ...string) attributes {
	t.Helper()
	typ := savings.Withdrawal{}.EventType()
	list := &dbtypes.AttributeValueMemberL{}
	for _, account := range accounts {
		entry, err := events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = account })).Entry()
		if err != nil {
			t.Fatal(err)
		}
		list.Value = append(list.Value, &dbtypes.AttributeValueMemberS{Value: string(entry.Detail)})
	}
	return attributes{
		"pk":     &dbtypes.AttributeValueMemberS{Value: outbox.Key(typ, events.DeriveID(time.Now(), accounts[0], typ, 0))},
		"events": list,
	}
}

func keyOf(item attributes) string { return item["pk"].(*dbtypes.AttributeValueMemberS).Value }

// schedule calls the relay as the schedule does, and returns the last line of
// its log.
func schedule(ctx context.Context, t *testing.T, r *relay, out *bytes.Buffer) map[string]any {
	t.Helper()
	out.Reset()
	const event = `{"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "account": "123456789012",
		"time": "2026-01-01T00:00:00Z", "region": "eu-west-1", "resources": ["arn:aws:events:eu-west-1:123456789012:rule/sweep"], "detail": {}}`
	if _, err := lambda.NewHandler(r.handle).Invoke(ctx, []byte(event)); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var line map[string]any
	if err := json.Unmarshal(lines[len(lines)-1], &line); err != nil {
		t.Fatal(err)
	}
	return line
}

func sweeper(t *testing.T, s *services) (*relay, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	r, err := newRelay(s, s, environment, slog.New(slog.NewJSONHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return r, &out
}

func figures(line map[string]any) string {
	return fmt.Sprint(line[metricSent], line[metricFailed], line[metricRefused], " ", line[metricBacklog], line[metricOldestAge], line[metricSetAside], line["complete"])
}

func TestASweepSendsWhatHasWaitedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := waiting(t, "A", "B")
		time.Sleep(time.Minute)
		s := &services{pages: [][]attributes{{old, waiting(t, "C")}}}
		r, out := sweeper(t, s)
		line := schedule(t.Context(), t, r, out)
		if got := accounts(t, s.published); !slices.Equal(got, []string{"A", "B"}) || !slices.Equal(s.removed, []string{keyOf(old)}) {
			t.Errorf("published %v, removed %v", got, s.removed)
		}
		if got, want := figures(line), "2 0 0 3 60 0 true"; got != want {
			t.Errorf("figures %s, want %s", got, want)
		}
	})
}

func TestASweepSetsAsideWhatCanNeverBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused, unreadable, aside := waiting(t, "ACC-BAD"), waiting(t, "A"), waiting(t, "B")
		unreadable["events"] = &dbtypes.AttributeValueMemberN{Value: "1"}
		aside["setAside"] = &dbtypes.AttributeValueMemberS{Value: "MalformedDetail"}
		good := waiting(t, "C")
		time.Sleep(time.Hour)
		s := &services{refuse: "ACC-BAD", pages: [][]attributes{{refused, unreadable, aside, good}}}
		r, out := sweeper(t, s)
		line := schedule(t.Context(), t, r, out)
		if got := accounts(t, s.published); !slices.Equal(got, []string{"C"}) || !slices.Equal(s.removed, []string{keyOf(good)}) {
			t.Errorf("published %v, removed %v", got, s.removed)
		}
		if len(s.setAside) != 2 || !strings.Contains(s.setAside[keyOf(refused)], "MalformedDetail") || !strings.Contains(s.setAside[keyOf(unreadable)], "no list events") {
			t.Errorf("set aside %v", s.setAside)
		}
		if got, want := figures(line), "1 0 2 3 3600 3 true"; got != want {
			t.Errorf("figures %s, want %s", got, want)
		}
	})
}

func TestASweepStopsBeforeItsTimeIsUpAndGoesOnFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &services{pages: [][]attributes{{waiting(t, "A")}, {waiting(t, "B")}, {waiting(t, "C")}}}
		time.Sleep(time.Minute)
		r, out := sweeper(t, s)
		short, cancel := context.WithTimeout(t.Context(), sweepMargin-time.Second)
		defer cancel()
		if line := schedule(short, t, r, out); line["complete"] != false {
			t.Errorf("the first sweep: %v", line)
		}
		schedule(t.Context(), t, r, out)
		if line := schedule(t.Context(), t, r, out); line["complete"] != true {
			t.Errorf("the third sweep: %v", line)
		}
		if want := []string{"0", "1", "2", "0", "1", "2"}; !slices.Equal(s.scanned, want) {
			t.Errorf("pages %v, want %v", s.scanned, want)
		}
	})
}

func TestASweepStopsWhereTheBusTakesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &services{throttle: "ACC-BUSY", pages: [][]attributes{{waiting(t, "ACC-BUSY")}, {waiting(t, "B")}}}
		time.Sleep(time.Minute)
		r, out := sweeper(t, s)
		line := schedule(t.Context(), t, r, out)
		if len(s.published) != 0 || line["complete"] != false || line["level"] != "ERROR" || !strings.Contains(line["reason"].(string), "ThrottlingException") {
			t.Errorf("published %v, log %v", s.published, line)
		}
		s.throttle = ""
		schedule(t.Context(), t, r, out)
		schedule(t.Context(), t, r, out)
		if got := accounts(t, s.published); !slices.Contains(got, "ACC-BUSY") || !slices.Contains(got, "B") {
			t.Errorf("published %v", got)
		}
	})
}

func TestABusThatDoesNotAnswerIsReportedBeforeTheTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &services{hang: true, pages: [][]attributes{{waiting(t, "A")}}}
		time.Sleep(time.Minute)
		r, out := sweeper(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		line := schedule(ctx, t, r, out)
		if got, want := figures(line), "0 1 0 1 60 0 true"; got != want || ctx.Err() != nil || len(s.removed) != 0 {
			t.Errorf("figures %s, want %s; %v; removed %v", got, want, ctx.Err(), s.removed)
		}
	})
}

// The form is that of "Specification: Embedded metric format".
func TestTheFiguresOfASweepAreMetrics(t *testing.T) {
	r, out := sweeper(t, &services{})
	line := schedule(t.Context(), t, r, out)
	var aws struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []metrics.Metric
		}
	}
	text, err := json.Marshal(line["_aws"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &aws); err != nil || len(aws.CloudWatchMetrics) != 1 || time.Since(time.UnixMilli(aws.Timestamp)).Abs() > time.Hour {
		t.Fatalf("_aws is %s", text)
	}
	m := aws.CloudWatchMetrics[0]
	if m.Namespace != "Penstock" || len(m.Metrics) != 6 || fmt.Sprint(m.Dimensions) != "[[App Environment]]" || line["App"] != "shop" || line["Environment"] != "dev" {
		t.Errorf("got %s of %v", text, line)
	}
	for _, metric := range m.Metrics {
		if _, number := line[metric.Name].(float64); !number || metric.Unit == "" {
			t.Errorf("metric %+v is %v", metric, line[metric.Name])
		}
	}
}

func TestATableThatCannotBeReadIsAnError(t *testing.T) {
	denied := errors.New("AccessDeniedException")
	r, _ := sweeper(t, &services{scanErr: denied})
	if err := r.sweep(t.Context()); !errors.Is(err, denied) {
		t.Errorf("got %v", err)
	}
}

func TestAnEventThatIsNeitherIsAnError(t *testing.T) {
	r, _ := sweeper(t, &services{})
	if _, err := lambda.NewHandler(r.handle).Invoke(t.Context(), []byte(`{"detail-type": "SAVINGS_WITHDRAWAL"}`)); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("got %v", err)
	}
}
