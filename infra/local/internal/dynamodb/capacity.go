package dynamodb

import (
	"maps"
	"slices"
)

// metered are the parameters that ask what a request consumed. Item collection
// metrics are those of local secondary indexes: without any, DynamoDB returns
// none.
type metered struct {
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

// meter checks the parameters, and returns what counts the capacity that a
// request consumes; nil, which counts nothing, if it is not asked for.
func (in metered) meter() (*meter, error) {
	if err := oneOf("returnConsumedCapacity", in.ReturnConsumedCapacity, "", "INDEXES", "TOTAL", "NONE"); err != nil {
		return nil, err
	}
	if err := oneOf("returnItemCollectionMetrics", in.ReturnItemCollectionMetrics, "", "SIZE", "NONE"); err != nil {
		return nil, err
	}
	if in.ReturnConsumedCapacity == "" || in.ReturnConsumedCapacity == "NONE" {
		return nil, nil
	}
	return &meter{perTable: in.ReturnConsumedCapacity == "INDEXES", units: map[string]units{}}, nil
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

// meter counts by table. Methods on nil do nothing.
type meter struct {
	perTable bool
	units    map[string]units
}

func (m *meter) read(t *table, bytes int, factor float64) {
	if m != nil {
		u := m.units[t.Name]
		u.read += factor * roundUp(bytes, readUnit)
		m.units[t.Name] = u
	}
}

// wrote counts an evaluated change, by the larger of the item before and after.
func (m *meter) wrote(c *change, factor float64) {
	if m != nil {
		u := m.units[c.table.Name]
		u.write += factor * roundUp(max(c.old.sizeOrNone(), c.next.sizeOrNone()), writeUnit)
		m.units[c.table.Name] = u
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
func (m *meter) all(inTransaction bool) []consumed {
	if m == nil {
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
func (m *meter) one() *consumed {
	if all := m.all(false); len(all) > 0 {
		return &all[0]
	}
	return nil
}
