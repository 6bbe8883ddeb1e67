package cost_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/penstock-dev/penstock/infra/local/meter"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cost"
)

var update = flag.Bool("update", false, "write what the golden cases expect anew")

func ptr(n int) *int { return &n }

// shop is the run of a shop: 10,000 orders and as many invoices, which the
// function billing makes of them; audit has two subscriptions.
func shop() cost.Input {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	count := func(unit meter.Unit, resource, by string, n float64) meter.Count {
		return meter.Count{Unit: unit, Resource: resource, By: by, Quantity: n}
	}
	const billing, audit, relay = "shop-local-billing", "shop-local-audit", "shop-local-outbox-relay"
	return cost.Input{
		Events: 1_000_000,
		Run:    names.New("shop", "local"),
		Target: manifest.Environment{Name: "prod", Region: "eu-central-1", Quotas: manifest.Quotas{Concurrency: 500}},
		Functions: []manifest.Function{
			{Name: "audit", MaxConcurrency: 5, Secrets: []string{"key"}, Subscriptions: []manifest.Subscription{
				{Name: "invoices", BatchSize: 10}, {Name: "orders", BatchSize: 10},
			}},
			{Name: "billing", MaxConcurrency: 20, Secrets: []string{"key", "token"}, Subscriptions: []manifest.Subscription{{Name: "orders", BatchSize: 500, BatchWindowSeconds: 1}}},
			{Name: "outbox-relay"},
		},
		Templates: &snapshots.Snapshot{App: "shop", Env: "prod", Stacks: []string{"s"}, Templates: map[string]json.RawMessage{"s": json.RawMessage(`{"Resources": {
			"Backlog": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "a"}},
			"Failures": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Id": "rate", "Expression": "a/b"}, {"Id": "a", "MetricStat": {}}, {"Id": "b", "MetricStat": {}}]}},
			"Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {}},
			"Key": {"Type": "AWS::KMS::Key", "Properties": {}},
			"Orders": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"BatchSize": 500}},
			"Stream": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"StartingPosition": "TRIM_HORIZON"}}}}`)}},
		Usage: &meter.Usage{
			Since: at, Until: at.Add(time.Minute), CustomMetrics: 12,
			Counts: []meter.Count{
				count(meter.Published, "shop/ORDER", "", 10_000), count(meter.Published, "shop/INVOICE", "", 10_000),
				count(meter.CustomEvent, "shop/ORDER", "", 20_000), count(meter.CustomEvent, "shop/INVOICE", "", 10_000), // orders are above 64 KB
				count(meter.ArchivedByte, "shop-local", "", 1<<30/50),
				count(meter.PutEventsCall, "shop-local", "", 2_000),
				count(meter.Delivery, "shop-local-billing-orders", "", 10_000), count(meter.Delivery, "shop-local-audit-orders", "", 10_000),
				count(meter.Delivery, "shop-local-audit-invoices", "", 10_000), count(meter.Delivery, "shop-local-tail-ann", "", 20_000),
				count(meter.QueueRequest, "shop-local-billing-orders", "", 12_000), count(meter.QueueRequest, "shop-local-billing-orders-dlq", "", 100),
				count(meter.QueueRequest, "shop-local-audit-orders", "", 14_000), count(meter.QueueRequest, "shop-local-audit-invoices", "", 14_000),
				count(meter.QueueRequest, "shop-local-tail-ann", "", 22_000), count(meter.EmptyPoll, "shop-local-audit-orders", "", 99),
				count(meter.FunctionRequest, billing, "", 100), count(meter.FunctionGBSecond, billing, "", 2.5),
				count(meter.FunctionRequest, audit, "", 4_000), count(meter.FunctionGBSecond, audit, "", 20), count(meter.FunctionRequest, relay, "", 400),
				count(meter.TableWrite, "shop-local-orders", "", 40_000), count(meter.TableWrite, "shop-local-invoices", billing, 20_000), count(meter.TableRead, "shop-local-orders", billing, 10_000),
				count(meter.TableWrite, "shop-local-outbox", relay, 20_000),
				count(meter.LogByte, "/aws/lambda/"+billing, "", 10<<20), count(meter.SecretCall, "shop/local/key", billing, 20), count(meter.SecretCall, "shop/local/key", "", 2),
				count(meter.TopicRequest, "shop-local-alarms", "", 1), count(meter.Email, "shop-local-alarms", "", 2),
			},
			Batches: []meter.Batches{
				// Durations of 20 ms a batch and 0.5 ms an event; audit's batches were all of five.
				{Function: audit, Source: "shop-local-audit-invoices", MemoryMB: 512, Invocations: 2_000, Records: 10_000, BilledMs: 10_000, RecordsSq: 50_000, RecordsMs: 50_000},
				{Function: audit, Source: "shop-local-audit-orders", MemoryMB: 512, Invocations: 2_000, Records: 10_000, BilledMs: 30_000, RecordsSq: 50_000, RecordsMs: 150_000},
				{Function: billing, Source: "shop-local-billing-orders", MemoryMB: 256, Invocations: 100, Records: 10_000, BilledMs: 7_000, RecordsSq: 1_400_000, RecordsMs: 900_000},
				{Function: relay, Source: "shop-local-outbox", MemoryMB: 256, Invocations: 400, Records: 20_000, BilledMs: 8_000},
			},
		},
	}
}

