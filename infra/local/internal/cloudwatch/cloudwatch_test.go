package cloudwatch

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// openStore opens a store that is closed at the test's end. What stands for a
// restart is another service on it: in a bubble of synctest it cannot be opened
// again, since what that takes is shared with other bubbles.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// newService returns a service on a store, whose clock runs until end.
func newService(t testing.TB, st *store.Store, config Config) (s *Service, end func()) {
	t.Helper()
	config.Account, config.Region, config.Logger = "000000000000", "us-east-1", slog.New(slog.DiscardHandler)
	s, err := New(st, config)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s, func() {
		s.Stop()
		if err := s.Flush(); err != nil {
			t.Error(err)
		}
	}
}

// sums returns the sum of a metric in each minute from from to now.
func sums(t *testing.T, s *Service, m metric.Metric, from time.Time) []float64 {
	t.Helper()
	points, err := s.data.points(m, from, time.Now().Add(time.Minute), s.data.states())
	if err != nil {
		t.Fatal(err)
	}
	var out []float64
	for _, p := range points {
		for from.Before(p.at) {
			out = append(out, -1) // missing
			from = from.Add(time.Minute)
		}
		out = append(out, p.values.Sum)
		from = from.Add(time.Minute)
	}
	return out
}

func expectSums(t *testing.T, when string, got []float64, want ...float64) {
	t.Helper()
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = got[i] == want[i]
	}
	if !same {
		t.Errorf("%s: the sums are %v, want %v (-1 is missing)", when, got, want)
	}
}

var orders = metric.New("Shop", "Orders", metric.Count, metric.Dimension{Name: "Shop", Value: "one"})

func TestWhatIsRecordedBelongsToItsMinuteAndOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openStore(t)
		var registry metric.Registry
		s, end := newService(t, st, Config{Metrics: &registry})
		start := time.Now()
		series := registry.Series("Shop", "Orders", metric.Count, orders.Dimensions...)
		series.Add(1)
		time.Sleep(59 * time.Second)
		series.Add(2)
		expectSums(t, "in the first minute", sums(t, s, orders, start), 3)
		time.Sleep(30 * time.Second)
		series.Add(4)
		time.Sleep(2 * time.Minute)
		series.Add(8)
		expectSums(t, "in the fourth", sums(t, s, orders, start), 3, 4, -1, 8)
		end()

		s, end = newService(t, st, Config{Metrics: &registry})
		defer end()
		series.Add(16)
		expectSums(t, "after a restart in that minute", sums(t, s, orders, start), 3, 4, -1, 24)
		time.Sleep(time.Minute)
		expectSums(t, "and in the next", sums(t, s, orders, start), 3, 4, -1, 24)
	})
}

func TestAGaugeHasTheLastStateOfEachMinuteAndThePresentOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry metric.Registry
		length := 5.0
		queue := metric.New("AWS/SQS", "Length", metric.Count)
		registry.Gauge(func(yield func(metric.Metric, float64)) { yield(queue, length) })
		s, end := newService(t, openStore(t), Config{Metrics: &registry})
		defer end()
		start := time.Now()
		expectSums(t, "at once", sums(t, s, queue, start), 5)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		length = 7
		expectSums(t, "in the second minute", sums(t, s, queue, start), 5, 7)
		expectSums(t, "asked again", sums(t, s, queue, start), 5, 7)
	})
}

func TestAMetricIsForgottenAfterFifteenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newService(t, openStore(t), Config{})
		defer end()
		of := func(name string, ago time.Duration) metric.Metric {
			one := timed{metric: metric.New("Shop", name, metric.Count), at: time.Now().Add(-ago)}
			one.values.Add(1, 1)
			if err := s.data.put([]timed{one}); err != nil {
				t.Fatal(err)
			}
			return one.metric
		}
		start := time.Now().Add(-20 * 24 * time.Hour)
		young := of("Young", retention-time.Hour)
		old := of("Old", retention+48*time.Hour)
		count := func(m metric.Metric) int {
			points, err := s.data.points(m, start, time.Now(), s.data.states())
			if err != nil {
				t.Fatal(err)
			}
			return len(points)
		}
		if count(young) != 1 || count(old) != 0 {
			t.Errorf("before: %d young, %d old", count(young), count(old))
		}
		time.Sleep(time.Hour + time.Minute)
		if count(young) != 0 {
			t.Errorf("after: %d young", count(young))
		}
		if got := s.data.list(start); len(got) != 1 || got[0].Name != "Young" {
			t.Errorf("listed: %v", got) // a metric is removed within a day of its last minute
		}
	})
}

func TestAMinuteInTheStoreIsTheOneThatWasWritten(t *testing.T) {
	for name, add := range map[string]func(*metric.Distribution){
		"one value": func(d *metric.Distribution) { d.Add(7, 3) },
		"several":   func(d *metric.Distribution) { d.Add(-1, 1); d.Add(2.5, 2) },
		"a set":     func(d *metric.Distribution) { d.AddSet(4, 10, 1, 5) },
		"one set":   func(d *metric.Distribution) { d.AddSet(4, 20, 5, 5) },
		"on the grid": func(d *metric.Distribution) {
			for i := range 500 {
				d.Add(float64(i), 1)
			}
		},
	} {
		d := &metric.Distribution{}
		add(d)
		got, err := decode(encode(d))
		if err != nil {
			t.Fatal(name, err)
		}
		if got.Count != d.Count || got.Sum != d.Sum || got.Min != d.Min || got.Max != d.Max || got.Rounded != d.Rounded || len(got.Values) != len(d.Values) || got.Percentile(90) != d.Percentile(90) {
			t.Errorf("%s: got %+v, want %+v", name, got, d)
		}
	}
	for _, damaged := range [][]byte{nil, {1}, {9, 0}, {1, 0, 0}, {2, 1, 2, 3}} {
		if _, err := decode(damaged); err == nil {
			t.Errorf("%v was read", damaged)
		}
	}
}
