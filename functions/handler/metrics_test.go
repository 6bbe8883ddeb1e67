package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// measured runs a batch of a function deployed to the environment "test" of the
// application "penstock", and returns what it wrote as metrics.
func measured(t *testing.T, payload []byte, routes ...handler.Route) (lines []string) {
	t.Helper()
	deployed(t)
	t.Setenv("PENSTOCK_APP", "penstock")
	t.Setenv("PENSTOCK_ENV", "test")
	var out bytes.Buffer
	f := handler.New(routes...).WithLogger(new(logbook).logger()).WithQueue(new(handlertest.Queue)).WithMetrics(&out)
	if _, err := f.Invoke(invocation(t.Context(), "request-1"), payload); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(out.String()))
}

// document is a line as CloudWatch reads it.
type document struct {
	members    map[string]any
	dimensions map[string]string
	units      map[string]string
}

// readEMF reads a line as the specification says that CloudWatch does: it must
// follow the schema, and every dimension and metric must have its target member.
func readEMF(t *testing.T, line string) document {
	t.Helper()
	if !strings.HasSuffix(line, "}\n") || len(line) > 256<<10 {
		t.Fatalf("it is no line of at most 256 KB: %q", line)
	}
	text, err := os.ReadFile("testdata/emf.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("emf.schema.json", schema); err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MustCompile("emf.schema.json").Validate(instance); err != nil {
		t.Fatalf("%s: %v", line, err)
	}

	d := document{dimensions: map[string]string{}, units: map[string]string{}}
	var root struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	if err := errors.Join(json.Unmarshal([]byte(line), &root), json.Unmarshal([]byte(line), &d.members)); err != nil {
		t.Fatal(err)
	}
	if age := time.Since(time.UnixMilli(root.AWS.Timestamp)); age < 0 || age > time.Hour {
		t.Errorf("its time is %d", root.AWS.Timestamp)
	}
	if len(root.AWS.CloudWatchMetrics) != 1 || root.AWS.CloudWatchMetrics[0].Namespace != "Penstock" || len(root.AWS.CloudWatchMetrics[0].Dimensions) != 1 {
		t.Fatalf("want one set of dimensions in the namespace Penstock: %s", line)
	}
	for _, name := range root.AWS.CloudWatchMetrics[0].Dimensions[0] {
		value, ok := d.members[name].(string)
		if !ok || strings.TrimSpace(value) == "" || len(value) > 1024 {
			t.Errorf("dimension %s has no value: %s", name, line)
		}
		d.dimensions[name] = value
	}
	for _, m := range root.AWS.CloudWatchMetrics[0].Metrics {
		switch value := d.members[m.Name].(type) {
		case float64:
		case []any:
			if len(value) == 0 || len(value) > 100 {
				t.Errorf("metric %s has %d values", m.Name, len(value))
			}
			for _, v := range value {
				if _, ok := v.(float64); !ok {
					t.Errorf("metric %s has the value %v", m.Name, v)
				}
			}
		default:
			t.Errorf("metric %s has no value: %s", m.Name, line)
		}
		d.units[m.Name] = m.Unit
	}
	return d
}

func TestABatchLeavesOneLineOfMetrics(t *testing.T) {
	old := events.Stamp(t.Context(), account("A"))
	old.OccurredAt = time.Now().Add(-time.Hour)
	lines := measured(t, handlertest.Payload(t, queueName, old, account("bad"), account("never"), account("again"), account("B")),
		handler.Each(func(_ context.Context, m *withdrawal) error {
			switch m.Event.AccountID {
			case "bad":
				return errors.New("no")
			case "never":
				return handler.Permanent(errors.New("no"))
			}
			return nil
		}, handler.Use(func(next handler.Handler) handler.Handler {
			return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
				for _, r := range records {
					if strings.Contains(string(r.Data), `"again"`) {
						r.MarkDuplicate()
					}
				}
				return next.Handle(ctx, records)
			})
		})))
	if len(lines) != 1 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	d := readEMF(t, lines[0])
	if want := map[string]string{"app": "penstock", "env": "test", "function": "withdrawal-fee", "subscription": "withdrawals"}; !reflect.DeepEqual(d.dimensions, want) {
		t.Errorf("dimensions are %v, want %v", d.dimensions, want)
	}
	want := map[string]string{"handled": "Count", "failed": "Count", "permanent": "Count", "duplicate": "Count", "batchSize": "Count", "age": "Seconds", "duration": "Milliseconds"}
	if !reflect.DeepEqual(d.units, want) {
		t.Errorf("metrics are %v, want %v", d.units, want)
	}
	for name, want := range map[string]any{"handled": 2.0, "failed": 1.0, "permanent": 1.0, "duplicate": 1.0, "batchSize": 5.0, "requestId": "request-1"} {
		if d.members[name] != want {
			t.Errorf("%s is %v, want %v", name, d.members[name], want)
		}
	}
	ages := d.members["age"].([]any)
	if len(ages) != 5 || ages[0].(float64) < 3600 || ages[1].(float64) > 60 {
		t.Errorf("ages are %v", ages)
	}
}

func TestTheMetricsOfALargeBatchKeepTheYoungestAndTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batch []events.Event
		for i := range 250 {
			e := events.Stamp(t.Context(), account("A"))
			e.OccurredAt = time.Now().Add(-time.Duration((i*97)%250) * time.Second) // every second once
			batch = append(batch, e)
		}
		d := readEMF(t, measured(t, handlertest.Payload(t, queueName, batch...), handler.Each(func(context.Context, *withdrawal) error { return nil }))[0])
		ages := d.members["age"].([]any)
		if len(ages) != 100 || ages[0] != 0.0 || ages[99] != 249.0 || ages[50] != 125.0 {
			t.Errorf("ages are %v", ages)
		}
		if d.members["duration"] != 0.0 || d.members["batchSize"] != 250.0 {
			t.Errorf("got %v", d.members)
		}
	})
}

func TestABatchWithoutEventsHasNoAge(t *testing.T) {
	d := readEMF(t, measured(t, handlertest.PayloadOf(t, queueName, "garbage"), handler.Each(func(context.Context, *withdrawal) error { return nil }))[0])
	if _, ok := d.units["age"]; ok || d.members["permanent"] != 1.0 {
		t.Errorf("got %v", d.members)
	}
}

func TestADimensionWithoutAValueIsLeftOut(t *testing.T) {
	var out bytes.Buffer
	f := handler.New(handler.Each(func(context.Context, *withdrawal) error { return nil })).WithNames("fee", "fee").WithLogger(new(logbook).logger()).WithMetrics(&out)
	if _, err := f.Invoke(t.Context(), handlertest.Payload(t, "fee-withdrawals", account("A"))); err != nil {
		t.Fatal(err)
	}
	if d := readEMF(t, out.String()); !reflect.DeepEqual(d.dimensions, map[string]string{"function": "fee", "subscription": "withdrawals"}) {
		t.Errorf("dimensions are %v", d.dimensions)
	}
}