func TestReports(t *testing.T) {
	for name, edit := range map[string]func(*cost.Input){
		"measured": func(*cost.Input) {},
		"at-a-rate": func(in *cost.Input) {
			in.Rate = 100
			in.Target.ArchiveRetentionDays, in.Target.BusLogLevel, in.Target.EncryptionKey = 14, manifest.LogErrors, manifest.CreateKey
		},
		"small-batches": func(in *cost.Input) { in.BatchSize, in.WindowSeconds, in.Events = ptr(1), ptr(0), 10_000 },
	} {
		t.Run(name, func(t *testing.T) {
			in := shop()
			edit(&in)
			report, err := cost.New(in)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := report.Print(&got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff.Diff(path, want, "got", got.Bytes()); len(d) > 0 {
				t.Errorf("go test ./scripts/internal/cost -update writes it anew:\n%s", d)
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) }

func report(t *testing.T, in cost.Input) *cost.Report {
	t.Helper()
	r, err := cost.New(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestThePartsOfAPriceAddUpToIt(t *testing.T) {
	for _, in := range []cost.Input{shop(), func() cost.Input { in := shop(); in.Rate = 7; return in }()} {
		r := report(t, in)
		for _, lines := range [][]cost.Line{r.Services, r.Subscriptions} {
			total, shares := 0.0, 0.0
			for _, l := range lines {
				total += l.Dollars
				shares += l.Share
				units := 0.0
				for _, u := range l.Units {
					units += u.Dollars
				}
				if !near(units, l.Dollars) {
					t.Errorf("%s: %v, and its units %v", l.Name, l.Dollars, units)
				}
			}
			if !near(total, r.Total) || !near(shares, 1) {
				t.Errorf("parts of %v, total %v, shares %v", total, r.Total, shares)
			}
		}
	}
}

func TestTheLineThroughTheBatchesGivesTheTimeOfABatchAndOfAnEvent(t *testing.T) {
	in := shop()
	b := &in.Usage.Batches[2]
	*b = meter.Batches{Function: b.Function, Source: b.Source, MemoryMB: 1024}
	for _, size := range []float64{1, 10, 100, 500} {
		ms := 20 + 0.5*size
		b.Invocations++
		b.Records += size
		b.BilledMs += ms
		b.RecordsSq += size * size
		b.RecordsMs += size * ms
	}
	levers := report(t, in).Levers
	i := slices.IndexFunc(levers, func(l cost.Lever) bool { return l.Subscription == "billing/orders" })
	l := levers[i]
	if math.Abs(l.FixedMs-20) > 1e-6 || math.Abs(l.EventMs-0.5) > 1e-6 {
		t.Errorf("%v ms a batch, %v ms an event", l.FixedMs, l.EventMs)
	}
	// By hand, of a million: receives and deletes, invocations, and GB-seconds.
	for j, want := range []float64{
		2*0.40 + 0.20 + 20_500*0.0000133334,
		0.2*0.40 + 0.02 + 2_500*0.0000133334,
		0.2*0.40 + 0.002 + 700*0.0000133334,
		0.2*0.40 + 0.0004 + 540*0.0000133334,
	} {
		if got := l.Prices[j]; math.Abs(got.Dollars-want) > 1e-6 {
			t.Errorf("in batches of %v: $%v, want $%v", got.Batch, got.Dollars, want)
		}
	}
}

func TestABatchIsNoLargerThanWhatComesInAWindow(t *testing.T) {
	for _, c := range []struct {
		what         string
		rate         float64
		size, window *int
		want         float64
	}{
		{"as measured", 0, nil, nil, 100},
		{"a size alone is reached", 0, ptr(50), nil, 50},
		{"half of 100/s are orders, for a second", 100, nil, nil, 50},
		{"a window of 4 s", 100, nil, ptr(4), 200},
		{"no more than the size", 10_000, nil, nil, 500},
		{"no window: each by itself", 100, nil, ptr(0), 1},
	} {
		in := shop()
		in.Rate, in.BatchSize, in.WindowSeconds = c.rate, c.size, c.window
		for _, l := range report(t, in).Levers {
			if l.Subscription == "billing/orders" && l.Reckoned != c.want {
				t.Errorf("%s: %v events a batch, want %v", c.what, l.Reckoned, c.want)
			}
		}
	}
}

func TestTheQuotaThatBindsFirstIsFirst(t *testing.T) {
	in := shop()
	in.Rate = 1000
	quotas := report(t, in).Quotas
	if !slices.IsSortedFunc(quotas, func(a, b cost.Quota) int {
		if a.BindsAt < b.BindsAt {
			return -1
		}
		return 1
	}) {
		t.Errorf("in no order: %+v", quotas)
	}
	find := func(name string) cost.Quota {
		t.Helper()
		for _, q := range quotas {
			if q.Name == name {
				return q
			}
		}
		t.Fatalf("no quota %q in %+v", name, quotas)
		return cost.Quota{}
	}
	// eu-central-1 takes 2,400 calls a second, and ten events come in each.
	if q := find("PutEvents calls a second"); q.Limit != 2400 || !near(q.BindsAt, 24_000) || !near(q.Used, 1.0/24) {
		t.Errorf("got %+v", q)
	}
	// The tail's deliveries are no part of the mix: 1.5 for each event.
	if q := find("deliveries to targets a second"); !near(q.BindsAt, 3000) {
		t.Errorf("got %+v", q)
	}
	// The account's own quota counts.
	if q := find("concurrency of the account"); q.Limit != 500 {
		t.Errorf("got %+v", q)
	}
	// Half of the events, in batches of one (no window), 3 ms each: 5 at once.
	if q := find("concurrency of audit/orders"); !near(q.BindsAt, 5/(0.5*0.003)) {
		t.Errorf("got %+v", q)
	}
}

func TestTheQueueOfADeletedSubscriptionIsPaidForAsLongAsItStays(t *testing.T) {
	in := shop()
	in.Functions[2].Tombstones = []manifest.Tombstone{{Subscription: manifest.Subscription{Name: "old"}}}
	in.Usage.Counts = append(in.Usage.Counts, meter.Count{Unit: meter.QueueRequest, Resource: "shop-local-outbox-relay-old", Quantity: 20_000})
	for _, l := range report(t, in).Subscriptions {
		if l.Name == "outbox-relay/old" && near(l.Dollars, 0.40) {
			return
		}
	}
	t.Error("its requests cost nothing")
}

func TestARunWithoutEventsHasNoPrice(t *testing.T) {
	in := shop()
	in.Usage = &meter.Usage{}
	if _, err := cost.New(in); !errors.Is(err, cost.ErrNothing) {
		t.Errorf("got %v", err)
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]cost.Rate{"500": 500, "0.5/s": 0.5, "0": 0, "-1": 0, "many": 0, "NaN": 0, "Inf/s": 0} {
		var r cost.Rate
		if err := r.Set(text); (err == nil) != (want != 0) || r != want {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}
