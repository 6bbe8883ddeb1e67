package dynamodb

import (
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/expression"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// How long keys may be, in bytes ("Quotas in Amazon DynamoDB").
const (
	maxPartitionKey = 2048
	maxSortKey      = 1024
)

// itemKey returns the key under which an item is stored.
func (t *table) itemKey(item attribute.Map) (store.Key, error) {
	key := t.items
	for _, k := range t.keys() {
		v := item.Get(k.Name)
		if v == nil {
			return nil, invalid("One or more parameter values were invalid: Missing the key %s in the item", k.Name)
		}
		if v.Kind != k.kind() {
			return nil, invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %v", k.Name, k.Type, v.Kind)
		}
		if err := t.checkKey(k, v); err != nil {
			return nil, err
		}
		key = key.String(v.Ordered())
	}
	return key, nil
}

// keyOf returns the key under which the item with the given key is stored.
func (t *table) keyOf(key attribute.Map) (store.Key, error) {
	keys := t.keys()
	mismatch := len(key) != len(keys)
	for _, k := range keys {
		v := key.Get(k.Name)
		mismatch = mismatch || v == nil || v.Kind != k.kind()
	}
	if mismatch {
		return nil, invalid("The provided key element does not match the schema")
	}
	return t.itemKey(key)
}

// keys returns the table's one or two keys.
func (t *table) keys() []KeyAttribute {
	if t.SortKey.Name == "" {
		return []KeyAttribute{t.PartitionKey}
	}
	return []KeyAttribute{t.PartitionKey, t.SortKey}
}

// keyPart returns an item's key.
func (t *table) keyPart(item attribute.Map) attribute.Map {
	var key attribute.Map
	for _, k := range t.keys() {
		if v := item.Get(k.Name); v != nil {
			key = key.With(k.Name, *v)
		}
	}
	return key
}

func (t *table) checkKey(k KeyAttribute, v *attribute.Value) error {
	if v.Kind == attribute.N {
		return nil
	}
	switch n := len(v.Text); {
	case n == 0:
		what := "string"
		if v.Kind == attribute.B {
			what = "binary"
		}
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", what, k.Name)
	case k == t.PartitionKey && n > maxPartitionKey:
		return invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of %d bytes", maxPartitionKey)
	case k == t.SortKey && n > maxSortKey:
		return invalid("One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of %d bytes", maxSortKey)
	}
	return nil
}

// keyRange returns where the items lie that a key condition names.
func (t *table) keyRange(c *expression.KeyCondition) (store.Range, error) {
	if err := t.checkConditionValue(t.PartitionKey, c.Partition); err != nil {
		return store.Range{}, err
	}
	partition := t.items.String(c.Partition.Ordered())
	r := store.Prefix(partition)
	if c.Sort == nil {
		return r, nil
	}
	for _, v := range c.Sort.Values {
		if err := t.checkConditionValue(t.SortKey, v); err != nil {
			return store.Range{}, err
		}
	}
	text := c.Sort.Values[0].Ordered()
	at := partition.String(text)
	switch c.Sort.Operator {
	case "=":
		return store.Prefix(at), nil
	case "<":
		r.To = at
	case "<=":
		r.To = at.After()
	case ">":
		r.From = at.After()
	case ">=":
		r.From = at
	case "BETWEEN":
		r.From, r.To = at, partition.String(c.Sort.Values[1].Ordered()).After()
	case "begins_with":
		return store.Prefix(partition.StringPrefix(text)), nil
	}
	return r, nil
}

func (t *table) checkConditionValue(k KeyAttribute, v attribute.Value) error {
	if v.Kind != k.kind() {
		return invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
	}
	return t.checkKey(k, &v)
}
