package dynamodb

import (
	"context"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

// The limits of batches ("BatchWriteItem" and "BatchGetItem", Amazon DynamoDB
// API reference). BatchWriteItem's 16 MB are the wire's.
const (
	maxBatchWrites = 25
	maxBatchGets   = 100
	maxBatchBytes  = 16 << 20
)

// writeRequest is one write of BatchWriteItem; exactly one of its fields is
// set.
type writeRequest struct {
	PutRequest    *struct{ Item attribute.Map }
	DeleteRequest *struct{ Key attribute.Map }
}

// writes returns the items and keys that requests write.
func writes(requests []writeRequest) []attribute.Map {
	var out []attribute.Map
	for _, r := range requests {
		if r.PutRequest != nil {
			out = append(out, r.PutRequest.Item)
		}
		if r.DeleteRequest != nil {
			out = append(out, r.DeleteRequest.Key)
		}
	}
	return out
}

type unprocessedItems struct {
	UnprocessedItems map[string][]struct{}
	ConsumedCapacity []consumed `json:",omitzero"`
}

// batchWriteItem makes all its changes in one commit: DynamoDB does not promise
// that, nor that none is left unprocessed.
func (s *Service) batchWriteItem(ctx context.Context, in *struct {
	RequestItems map[string][]writeRequest
	metered
}) (*unprocessedItems, error) {
	m, err := s.tally(ctx, in.metered)
	if err != nil {
		return nil, err
	}
	if err := checkTables(len(in.RequestItems)); err != nil {
		return nil, err
	}
	var changes []*change
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		if err := s.authorizeItems(ctx, "BatchWriteItem", name, writes(in.RequestItems[name])...); err != nil {
			return nil, err
		}
		t, err := s.find(name)
		if err != nil {
			return nil, err
		}
		if err := checkCount("requestItems."+name+".member", len(in.RequestItems[name]), maxBatchWrites); err != nil {
			return nil, err
		}
		for _, r := range in.RequestItems[name] {
			c := &change{table: t, wantOld: m.tells()}
			switch {
			case r.PutRequest != nil && r.DeleteRequest == nil:
				c.verb, c.item = put, r.PutRequest.Item
			case r.DeleteRequest != nil && r.PutRequest == nil:
				c.verb, c.item = remove, r.DeleteRequest.Key
			default:
				return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
			}
			if err := c.place(); err != nil {
				return nil, err
			}
			changes = append(changes, c)
		}
	}
	if len(changes) > maxBatchWrites {
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	if hasDuplicates(changes) {
		return nil, errDuplicateKeys
	}
	defer s.lock(changes)()
	for _, c := range changes {
		if err := c.evaluate(s); err != nil {
			return nil, err
		}
		m.wrote(c, 1)
	}
	return &unprocessedItems{map[string][]struct{}{}, m.all(false)}, s.commit(changes, nil)
}

var errDuplicateKeys = invalid("Provided list of item keys contains duplicates")

func checkTables(n int) error {
	if n == 0 {
		return constraint("requestItems", "'{}'", "Member must have length greater than or equal to 1")
	}
	return nil
}

// keysAndAttributes is what BatchGetItem asks of one table.
type keysAndAttributes struct {
	Keys           []attribute.Map
	ConsistentRead bool // every read is; it costs twice as much
	selection
}

// unprocessedKeys is the part of a keysAndAttributes that there was no room to
// answer.
type unprocessedKeys struct {
	Keys                     []jsontext.Value
	ConsistentRead           bool              `json:",omitzero"`
	ProjectionExpression     *string           `json:",omitzero"`
	ExpressionAttributeNames map[string]string `json:",omitzero"`
}

type batchGetOutput struct {
	Responses        map[string][]jsontext.Value
	UnprocessedKeys  map[string]*unprocessedKeys
	ConsumedCapacity []consumed `json:",omitzero"`
}

func (s *Service) batchGetItem(ctx context.Context, in *struct {
	RequestItems           map[string]*keysAndAttributes
	ReturnConsumedCapacity string
}) (*batchGetOutput, error) {
	m, err := s.tally(ctx, metered{ReturnConsumedCapacity: in.ReturnConsumedCapacity})
	if err != nil {
		return nil, err
	}
	if err := checkTables(len(in.RequestItems)); err != nil {
		return nil, err
	}
	out := &batchGetOutput{Responses: map[string][]jsontext.Value{}, UnprocessedKeys: map[string]*unprocessedKeys{}}
	tables := slices.Sorted(maps.Keys(in.RequestItems))
	count := 0
	for _, name := range tables {
		if count += len(in.RequestItems[name].Keys); count > maxBatchGets {
			return nil, invalid("Too many items requested for the BatchGetItem call")
		}
	}
	size := 0
	for _, name := range tables {
		if err := s.batchGet(ctx, name, in.RequestItems[name], out, &size, m); err != nil {
			return nil, err
		}
	}
	out.ConsumedCapacity = m.all(false)
	return out, nil
}

// batchGet reads from one table. size is how much the answer holds already.
func (s *Service) batchGet(ctx context.Context, name string, in *keysAndAttributes, out *batchGetOutput, size *int, m *tally) error {
	if err := s.authorizeItems(ctx, "BatchGetItem", name, in.Keys...); err != nil {
		return err
	}
	t, err := s.find(name)
	if err != nil {
		return err
	}
	if err := checkCount("requestItems."+name+".member.keys", len(in.Keys), maxBatchGets); err != nil {
		return err
	}
	p, err := in.projection()
	if err != nil {
		return err
	}
	items := []jsontext.Value{}
	seen := map[string]bool{}
	for _, k := range in.Keys {
		key, err := t.keyOf(k)
		if err != nil {
			return err
		}
		if seen[string(key)] {
			return errDuplicateKeys
		}
		seen[string(key)] = true
		unlock := s.locks.rlock(key)
		r, err := s.read(key)
		unlock()
		if err != nil {
			return err
		}
		if r == nil {
			m.read(t, 0, consistency(in.ConsistentRead))
			continue
		}
		if *size += r.size(); *size > maxBatchBytes {
			left := out.UnprocessedKeys[name]
			if left == nil {
				left = &unprocessedKeys{nil, in.ConsistentRead, in.ProjectionExpression, in.ExpressionAttributeNames}
				out.UnprocessedKeys[name] = left
			}
			left.Keys = append(left.Keys, k.AppendJSON(nil))
			continue
		}
		m.read(t, r.size(), consistency(in.ConsistentRead))
		item, err := r.project(p)
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	out.Responses[name] = items
	return nil
}
