package cost

import (
	"cmp"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Quota is a limit of the account, and how near the events come to it.
type Quota struct {
	Name     string  `json:"name"`
	Limit    float64 `json:"limit"`
	PerEvent float64 `json:"perEvent"`       // what a published event a second takes of it
	BindsAt  float64 `json:"bindsAt"`        // published events a second, in batches as reckoned
	Used     float64 `json:"used,omitempty"` // of the limit at the rate given, 1: all
	WayOut   string  `json:"wayOut"`
}

// busQuota are the two of "Amazon EventBridge quotas" that differ by region:
// calls of PutEvents, and invocations of targets, a second.
type busQuota struct{ calls, invocations float64 }

var busQuotas = map[string]busQuota{
	"us-east-1": {10_000, 18_750}, "us-west-2": {10_000, 18_750}, "eu-west-1": {10_000, 18_750},
	"us-east-2": {2_400, 4_500}, "eu-central-1": {2_400, 4_500}, "eu-south-2": {2_400, 4_500},
	"us-west-1": {1_200, 2_250}, "ap-northeast-1": {1_200, 2_250}, "ap-southeast-1": {1_200, 2_250}, "ap-southeast-2": {1_200, 2_250}, "eu-west-2": {1_200, 2_250},
	"ca-central-1": {600, 1_100}, "eu-north-1": {600, 1_100}, "eu-west-3": {600, 1_100}, "sa-east-1": {600, 1_100},
	"ap-east-1": {600, 750}, "ap-northeast-2": {600, 750}, "ap-south-1": {600, 750},
}

// otherRegions is what the regions have that the page does not name.
var otherRegions = busQuota{400, 750}

const (
	// "Lambda quotas": concurrency where the account has no other, and requests
	// a second for each of it.
	lambdaConcurrency = 1000
	lambdaRequests    = 10
	// "Amazon SQS message quotas": messages in flight, of a standard queue.
	queueInFlight = 120_000
	// "Quotas in Amazon DynamoDB": units a second of an on-demand table.
	tableUnits = 40_000
	// "DynamoDB on-demand capacity mode": what a new table takes at once, and
	// then twice what it has taken before.
	newTableWrites, newTableReads = 4_000, 12_000
)

// quotas are those that the events use, the one that binds first before the
// others.
func (m *model) quotas() []Quota {
	var out []Quota
	add := func(name string, limit, perEvent float64, wayOut string) {
		if perEvent <= 0 {
			return
		}
		q := Quota{Name: name, Limit: limit, PerEvent: perEvent, BindsAt: limit / perEvent, WayOut: wayOut}
		q.Used = m.in.Rate / q.BindsAt
		out = append(out, q)
	}
	u := m.in.Usage
	const raise = "ask AWS for more"
	bus, known := busQuotas[cmp.Or(m.in.Target.Region, PricesIn)]
	if !known {
		bus = otherRegions
	}
	add("PutEvents calls a second", bus.calls, u.Quantity(meter.PutEventsCall)/m.published, "publish in batches of ten; "+raise)
	deliveries := 0.0
	for _, c := range u.Counts {
		// A subscription's rule has its queue's name.
		if _, ok := m.queues[c.Resource]; ok && c.Unit == meter.Delivery {
			deliveries += c.Quantity
		}
	}
	add("deliveries to targets a second", bus.invocations, deliveries/m.published, "what is above waits, and is delivered later; "+raise)

	invocations, ms := 0.0, 0.0 // per published event
	for _, b := range u.Batches {
		if i := slices.IndexFunc(m.subs, func(s *subscription) bool { return s.batches == b }); i < 0 {
			invocations += b.Invocations / m.published
			ms += b.BilledMs / m.published
		}
	}
	for _, s := range m.subs {
		batch := m.batch(s)
		p := s.per(batch)
		invocations += p.functionRequests * s.share
		ms += p.ms * s.share
		add("concurrency of "+s.name, float64(s.concurrency), p.ms*s.share/1000, "maxConcurrency in function.json; larger batches")
		add("messages in flight of "+s.name, queueInFlight, ((s.f+s.v*batch)/1000+s.window)*s.share, "a shorter window, or smaller batches")
	}
	concurrency := float64(cmp.Or(m.in.Target.Quotas.Concurrency, lambdaConcurrency))
	add("concurrency of the account", concurrency, ms/1000, "larger batches; "+raise)
	add("invocations a second of the account", lambdaRequests*concurrency, invocations, "larger batches; "+raise)

	for _, unit := range []struct {
		meter.Unit
		name string
		new  float64
	}{{meter.TableRead, "reads", newTableReads}, {meter.TableWrite, "writes", newTableWrites}} {
		tables := map[string]float64{}
		for _, c := range u.Counts {
			if c.Unit == unit.Unit {
				tables[strings.TrimPrefix(c.Resource, m.in.Run.Table(""))] += c.Quantity / m.published
			}
		}
		for name, n := range tables {
			add(unit.name+" a second of table "+name+" while it is new", unit.new, n, "it grows with its traffic; warm throughput makes it large at once")
			add(unit.name+" a second of table "+name, tableUnits, n, raise)
		}
	}
	slices.SortFunc(out, func(a, b Quota) int { return cmp.Or(cmp.Compare(a.BindsAt, b.BindsAt), cmp.Compare(a.Name, b.Name)) })
	return out
}
