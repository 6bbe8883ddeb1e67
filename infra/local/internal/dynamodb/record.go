package dynamodb

import (
	"encoding/binary"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// maxItemSize is how large an item may be, as DynamoDB counts it ("Quotas in
// Amazon DynamoDB").
const maxItemSize = 400 << 10

// record is an item as the store keeps it: its size, then its JSON. Equal
// items have equal records. nil is no item.
type record []byte

const recordHeader = 4

func newRecord(item attribute.Map, size int) record {
	// Most texts need little escaping; what JSON adds to an attribute is some
	// 12 bytes.
	r := make(record, recordHeader, recordHeader+size+size/8+16*len(item))
	binary.BigEndian.PutUint32(r, uint32(size))
	return item.AppendJSON(r)
}

func (r record) size() int            { return int(binary.BigEndian.Uint32(r)) }
func (r record) json() jsontext.Value { return jsontext.Value(r[recordHeader:]) }

// item decodes the record.
func (r record) item() (attribute.Map, error) {
	if r == nil {
		return nil, nil
	}
	return attribute.ParseMap(r.json())
}

// read returns the record under a key; nil if there is none.
func (s *Service) read(key store.Key) (record, error) {
	value, _, err := s.store.Get(key)
	return value, err
}
