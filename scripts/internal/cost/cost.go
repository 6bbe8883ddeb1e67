// Package cost puts prices to what the local environment's meter has counted:
// what so many events of the mix that was run would cost on AWS, what of it each
// service and subscription takes, how that changes with the size of batches, and
// which quota binds first.
//
// The price of the mix is plain division: each unit counted, over the events
// published, times the list price ([PricesOf], one table in prices.go). What
// comes with the month and not with events (alarms, metrics, secrets, polling of
// empty queues) is told apart.
//
// Batches are the lever. Of a subscription whose batches have b events on
// average, a million events cost
//
//	10⁶/min(b,10) × 2 SQS requests     a receive and a delete carry ten messages at most
//	10⁶/b             Lambda requests
//	(10⁶/b × f + 10⁶ × v) ms × memory  f a batch's fixed time, v an event's
//
// and EventBridge's event and its send to the queue, which no batch makes fewer.
// f and v are the line through all batches of the run, by least squares; where
// all had the same size, f is not known and taken for 0, which makes small batches
// look cheaper than they are. A batch is as large as its size allows, and at a
// given rate r no larger than what comes in a window: b = min(size, r × window),
// at least 1.
//
// Durations are those of the machine that ran it, not of the memory configured.
package cost

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/meter"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// Input is what a report is made of.
type Input struct {
	Usage     *meter.Usage
	Run       names.Names         // of the environment that was run
	Functions []manifest.Function // the project's
	Target    manifest.Environment
	Templates *snapshots.Snapshot // of the target, for what costs by the month

	Events float64 // how many to tell the price of; above 0
	Rate   float64 // published events a second; 0: none is given
	// BatchSize and WindowSeconds stand for those of every subscription;
	// nil: as in the manifests.
	BatchSize, WindowSeconds *int
}

// Report is what the events cost. Its JSON is the output for programs; prices
// are in US dollars.
type Report struct {
	Environment string    `json:"environment"`
	PricesOf    string    `json:"pricesOf"`
	PricesIn    string    `json:"pricesIn"`
	Since       time.Time `json:"since"` // of the run
	Until       time.Time `json:"until"`
	Events      float64   `json:"events"`    // that the prices are of
	Published   float64   `json:"published"` // in the run
	Rate        float64   `json:"rate,omitempty"`

	Total         float64  `json:"total"`
	Mix           []Share  `json:"mix"`           // event types, of all events
	Services      []Line   `json:"services"`      // the dearest first
	Subscriptions []Line   `json:"subscriptions"` // and what else there is; the dearest first
	Monthly       []Month  `json:"monthly"`
	Levers        []Lever  `json:"levers"`
	Quotas        []Quota  `json:"quotas"` // the one that binds first is the first
	Notes         []string `json:"notes"`
}

// Share is a part of a whole, 0 to 1.
type Share struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Line is what a part of the events' price is for.
type Line struct {
	Name    string      `json:"name"`
	Dollars float64     `json:"dollars"`
	Share   float64     `json:"share"` // of the total, 0 to 1
	Units   []UnitCount `json:"units"`
}

// UnitCount is how much of a unit a line has.
type UnitCount struct {
	Unit     meter.Unit `json:"unit"`
	Quantity float64    `json:"quantity"`
	Dollars  float64    `json:"dollars"`
}

// Month is what something costs by the month.
type Month struct {
	Name     string  `json:"name"`
	Quantity float64 `json:"quantity"`
	Dollars  float64 `json:"dollars"`
}

// Rows that are no subscription.
const (
	busRow         = "the bus"
	applicationRow = "the application, and people"
)

// ErrNothing says that the run has published no event to tell a price of.
var ErrNothing = errors.New("the run has published no events")

