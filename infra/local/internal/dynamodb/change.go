package dynamodb

import (
	"bytes"
	"context"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/expression"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// verb is what a change does with its item.
type verb byte

const (
	put    verb = 'P'
	update verb = 'U'
	remove verb = 'D'
	check  verb = 'C' // looks at the condition only
	expire verb = 'E' // removes the item if it has expired
)

// change is one item's part of a write. It is made by newChange, given its
// place by place, evaluated under the item's lock, and committed.
type change struct {
	verb      verb
	table     *table
	in        *target       // as asked for; nil: not by a caller, or without expressions
	item      attribute.Map // put: the new item; else the key
	update    *expression.Update
	condition *expression.Condition // nil: none
	wantOld   bool                  // the caller looks at old

	key store.Key // from place on

	old, next record // from evaluate on; old only if it was needed

	sequence uint64 // of the stream record, from write on; 0: there is none
}

// target is what the parameters of all writes have in common.
type target struct {
	TableName                           string
	UpdateExpression                    *string `json:"-"` // copied here from the parameters that have it
	ConditionExpression                 *string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           attribute.Map
	ReturnValuesOnConditionCheckFailure string
}

// action is what a change needs permission for, in transactions too ("Using IAM
// with DynamoDB transactions").
func (v verb) action() string {
	switch v {
	case put:
		return "PutItem"
	case update:
		return "UpdateItem"
	case remove:
		return "DeleteItem"
	}
	return "ConditionCheckItem"
}

// newChange parses the expressions of a write that the caller may make.
func (s *Service) newChange(ctx context.Context, v verb, in *target, item attribute.Map) (*change, error) {
	if err := s.authorizeItems(ctx, v.action(), in.TableName, item); err != nil {
		return nil, err
	}
	t, err := s.find(in.TableName)
	if err != nil {
		return nil, err
	}
	if err := oneOf("returnValuesOnConditionCheckFailure", in.ReturnValuesOnConditionCheckFailure, "", "ALL_OLD", "NONE"); err != nil {
		return nil, err
	}
	c := &change{verb: v, table: t, in: in, item: item}
	scope, err := expression.NewScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	if in.UpdateExpression != nil {
		if c.update, err = scope.Update(*in.UpdateExpression); err != nil {
			return nil, err
		}
	}
	if in.ConditionExpression != nil {
		if c.condition, err = scope.Condition("ConditionExpression", *in.ConditionExpression); err != nil {
			return nil, err
		}
	}
	return c, scope.Unused()
}

// place finds the key that the change is about, and refuses what does not fit
// the table.
func (c *change) place() (err error) {
	if c.verb != put {
		if c.key, err = c.table.keyOf(c.item); err != nil {
			return err
		}
		if c.update != nil {
			for _, k := range c.table.keys() {
				if c.update.Touches(k.Name) {
					return invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", k.Name)
				}
			}
		}
		return nil
	}
	if c.key, err = c.table.itemKey(c.item); err != nil {
		return err
	}
	size, _ := c.item.Measure()
	if size > maxItemSize {
		return invalid("Item size has exceeded the maximum allowed size: %d bytes, of which %d are allowed", size, maxItemSize)
	}
	c.next = newRecord(c.item, size)
	return nil
}

// lock locks the items of changes, and further keys.
func (s *Service) lock(changes []*change, more ...store.Key) (unlock func()) {
	for _, c := range changes {
		more = append(more, c.key)
	}
	return s.locks.lock(more...)
}

// evaluate finds out what becomes of the item, whose lock is held. Its error
// is a ConditionalCheckFailedException, a ValidationException if the item does
// not allow the update, or none of DynamoDB's.
func (c *change) evaluate(s *Service) (err error) {
	decode := c.condition != nil || c.verb == update || c.verb == expire
	if decode || c.wantOld || c.table.stream != nil {
		if c.old, err = s.read(c.key); err != nil {
			return err
		}
	}
	var item attribute.Map
	if decode {
		if item, err = c.old.item(); err != nil {
			return err
		}
	}
	if c.condition != nil && !c.condition.Holds(item) {
		failed := &awswire.Error{Code: "ConditionalCheckFailedException", Message: "The conditional request failed"}
		if c.in.ReturnValuesOnConditionCheckFailure == "ALL_OLD" && c.old != nil {
			failed.Fields = map[string]any{"Item": c.old.json()}
		}
		return failed
	}
	switch c.verb {
	case update:
		c.next, err = c.updated(item)
	case check:
		c.next = c.old
	case expire:
		if !c.table.expired(item, time.Now()) {
			c.next = c.old
		}
	}
	return err
}

// updated applies the update to the item.
func (c *change) updated(item attribute.Map) (record, error) {
	exists := c.old != nil
	if !exists {
		item = c.item
	}
	if c.update != nil {
		var err error
		if item, err = c.update.Apply(item, exists); err != nil {
			return nil, err
		}
		if !exists && !c.update.Creates() {
			return nil, nil
		}
	}
	size, depth := item.Measure()
	if size > maxItemSize {
		return nil, invalid("Item size to update has exceeded the maximum allowed size: %d bytes, of which %d are allowed", size, maxItemSize)
	}
	if depth > attribute.MaxDepth {
		return nil, attribute.ErrDepth
	}
	return newRecord(item, size), nil
}

// commit writes evaluated changes, with their stream records and whatever more
// adds, all together, and returns once that is durable.
func (s *Service) commit(changes []*change, more func(*store.Batch)) error {
	now := time.Now()
	b := s.store.NewBatch()
	for _, c := range changes {
		c.write(b, now)
		defer c.end()
	}
	if more != nil {
		more(b)
	}
	if b.Empty() {
		b.Discard()
		return nil
	}
	return b.Commit()
}

// write puts the change and its stream record into a batch. What changes
// nothing is not written and not in the stream ("Change data capture for
// DynamoDB Streams").
func (c *change) write(b *store.Batch, now time.Time) {
	stream := c.table.stream
	same := c.old != nil && bytes.Equal(c.old, c.next) || c.old == nil && c.next == nil && stream != nil
	if c.verb == check || same {
		return
	}
	if c.next == nil {
		b.Delete(c.key)
	} else {
		b.Set(c.key, c.next)
	}
	if stream != nil {
		c.sequence = stream.begin()
		b.Set(stream.key(c.sequence), stream.record(c, c.sequence, now))
	}
}

// end tells the stream that the change's batch is durable, or has failed.
func (c *change) end() {
	if c.sequence != 0 {
		c.table.stream.end(c.sequence)
	}
}
