package cloudwatch

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// retention is for how long minutes are kept ("Amazon CloudWatch concepts",
// metrics retention: data points with a period of 60 seconds).
const retention = 15 * 24 * time.Hour

// data keeps the minutes of metrics. It is safe for concurrent use.
type data struct {
	store    *store.Store
	registry *metric.Registry

	mu        sync.Mutex
	metrics   map[string]*known // by the metric's key
	lastID    uint64
	open      map[point]*metric.Distribution // not written yet
	collected time.Time                      // when the registry was last collected from
	trimmed   time.Time
}

// known is a metric of which there are data points.
type known struct {
	metric.Metric
	ID   uint64
	Last int64 // the newest minute written, in minutes since 1970
}

// point is a minute of a metric.
type point struct {
	id     uint64
	minute int64 // since 1970
}

func (p point) key() store.Key {
	return store.NewKey("cloudwatch.data").Uint(p.id).Uint(uint64(p.minute))
}

func metricKey(m metric.Metric) store.Key { return store.NewKey("cloudwatch.metric").String(m.Key()) }

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func openData(st *store.Store, registry *metric.Registry) (*data, error) {
	d := &data{store: st, registry: registry, metrics: map[string]*known{}, open: map[point]*metric.Distribution{}, collected: time.Now()}
	for e, err := range st.Scan(store.Prefix(store.NewKey("cloudwatch.metric"))) {
		if err != nil {
			return nil, err
		}
		k := &known{}
		if err := json.Unmarshal(e.Value, k); err != nil {
			return nil, fmt.Errorf("cloudwatch: a metric in the store: %w", err)
		}
		d.metrics[k.Key()] = k
		d.lastID = max(d.lastID, k.ID)
	}
	return d, nil
}

// record adds values to a minute. The caller holds mu.
func (d *data) record(m metric.Metric, minute int64, values *metric.Distribution) {
	key := m.Key()
	k := d.metrics[key]
	if k == nil {
		d.lastID++
		k = &known{Metric: m, ID: d.lastID}
		d.metrics[key] = k
	}
	p := point{k.ID, minute}
	if d.open[p] == nil {
		d.open[p] = &metric.Distribution{}
	}
	d.open[p].Merge(values)
}

// collect takes from the registry what was added since it was last asked: that
// belongs to the minute of then, since it is asked whenever one ends. The caller
// holds mu.
func (d *data) collect(now time.Time) {
	minute := minuteOf(d.collected)
	d.registry.Collect(func(m metric.Metric, values *metric.Distribution) { d.record(m, minute, values) })
	if now.After(d.collected) {
		d.collected = now
	}
}

// sample asks the gauges; not while mu is held, since services that record hold
// locks of their own.
func (d *data) sample() []timed {
	var out []timed
	d.registry.Sample(func(m metric.Metric, value float64) {
		one := timed{metric: m}
		one.values.Add(value, 1)
		out = append(out, one)
	})
	return out
}

// endMinute writes out what was recorded up to end, with the states of gauges
// as they are now.
func (d *data) endMinute(end time.Time) error {
	gauges := d.sample()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collect(end)
	for _, g := range gauges {
		d.record(g.metric, minuteOf(end)-1, &g.values)
	}
	if err := d.write(); err != nil {
		return err
	}
	return d.trim(end)
}

// flush writes out what was recorded so far.
func (d *data) flush(now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collect(now)
	return d.write()
}

// put records values of the past or the present, which are durable when it
// returns.
func (d *data) put(values []timed) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range values {
		d.record(v.metric, minuteOf(v.at), &v.values)
	}
	return d.write()
}

// note records values that need not be durable before the minute ends.
func (d *data) note(values []timed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range values {
		d.record(v.metric, minuteOf(v.at), &v.values)
	}
}

// timed is values of a metric, at a time.
type timed struct {
	metric metric.Metric
	at     time.Time
	values metric.Distribution
}