// New makes the report.
func New(in Input) (*Report, error) {
	u := in.Usage
	published := u.Quantity(meter.Published)
	if published == 0 {
		return nil, ErrNothing
	}
	r := &Report{
		Environment: in.Target.Name, PricesOf: PricesOf, PricesIn: PricesIn, Since: u.Since, Until: u.Until,
		Events: in.Events, Published: published, Rate: in.Rate,
	}
	m := newModel(in, published)
	for _, c := range u.Counts {
		if c.Unit == meter.Published {
			r.Mix = append(r.Mix, Share{c.Resource, c.Quantity / published})
		}
	}
	slices.SortStableFunc(r.Mix, func(a, b Share) int { return cmp.Compare(b.Share, a.Share) })

	costs, leftOut := m.costs()
	for _, c := range costs {
		r.Total += c.dollars()
	}
	r.Services = lines(costs, r.Total, func(c cost) string { return prices[c.unit].service })
	r.Subscriptions = lines(costs, r.Total, func(c cost) string { return c.row })
	var err error
	if r.Monthly, err = monthly(in); err != nil {
		return nil, err
	}
	r.Levers = m.levers()
	r.Quotas = m.quotas()
	r.Notes = m.notes(leftOut)
	return r, nil
}

// cost is what so much of a unit costs, in the events asked for.
type cost struct {
	row      string
	unit     meter.Unit
	quantity float64
}

func (c cost) dollars() float64 { return c.quantity * prices[c.unit].dollars }

// lines sums up costs by name.
func lines(costs []cost, total float64, name func(cost) string) []Line {
	var out []Line
	for _, c := range costs {
		i := slices.IndexFunc(out, func(l Line) bool { return l.Name == name(c) })
		if i < 0 {
			i = len(out)
			out = append(out, Line{Name: name(c)})
		}
		l := &out[i]
		l.Dollars += c.dollars()
		j := slices.IndexFunc(l.Units, func(u UnitCount) bool { return u.Unit == c.unit })
		if j < 0 {
			j = len(l.Units)
			l.Units = append(l.Units, UnitCount{Unit: c.unit})
		}
		l.Units[j].Quantity += c.quantity
		l.Units[j].Dollars += c.dollars()
	}
	for i := range out {
		if total > 0 {
			out[i].Share = out[i].Dollars / total
		}
	}
	slices.SortStableFunc(out, func(a, b Line) int { return cmp.Compare(b.Dollars, a.Dollars) })
	return out
}

// model is the run with its resources known by what they are for.
type model struct {
	in        Input
	published float64
	subs      []*subscription
	functions map[string]string // short names by those on Lambda
	queues    map[string]string // rows by the names of queues
	rows      map[string][]Share
	tables    map[string]bool
}

// subscription is one that has received events in the run.
type subscription struct {
	name        string  // function/subscription
	share       float64 // received events per published one
	batches     meter.Batches
	f, v        float64 // ms of a batch, and of an event in it
	sameSize    bool    // so that f is not known
	size        int
	window      float64 // seconds
	concurrency int     // the mapping's maximum
}

func newModel(in Input, published float64) *model {
	m := &model{in: in, published: published, functions: map[string]string{}, queues: map[string]string{}, rows: map[string][]Share{}}
	byQueue := map[string]*subscription{}
	for _, f := range in.Functions {
		m.functions[in.Run.Function(f.Name)] = f.Name
		row := func(sub string) string {
			for _, queue := range in.Run.Queues(f.Name, sub) {
				m.queues[queue] = f.Name + "/" + sub
			}
			return f.Name + "/" + sub
		}
		for _, s := range f.Tombstones { // its queues still collect events
			row(s.Name)
		}
		for _, s := range f.Subscriptions {
			byQueue[in.Run.Queue(f.Name, s.Name)] = &subscription{
				name: row(s.Name), size: s.BatchSize, window: float64(s.BatchWindowSeconds), concurrency: f.MaxConcurrency,
			}
		}
	}
	m.queues[in.Run.BusDLQ()] = busRow
	for _, b := range in.Usage.Batches {
		s := byQueue[b.Source]
		if s == nil {
			continue
		}
		s.batches, s.share = b, b.Records/published
		s.fit()
		if in.BatchSize != nil {
			s.size = *in.BatchSize
		}
		if in.WindowSeconds != nil {
			s.window = float64(*in.WindowSeconds)
		}
		m.subs = append(m.subs, s)
	}
	// What a function of several subscriptions costs is divided by the time
	// that their batches took.
	for physical, short := range m.functions {
		total := 0.0
		for _, b := range in.Usage.Batches {
			if b.Function == physical && byQueue[b.Source] != nil {
				total += b.BilledMs
			}
		}
		for _, b := range in.Usage.Batches {
			if s := byQueue[b.Source]; s != nil && b.Function == physical && total > 0 {
				m.rows[physical] = append(m.rows[physical], Share{s.name, b.BilledMs / total})
			}
		}
		if total == 0 {
			m.rows[physical] = []Share{{short, 1}}
		}
	}
	return m
}

