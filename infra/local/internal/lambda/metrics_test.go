package lambda

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// collected returns what was recorded since the last call, as lines of name,
// dimensions, number of values, sum and greatest. Of times only the number is
// given.
func collected(r *metric.Registry) []string {
	lines := map[string]bool{}
	r.Collect(func(m metric.Metric, d *metric.Distribution) {
		line := m.Namespace + " " + m.Name
		for _, dimension := range m.Dimensions {
			line += " " + dimension.Name + "=" + dimension.Value
		}
		if m.Unit == metric.Milliseconds {
			lines[fmt.Sprintf("%s: %g", line, d.Count)] = true
		} else {
			lines[fmt.Sprintf("%s: %g, sum %g, max %g", line, d.Count, d.Sum, d.Max)] = true
		}
	})
	return slices.Sorted(maps.Keys(lines))
}

func recorded(t *testing.T, r *metric.Registry, want ...string) {
	t.Helper()
	got := collected(r)
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%q was not recorded, but\n%s", line, strings.Join(got, "\n"))
		}
	}
}

func TestInvocationsAreMeasured(t *testing.T) {
	r := new(metric.Registry)
	one := 1
	l, _ := withFunction(t, func(f *Function) { f.ReservedConcurrency = &one })
	l.cfg.Metrics = r
	l.allMetrics, l.metrics = newFunctionMetrics(r), map[string]*functionMetrics{}
	invoke(t, l, request{Do: "echo"})
	invoke(t, l, request{Do: "error"})
	invoke(t, l, request{Do: "exit", N: 1})
	l.functions["f"].load.busy++ // as if another were running
	if _, err := l.Invoke(t.Context(), "f", []byte("{}")); !isThrottle(err) {
		t.Fatal(err)
	}
	l.functions["f"].load.busy--
	recorded(t, r,
		"AWS/Lambda Invocations FunctionName=f: 3, sum 3, max 1", "AWS/Lambda Invocations: 3, sum 3, max 1",
		"AWS/Lambda Errors FunctionName=f: 3, sum 2, max 1", "AWS/Lambda Throttles FunctionName=f: 4, sum 1, max 1",
		"AWS/Lambda Duration FunctionName=f: 3", "AWS/Lambda ConcurrentExecutions FunctionName=f: 3, sum 3, max 1",
		"AWS/Lambda ConcurrentExecutions: 3, sum 3, max 1",
	)
}

func TestAMappingsEventsAreMeasuredIfItAsksForThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, q, f := new(metric.Registry), newFakeQueue(), &fakeFunction{began: time.Now()}
		f.answer = func(c call) (*Result, error) {
			return &Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"id-1"}]}`)}, nil
		}
		l := newLambda(t, func(c *Config) { c.Queues, c.Metrics = q, r })
		l.invoke = f.invoke
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		id, err := l.CreateMapping(t.Context(), Mapping{
			Function: "f", SourceARN: queueARN, ReportBatchItemFailures: true, EventCountMetrics: true,
			Filter: func(record []byte) bool { return strings.Contains(string(record), "yes") },
		})
		if err != nil {
			t.Fatal(err)
		}
		q.send("yes 1", "yes 2", "no")
		synctest.Wait()
		of := func(name string, figures string) string {
			return "AWS/Lambda " + name + " EventSourceMappingUUID=" + id + ": " + figures
		}
		recorded(t, r,
			of("PolledEventCount", "1, sum 3, max 3"), of("FilteredOutEventCount", "1, sum 1, max 1"), of("InvokedEventCount", "1, sum 2, max 2"),
			of("FailedInvokeEventCount", "1, sum 1, max 1"), of("DeletedEventCount", "1, sum 1, max 1"),
		)
		no := false
		if _, err := l.UpdateMapping(id, MappingUpdate{EventCountMetrics: &no}); err != nil {
			t.Fatal(err)
		}
		q.send("yes 3")
		synctest.Wait()
		for _, line := range collected(r) {
			if strings.Contains(line, id) {
				t.Errorf("without MetricsConfig: %s", line)
			}
		}
	})
}

func TestThrottledAttemptsCountAsInvokedAndFailed(t *testing.T) {
	queueTest(t, Mapping{}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if c.at == 0 {
				return nil, throttled(reasonAccount)
			}
			return &Result{}, nil
		}
		q.send("a")
		pass(time.Second)
		if got, want := counted(t, l, id), (Counters{Batches: 1, Invocations: 1, Throttles: 1, Polled: 1, Invoked: 2, FailedInvoke: 1, Deleted: 1}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestTheAgeOfAStreamsRecordsIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, f := new(metric.Registry), newFakeStream(), &fakeFunction{began: time.Now()}
		s.put(0, "a", "b")
		time.Sleep(time.Minute)
		l := newLambda(t, func(c *Config) { c.Streams, c.Metrics = s, r })
		l.invoke = f.invoke
		onStream(t, l, Mapping{})
		synctest.Wait()
		var age float64
		r.Collect(func(m metric.Metric, d *metric.Distribution) {
			if m.Name == "IteratorAge" && len(m.Dimensions) == 1 {
				age = d.Max
			}
		})
		if age != 60_000 {
			t.Errorf("IteratorAge %g ms, want 60,000", age)
		}
	})
}