// write makes everything open durable. The caller holds mu.
func (d *data) write() error {
	if len(d.open) == 0 {
		return nil
	}
	newest := map[uint64]int64{}
	batch := d.store.NewBatch()
	for p, values := range d.open {
		whole := &metric.Distribution{}
		before, found, err := d.store.Get(p.key())
		if err == nil && found {
			whole, err = decode(before)
		}
		if err != nil {
			batch.Discard()
			return err
		}
		whole.Merge(values)
		batch.Set(p.key(), encode(whole))
		newest[p.id] = max(newest[p.id], p.minute)
	}
	for _, k := range d.metrics {
		minute, ok := newest[k.ID]
		// Within a day the metric need not be written again: what it tells is
		// whether the metric has lately had data.
		if !ok || k.Last > 0 && minute < k.Last+24*60 {
			continue
		}
		k.Last = minute
		text, err := json.Marshal(k)
		if err != nil {
			batch.Discard()
			return err
		}
		batch.Set(metricKey(k.Metric), text)
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	clear(d.open)
	return nil
}

// trim removes, once a day, what is older than the retention, and metrics of
// which nothing is left. The caller holds mu.
func (d *data) trim(now time.Time) error {
	if now.Sub(d.trimmed) < 24*time.Hour {
		return nil
	}
	d.trimmed = now
	oldest := minuteOf(now.Add(-retention))
	batch := d.store.NewBatch()
	for key, k := range d.metrics {
		batch.DeleteRange(point{k.ID, 0}.key(), point{k.ID, oldest}.key())
		if k.Last < oldest-24*60 {
			batch.Delete(metricKey(k.Metric))
			delete(d.metrics, key)
		}
	}
	if batch.Empty() {
		batch.Discard()
		return nil
	}
	return batch.Commit()
}

// states are the present states of gauges, by the metric's key.
type states func() map[string]*timed

// states returns a function that asks the gauges when it is first called, and
// then has the same answer: to ask them all is much for one metric, and the same
// for the hundreds of a list.
func (d *data) states() states {
	return sync.OnceValue(func() map[string]*timed {
		sampled := d.sample()
		byKey := make(map[string]*timed, len(sampled))
		for i := range sampled {
			byKey[sampled[i].metric.Key()] = &sampled[i]
		}
		return byKey
	})
}

// points returns the minutes of a metric from from (included) to to (excluded),
// in order of time. The minute that has begun has what was recorded in it so far,
// and of a gauge its present state.
func (d *data) points(m metric.Metric, from, to time.Time, present states) ([]minute, error) {
	now := time.Now()
	first, last := minuteOf(from), minuteOf(to.Add(time.Minute-1)) // rounded up
	first = max(first, minuteOf(now.Add(-retention)))
	found := map[int64]*metric.Distribution{}
	unit := metric.None
	key := m.Key()
	if minuteOf(now) >= first && minuteOf(now) < last {
		if g := present()[key]; g != nil {
			values := &metric.Distribution{} // its own, since read adds to it
			values.Merge(&g.values)
			found[minuteOf(now)], unit = values, g.metric.Unit
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collect(now)
	if k := d.metrics[key]; k != nil {
		unit = k.Unit
		if err := d.read(k.ID, first, last, found); err != nil {
			return nil, err
		}
	}
	var out []minute
	for _, at := range slices.Sorted(maps.Keys(found)) {
		out = append(out, minute{time.Unix(at*60, 0), unit, found[at]})
	}
	return out, nil
}

// read merges what is known of the minutes from first to last (excluded) into
// found. The caller holds mu.
func (d *data) read(id uint64, first, last int64, found map[int64]*metric.Distribution) error {
	add := func(minute int64, values *metric.Distribution) {
		if found[minute] == nil {
			found[minute] = &metric.Distribution{}
		}
		found[minute].Merge(values)
	}
	for e, err := range d.store.Scan(store.Range{From: point{id, first}.key(), To: point{id, last}.key()}) {
		if err != nil {
			return err
		}
		values, err := decode(e.Value)
		if err != nil {
			return err
		}
		add(int64(e.Key.LastUint()), values)
	}
	for p, values := range d.open {
		if p.id == id && p.minute >= first && p.minute < last {
			add(p.minute, values)
		}
	}
	return nil
}

// minute is what is known of a metric in one minute.
type minute struct {
	at     time.Time
	unit   metric.Unit
	values *metric.Distribution
}

// list returns the metrics that have had data since a time, to within a day, in
// order.
func (d *data) list(since time.Time) []metric.Metric {
	found := map[string]metric.Metric{}
	for _, g := range d.sample() {
		found[g.metric.Key()] = g.metric
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collect(time.Now())
	recent := map[uint64]bool{}
	for p := range d.open {
		recent[p.id] = true
	}
	for key, k := range d.metrics {
		if recent[k.ID] || k.Last >= minuteOf(since)-24*60 {
			found[key] = k.Metric
		}
	}
	var out []metric.Metric
	for _, key := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[key])
	}
	return out
}

// A minute in the store begins with a byte that says what follows: a value and
// how often it occurred, or all of a distribution.
const (
	oneValue  = 1
	allValues = 2
)

func encode(d *metric.Distribution) []byte {
	if len(d.Values) == 1 && d.Values[0].Count == d.Count && d.Min == d.Max && !d.Rounded {
		return floats([]byte{oneValue}, d.Min, d.Count)
	}
	rounded := byte(0)
	if d.Rounded {
		rounded = 1
	}
	out := floats([]byte{allValues, rounded}, d.Count, d.Sum, d.Min, d.Max)
	for _, v := range d.Values {
		out = floats(out, v.Value, v.Count)
	}
	return out
}

func floats(to []byte, values ...float64) []byte {
	for _, v := range values {
		to = binary.LittleEndian.AppendUint64(to, math.Float64bits(v))
	}
	return to
}

func decode(text []byte) (*metric.Distribution, error) {
	damaged := fmt.Errorf("cloudwatch: a minute in the store is damaged")
	if len(text) < 2 {
		return nil, damaged
	}
	kind, rounded := text[0], false
	text = text[1:]
	if kind == allValues {
		rounded = text[0] == 1
		text = text[1:]
	}
	var values []float64
	for ; len(text) >= 8; text = text[8:] {
		values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(text)))
	}
	d := &metric.Distribution{}
	switch {
	case kind == oneValue && len(values) == 2:
		d.Add(values[0], values[1])
	case kind == allValues && len(values) >= 4 && len(values)%2 == 0:
		d.Count, d.Sum, d.Min, d.Max, d.Rounded = values[0], values[1], values[2], values[3], rounded
		for i := 4; i < len(values); i += 2 {
			d.Values = append(d.Values, metric.Value{Value: values[i], Count: values[i+1]})
		}
	default:
		return nil, damaged
	}
	return d, nil
}

// custom counts the metrics whose namespace is not one of AWS's.
func (d *data) custom() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, k := range d.metrics {
		if !strings.HasPrefix(k.Namespace, "AWS/") {
			n++
		}
	}
	return n
}