// fit lays the line through the batches of the run.
func (s *subscription) fit() {
	b := s.batches
	if d := b.Invocations*b.RecordsSq - b.Records*b.Records; d > 0 {
		s.v = max(0, (b.Invocations*b.RecordsMs-b.Records*b.BilledMs)/d)
		s.v = min(s.v, b.BilledMs/b.Records) // f is not below 0
	} else {
		s.v = b.BilledMs / b.Records
		s.sameSize = true
	}
	s.f = (b.BilledMs - s.v*b.Records) / b.Invocations
}

// measured is the average size of the run's batches.
func (s *subscription) measured() float64 { return s.batches.Records / s.batches.Invocations }

// batch is the size of batches that is reckoned with: the run's, unless a size,
// a window or a rate is given.
func (m *model) batch(s *subscription) float64 {
	if m.in.BatchSize == nil && m.in.WindowSeconds == nil && m.in.Rate == 0 {
		return s.measured()
	}
	if m.in.Rate == 0 {
		return float64(s.size)
	}
	return max(1, min(float64(s.size), m.in.Rate*s.share*s.window))
}

// perEvent is what batches of so many events take for one of them.
type perEvent struct{ queueRequests, functionRequests, ms float64 }

func (s *subscription) per(batch float64) perEvent {
	return perEvent{2 / min(10, batch), 1 / batch, s.f/batch + s.v}
}

func (s *subscription) gbSeconds(ms float64) float64 {
	return ms / 1000 * float64(s.batches.MemoryMB) / 1024
}

// costs are those of the events asked for, and what of the run is left out, since
// it is no part of the project's templates.
func (m *model) costs() (costs []cost, leftOut []string) {
	scale := m.in.Events / m.published
	for _, c := range m.in.Usage.Counts {
		if prices[c.Unit].service == "" {
			continue
		}
		shares := []Share{{busRow, 1}}
		switch c.Unit {
		case meter.QueueRequest:
			row, ok := m.queues[c.Resource]
			if !ok {
				leftOut = append(leftOut, fmt.Sprintf("%s requests of queue %s", figure(c.Quantity), c.Resource))
				continue
			}
			shares = []Share{{row, 1}}
		case meter.FunctionRequest, meter.FunctionGBSecond:
			shares = m.function(c.Resource)
		case meter.LogByte:
			shares = m.function(strings.TrimPrefix(c.Resource, "/aws/lambda/"))
		case meter.TableRead, meter.TableWrite, meter.SecretCall:
			shares = m.function(c.By)
		}
		for _, s := range shares {
			costs = append(costs, cost{s.Name, c.Unit, c.Quantity * s.Share * scale})
		}
	}
	for _, s := range m.subs {
		was, is, events := s.per(s.measured()), s.per(m.batch(s)), s.share*m.in.Events
		if was == is {
			continue
		}
		costs = append(costs,
			cost{s.name, meter.QueueRequest, (is.queueRequests - was.queueRequests) * events},
			cost{s.name, meter.FunctionRequest, (is.functionRequests - was.functionRequests) * events},
			cost{s.name, meter.FunctionGBSecond, s.gbSeconds(is.ms-was.ms) * events})
	}
	return costs, leftOut
}

