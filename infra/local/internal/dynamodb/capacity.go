package dynamodb

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// metered are the parameters that ask what a request consumed. Item collection
// metrics are those of local secondary indexes: without any, DynamoDB returns
// none.
type metered struct {
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

// tally checks the parameters, and returns what counts the capacity that the
// request being answered consumes.
func (s *Service) tally(ctx context.Context, in metered) (*tally, error) {
	if err := oneOf("returnConsumedCapacity", in.ReturnConsumedCapacity, "", "INDEXES", "TOTAL", "NONE"); err != nil {
		return nil, err
	}
	if err := oneOf("returnItemCollectionMetrics", in.ReturnItemCollectionMetrics, "", "SIZE", "NONE"); err != nil {
		return nil, err
	}
	m := &tally{usage: s.config.Meter, perTable: in.ReturnConsumedCapacity == "INDEXES"}
	if s.config.Caller != nil {
		m.caller = s.config.Caller(ctx)
	}
	if m.perTable || in.ReturnConsumedCapacity == "TOTAL" {
		m.units = map[string]units{}
	}
	return m, nil
}

// A unit of capacity is a write of 1 KB, or a strongly consistent read of 4 KB;
// an eventually consistent read is half of one, and in a transaction everything
// counts twice ("DynamoDB on-demand capacity mode", read and write request
// units). Nothing is below one unit, or its half.
const (
	writeUnit = 1 << 10
	readUnit  = 4 << 10
)

const transactional = 2

func roundUp(bytes, unit int) float64 { return float64(max(1, (bytes+unit-1)/unit)) }

// consistency is what a read's units are multiplied by.
func consistency(consistent bool) float64 {
	if consistent {
		return 1
	}
	return 0.5
}

type units struct{ read, write float64 }

// tally counts by table: for the answer, if it was asked for, and for what
// AWS would bill.
type tally struct {
	usage    *meter.Meter
	caller   string // the Lambda function; empty: another
	perTable bool
	units    map[string]units // nil: the answer does not tell
}

// tells reports whether the answer is to tell what was consumed.
func (m *tally) tells() bool { return m.units != nil }

func (m *tally) read(t *table, bytes int, factor float64) {
	n := factor * roundUp(bytes, readUnit)
	m.usage.AddBy(meter.TableRead, t.Name, m.caller, n)
	if m.tells() {
		u := m.units[t.Name]
		u.read += n
		m.units[t.Name] = u
	}
}

// wrote counts an evaluated change, by the larger of the item before and after.
func (m *tally) wrote(c *change, factor float64) {
	n := factor * roundUp(max(c.old.sizeOrNone(), c.next.sizeOrNone()), writeUnit)
	m.usage.AddBy(meter.TableWrite, c.table.Name, m.caller, n)
	if m.tells() {
		u := m.units[c.table.Name]
		u.write += n
		m.units[c.table.Name] = u
	}
}

// refused counts changes that were not made, if that was for a condition or
// another's transaction: the writes are billed all the same ("Working with items
// and attributes in DynamoDB", conditional writes; "Amazon DynamoDB Transactions:
// How it works", capacity management).
func (m *tally) refused(err error, factor float64, changes ...*change) {
	var e *awswire.Error
	if !errors.As(err, &e) || e.Code != "ConditionalCheckFailedException" && e.Code != "TransactionCanceledException" {
		return
	}
	for _, c := range changes {
		m.wrote(c, factor)
	}
}

func (r record) sizeOrNone() int {
	if r == nil {
		return 0
	}
	return r.size()
}

// consumed is what a request consumed of one table. Transactions tell reads and
// writes apart.
type consumed struct {
	TableName          string
	CapacityUnits      float64
	ReadCapacityUnits  float64        `json:",omitzero"`
	WriteCapacityUnits float64        `json:",omitzero"`
	Table              *tableCapacity `json:",omitzero"`
}

type tableCapacity struct {
	CapacityUnits      float64
	ReadCapacityUnits  float64 `json:",omitzero"`
	WriteCapacityUnits float64 `json:",omitzero"`
}

// all is what was consumed of each table, in the order of their names.
func (m *tally) all(inTransaction bool) []consumed {
	if !m.tells() {
		return nil
	}
	var out []consumed
	for _, name := range slices.Sorted(maps.Keys(m.units)) {
		u := m.units[name]
		c := consumed{TableName: name, CapacityUnits: u.read + u.write}
		if inTransaction {
			c.ReadCapacityUnits, c.WriteCapacityUnits = u.read, u.write
		}
		if m.perTable {
			c.Table = &tableCapacity{c.CapacityUnits, c.ReadCapacityUnits, c.WriteCapacityUnits}
		}
		out = append(out, c)
	}
	return out
}

// one is what was consumed of the only table.
func (m *tally) one() *consumed {
	if all := m.all(false); len(all) > 0 {
		return &all[0]
	}
	return nil
}
