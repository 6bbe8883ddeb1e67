package metric_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

func collect(r *metric.Registry) map[string]*metric.Distribution {
	out := map[string]*metric.Distribution{}
	r.Collect(func(m metric.Metric, d *metric.Distribution) { out[m.Name] = d })
	return out
}

func TestASeriesHoldsWhatWasAddedSinceTheLastCollection(t *testing.T) {
	var r metric.Registry
	sent := r.Series("AWS/SQS", "Sent", metric.Count, metric.Dimension{Name: "QueueName", Value: "q"})
	r.Series("AWS/SQS", "Untouched", metric.Count)
	sent.AddN(1, 10)
	sent.Add(3)
	sent.AddN(7, 0)
	got := collect(&r)
	d := got["Sent"]
	if len(got) != 1 || d == nil || d.Count != 11 || d.Sum != 13 || d.Min != 1 || d.Max != 3 {
		t.Fatalf("collected %+v of %v", d, got)
	}
	if again := collect(&r); len(again) != 0 {
		t.Errorf("collected %v a second time", again)
	}
}

func TestTheSameMetricIsOneSeriesWhateverTheOrderOfItsDimensions(t *testing.T) {
	var r metric.Registry
	a, b := metric.Dimension{Name: "A", Value: "1"}, metric.Dimension{Name: "B", Value: "2"}
	if r.Series("n", "m", metric.Count, a, b) != r.Series("n", "m", metric.Bytes, b, a) {
		t.Error("two series of one metric")
	}
	if r.Series("n", "m", metric.Count, a) == r.Series("n", "m", metric.Count, a, b) {
		t.Error("one series of two metrics")
	}
}

func TestWithoutARegistryNothingIsRecordedAndNothingFails(t *testing.T) {
	var r *metric.Registry
	r.Series("n", "m", metric.Count).Add(1)
	r.Gauge(func(func(metric.Metric, float64)) { t.Error("a gauge was asked") })
	r.Sample(func(m metric.Metric, _ float64) { t.Errorf("sampled %v", m) })
	if got := collect(r); len(got) != 0 {
		t.Errorf("collected %v", got)
	}
}

func TestGaugesAreSampledAsTheyAre(t *testing.T) {
	var r metric.Registry
	length := 3.0
	r.Gauge(func(yield func(metric.Metric, float64)) { yield(metric.New("n", "Length", metric.Count), length) })
	for _, want := range []float64{3, 5} {
		length = want
		r.Sample(func(m metric.Metric, got float64) {
			if m.Name != "Length" || got != want {
				t.Errorf("sampled %s %v, want %v", m.Name, got, want)
			}
		})
	}
}

func TestNothingAddedWhileCollectingIsLost(t *testing.T) {
	var r metric.Registry
	s := r.Series("n", "m", metric.Count)
	var adding sync.WaitGroup
	for range 4 {
		adding.Go(func() {
			for range 1000 {
				s.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { adding.Wait(); close(done) }()
	var total float64
	sum := func(_ metric.Metric, d *metric.Distribution) { total += d.Sum }
	for collecting := true; collecting; {
		select {
		case <-done:
			collecting = false
		default:
		}
		r.Collect(sum)
	}
	if total != 4000 {
		t.Errorf("collected %v of 4000", total)
	}
}

func TestPercentilesAreExactOfFewValuesAndWithin1PercentOfMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 400).Draw(t, "values")
		p := float64(rapid.IntRange(0, 1000).Draw(t, "p")) / 10
		var whole, first, second metric.Distribution
		for i, v := range values {
			whole.Add(v, 1)
			if i%2 == 0 {
				first.Add(v, 1)
			} else {
				second.Add(v, 1)
			}
		}
		first.Merge(&second)
		slices.Sort(values)
		rank := max(int(math.Ceil(float64(len(values))*p/100-1e-9)), 1)
		want := values[rank-1]
		for name, d := range map[string]*metric.Distribution{"whole": &whole, "merged": &first} {
			got := d.Percentile(p)
			if within := math.Abs(want) * 0.0101; math.Abs(got-want) > within {
				t.Fatalf("%s: p%v of %d values is %v, want %v", name, p, len(values), got, want)
			}
			if d.Count != float64(len(values)) || d.Min != values[0] || d.Max != values[len(values)-1] {
				t.Fatalf("%s: count %v, least %v, greatest %v", name, d.Count, d.Min, d.Max)
			}
			if !d.Rounded && d.Percentile(p) != want {
				t.Fatalf("%s: not exact", name)
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	var r metric.Registry
	s := r.Series("AWS/SQS", "NumberOfMessagesSent", metric.Count)
	b.ReportAllocs()
	for b.Loop() {
		s.AddN(1, 10)
	}
}

func BenchmarkAddManyDifferent(b *testing.B) {
	var r metric.Registry
	s := r.Series("AWS/Lambda", "Duration", metric.Milliseconds)
	b.ReportAllocs()
	i := 0.0
	for b.Loop() {
		i++
		s.Add(math.Mod(i*7.31, 500))
	}
}