// function is the rows that a Lambda function's costs go to.
func (m *model) function(physical string) []Share {
	if rows := m.rows[physical]; rows != nil {
		return rows
	}
	if short, ok := strings.CutPrefix(physical, m.in.Run.Function("")); ok {
		return []Share{{short, 1}} // one of Penstock's own
	}
	return []Share{{applicationRow, 1}}
}

// leverSizes are the sizes of batches that a lever shows.
var leverSizes = []int{1, 10, 100, 500}

// Lever is what a million events of one subscription cost by the size of its
// batches: only what that size changes, which is to receive, delete and invoke.
type Lever struct {
	Subscription string  `json:"subscription"`
	BatchSize    int     `json:"batchSize"` // the one reckoned with
	Window       float64 `json:"windowSeconds"`
	Measured     float64 `json:"measuredBatch"` // events a batch in the run, on average
	Reckoned     float64 `json:"reckonedBatch"` // and in the prices above
	FixedMs      float64 `json:"fixedMs"`
	EventMs      float64 `json:"eventMs"`
	Prices       []Point `json:"prices"`
}

// Point is the price of a million events in batches of a size.
type Point struct {
	Batch   float64 `json:"batch"`
	Dollars float64 `json:"dollars"`
}

func (m *model) levers() []Lever {
	var out []Lever
	for _, s := range m.subs {
		l := Lever{Subscription: s.name, BatchSize: s.size, Window: s.window, Measured: s.measured(), Reckoned: m.batch(s), FixedMs: s.f, EventMs: s.v}
		for _, size := range leverSizes {
			p := s.per(float64(size))
			l.Prices = append(l.Prices, Point{float64(size), million * (p.queueRequests*prices[meter.QueueRequest].dollars +
				p.functionRequests*prices[meter.FunctionRequest].dollars + s.gbSeconds(p.ms)*prices[meter.FunctionGBSecond].dollars)})
		}
		out = append(out, l)
	}
	return out
}

// notes are what a reader of the figures must know.
func (m *model) notes(leftOut []string) []string {
	var notes []string
	if m.in.Target.Region != "" && m.in.Target.Region != PricesIn {
		notes = append(notes, fmt.Sprintf("Environment %s is in %s: prices here are those of %s, and quotas those of %s.", m.in.Target.Name, m.in.Target.Region, PricesIn, m.in.Target.Region))
	}
	for _, s := range m.subs {
		if s.sameSize && m.batch(s) != s.measured() || s.sameSize && s.batches.Invocations < 3 {
			notes = append(notes, fmt.Sprintf("%s: every batch of the run had %s events, so a batch's fixed time is not known and taken for 0. Run batches of several sizes.", s.name, figure(math.Round(s.measured()))))
		}
	}
	if not := m.notRun(); len(not) > 0 {
		notes = append(notes, fmt.Sprintf("Environment %s has what was not in the run, and is not counted: %s.", m.in.Target.Name, strings.Join(not, ", ")))
	}
	if len(leftOut) > 0 {
		notes = append(notes, "Left out, since the templates have no such queue: "+strings.Join(leftOut, ", ")+".")
	}
	return append(notes, "Durations are those of this machine. Free tiers, storage, data transfer, KMS requests, tracing and support are not counted.")
}

// notRun is what the target's settings add to each event's price, and the run
// had none of.
func (m *model) notRun() []string {
	var not []string
	if m.in.Target.ArchiveRetentionDays > 0 && m.in.Usage.Quantity(meter.ArchivedByte) == 0 {
		not = append(not, "an archive of the bus")
	}
	if m.in.Target.BusLogLevel != "" {
		not = append(not, "a log of the bus")
	}
	if m.in.Target.EncryptionKey != "" {
		not = append(not, "requests to a key of KMS")
	}
	return not
}
