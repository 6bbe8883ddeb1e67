package lambda

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

func TestAMappingKeepsItsUUIDAndWhatWasChangedAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		yes, no, size, most := true, false, 50, 4
		var id string
		// start starts anew on what the store remembers.
		start := func(template Mapping, check func(l *Lambda, m MappingStatus)) {
			t.Helper()
			l := New(Config{Store: st, Queues: newFakeQueue(), Logs: &logBook{}, Logger: slog.New(slog.DiscardHandler)})
			if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
				t.Fatal(err)
			}
			template.Function, template.SourceARN = "f", queueARN
			got, err := l.CreateMapping(t.Context(), template)
			if err != nil {
				t.Fatal(err)
			}
			if id != "" && got != id {
				t.Fatalf("UUID %s, then %s", id, got)
			}
			id = got
			m, err := l.Mapping(id)
			if err != nil {
				t.Fatal(err)
			}
			check(l, m)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		template := Mapping{BatchSize: 500, Window: time.Second, MaximumConcurrency: 20, EventCountMetrics: true}
		start(template, func(l *Lambda, m MappingStatus) {
			if m.State != "Enabled" || m.BatchSize != 500 || m.Window != time.Second {
				t.Fatalf("at first: %+v", m)
			}
			if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: &no, BatchSize: &size, MaximumConcurrency: &most, EventCountMetrics: &no}); err != nil {
				t.Fatal(err)
			}
		})
		start(template, func(l *Lambda, m MappingStatus) {
			if m.State != "Disabled" || m.BatchSize != 50 || m.MaximumConcurrency != 4 || m.EventCountMetrics {
				t.Fatalf("the template has not changed: %+v", m)
			}
		})
		template.Window, template.MaximumConcurrency = 2*time.Second, 30
		start(template, func(l *Lambda, m MappingStatus) {
			if m.State != "Disabled" || m.BatchSize != 50 || m.Window != 2*time.Second || m.MaximumConcurrency != 30 || m.EventCountMetrics {
				t.Fatalf("the template has a new window and bound: %+v", m)
			}
		})
		template.BatchSize, template.Enabled = 100, &yes
		start(template, func(l *Lambda, m MappingStatus) {
			if m.State != "Enabled" || m.BatchSize != 100 {
				t.Fatalf("the template has a new size, and says that it is enabled: %+v", m)
			}
		})
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMappingsThatAWSWouldRefuseAreRefused(t *testing.T) {
	l, _ := withFunction(t, nil)
	q := newFakeQueue()
	l.cfg.Queues, l.cfg.Streams = q, newFakeStream()
	many := 10_001
	for _, c := range []struct {
		want string
		m    Mapping
	}{
		{"BatchSize 10001", Mapping{BatchSize: 10_001, Window: time.Second}},
		{"BatchSize -1", Mapping{BatchSize: -1}},
		{"Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10", Mapping{BatchSize: 11}},
		{"5m1s", Mapping{Window: 301 * time.Second}},
		{"1.5s", Mapping{Window: 1500 * time.Millisecond}},
		{"MaximumConcurrency 1 ", Mapping{MaximumConcurrency: 1}},
		{"MaximumConcurrency 1001", Mapping{MaximumConcurrency: 1001}},
		{"only body can be filtered by", Mapping{FilterPatterns: []string{`{"messageAttributes":{"a":["b"]}}`}}},
		{"Invalid filter pattern definition", Mapping{FilterPatterns: []string{"{"}}},
		{"has 6 filters: up to 5", Mapping{FilterPatterns: slices.Repeat([]string{"{}"}, 6)}},
		{"are for streams", Mapping{ParallelizationFactor: 2}},
		{"Function not found", Mapping{Function: "missing"}},
		{"not supported by the local environment: SQS queues and DynamoDB streams", Mapping{SourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/s"}},
		{`StartingPosition ""`, Mapping{SourceARN: streamARN}},
		{`StartingPosition "AT_TIMESTAMP"`, Mapping{SourceARN: streamARN, StartingPosition: "AT_TIMESTAMP"}},
		{"ParallelizationFactor 11", Mapping{SourceARN: streamARN, StartingPosition: "LATEST", ParallelizationFactor: 11}},
		{"MaximumRetryAttempts 10001", Mapping{SourceARN: streamARN, StartingPosition: "LATEST", MaximumRetryAttempts: &many}},
		{"MaximumRecordAgeInSeconds 59s", Mapping{SourceARN: streamARN, StartingPosition: "LATEST", MaximumRecordAge: 59 * time.Second}},
		{"ScalingConfig is for queues", Mapping{SourceARN: streamARN, StartingPosition: "LATEST", MaximumConcurrency: 5}},
	} {
		if c.m.Function == "" {
			c.m.Function = "f"
		}
		if c.m.SourceARN == "" {
			c.m.SourceARN = queueARN
		}
		if _, err := l.CreateMapping(t.Context(), c.m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error that says %q", err, c.want)
		}
	}
	q.setVisibility(29 * time.Second)
	if _, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN}); err == nil || !strings.Contains(err.Error(), "Queue visibility timeout: 29 seconds is less than Function timeout: 30 seconds") {
		t.Errorf("got %v", err)
	}
	q.setVisibility(time.Minute)
	for i, want := range []string{"", "already exists"} {
		if _, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("time %d: got %v", i, err)
		}
	}
}
