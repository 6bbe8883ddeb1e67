package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/expression"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// The limits of a transaction ("Amazon DynamoDB Transactions: How it works").
const (
	maxTransactItems = 100
	maxTransactBytes = 4 << 20
)

// transactItem is one action of TransactWriteItems; exactly one of its fields
// is set.
type transactItem struct {
	ConditionCheck *keyedAction
	Delete         *keyedAction
	Put            *struct {
		target
		Item attribute.Map
	}
	Update *struct {
		target
		Key              attribute.Map
		UpdateExpression *string
	}
}

type keyedAction struct {
	target
	Key attribute.Map
}

// change makes the change that the action asks for. number counts actions
// from 1.
func (in *transactItem) change(ctx context.Context, s *Service, number int) (c *change, err error) {
	missing := func(parameter string) error {
		return constraint(fmt.Sprintf("transactItems.%d.member.%s", number, parameter), "null", "Member must not be null")
	}
	given := 0
	if a := in.ConditionCheck; a != nil {
		given++
		if a.ConditionExpression == nil {
			return nil, missing("conditionCheck.conditionExpression")
		}
		c, err = s.newChange(ctx, check, &a.target, a.Key)
	}
	if a := in.Delete; a != nil {
		given++
		c, err = s.newChange(ctx, remove, &a.target, a.Key)
	}
	if a := in.Put; a != nil {
		given++
		c, err = s.newChange(ctx, put, &a.target, a.Item)
	}
	if a := in.Update; a != nil {
		given++
		if a.UpdateExpression == nil {
			return nil, missing("update.updateExpression")
		}
		a.target.UpdateExpression = a.UpdateExpression
		c, err = s.newChange(ctx, update, &a.target, a.Key)
	}
	if given != 1 {
		return nil, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	return c, err
}

func (s *Service) transactWriteItems(ctx context.Context, in *struct {
	TransactItems      []transactItem
	ClientRequestToken *string
	metered
}) (*transactWritten, error) {
	m, err := s.tally(ctx, in.metered)
	if err != nil {
		return nil, err
	}
	if err := checkCount("transactItems", len(in.TransactItems), maxTransactItems); err != nil {
		return nil, err
	}
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	changes := make([]*change, len(in.TransactItems))
	size := 0
	for i := range in.TransactItems {
		c, err := in.TransactItems[i].change(ctx, s, i+1)
		if err != nil {
			return nil, err
		}
		changes[i], c.wantOld = c, m.tells()
		n, _ := c.item.Measure()
		values, _ := c.in.ExpressionAttributeValues.Measure()
		size += n + values
	}
	if size > maxTransactBytes {
		return nil, invalid("Transaction payload size cannot exceed %d bytes (got %d)", maxTransactBytes, size)
	}
	repeat, err := s.transact(changes, in.ClientRequestToken)
	if err != nil {
		m.refused(err, transactional, changes...)
		return nil, err
	}
	for _, c := range changes {
		if repeat { // it costs what reading the items does
			m.read(c.table, c.old.sizeOrNone(), transactional)
		} else {
			m.wrote(c, transactional)
		}
	}
	return &transactWritten{m.all(true)}, nil
}

type transactWritten struct {
	ConsumedCapacity []consumed `json:",omitzero"`
}

// transact makes all the changes or none. What does not fit a table cancels
// the transaction before any condition is looked at. repeat means that they were
// made by an earlier call with the same token.
func (s *Service) transact(changes []*change, requestToken *string) (repeat bool, err error) {
	why := make(reasons, len(changes))
	for i, c := range changes {
		if err := c.place(); err != nil {
			if err := why.set(i, err); err != nil {
				return false, err
			}
			return false, why.err()
		}
	}
	if hasDuplicates(changes) {
		return false, invalid("Transaction request cannot include multiple operations on one item")
	}
	if requestToken == nil {
		defer s.lock(changes)()
		return false, s.allOrNothing(changes, why, nil)
	}
	t := newToken(*requestToken, changes)
	defer s.lock(changes, t.lockKey())()
	if repeat, err := s.isRepeat(t); repeat || err != nil {
		return repeat, err
	}
	return false, s.allOrNothing(changes, why, func(b *store.Batch) { s.saveToken(t, b) })
}

func (s *Service) allOrNothing(changes []*change, why reasons, more func(*store.Batch)) error {
	for i, c := range changes {
		if err := c.evaluate(s); err != nil {
			if err := why.set(i, err); err != nil {
				return err
			}
		}
	}
	if err := why.err(); err != nil {
		return err
	}
	return s.commit(changes, more)
}

func hasDuplicates(changes []*change) bool {
	keys := make([]store.Key, len(changes))
	for i, c := range changes {
		keys[i] = c.key
	}
	slices.SortFunc(keys, func(a, b store.Key) int { return bytes.Compare(a, b) })
	return len(slices.CompactFunc(keys, func(a, b store.Key) bool { return bytes.Equal(a, b) })) < len(changes)
}

// reason is why an action cancelled its transaction, or that it did not.
type reason struct {
	Code    string
	Message string         `json:",omitzero"`
	Item    jsontext.Value `json:",omitzero"`
}

// reasons are the reasons of a transaction's actions, in their order.
type reasons []reason

// reasonCodes are what reasons call the errors of single writes
// ("TransactWriteItems", Amazon DynamoDB API reference).
var reasonCodes = map[string]string{
	"ConditionalCheckFailedException": "ConditionalCheckFailed",
	"ValidationException":             "ValidationError",
}

// set notes the error of action i. What is none of DynamoDB's errors is
// returned.
func (r reasons) set(i int, err error) error {
	var refused *awswire.Error
	if !errors.As(err, &refused) {
		return err
	}
	r[i] = reason{Code: reasonCodes[refused.Code], Message: refused.Message}
	r[i].Item, _ = refused.Fields["Item"].(jsontext.Value)
	return nil
}

// err is nil if no action has a reason.
func (r reasons) err() error {
	codes := make([]string, len(r))
	failed := false
	for i := range r {
		if r[i].Code == "" {
			r[i].Code = "None"
		} else {
			failed = true
		}
		codes[i] = r[i].Code
	}
	if !failed {
		return nil
	}
	return &awswire.Error{
		Code:    "TransactionCanceledException",
		Message: "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]",
		Fields:  map[string]any{"CancellationReasons": []reason(r)},
	}
}

func (s *Service) transactGetItems(ctx context.Context, in *struct {
	TransactItems []struct {
		Get struct {
			TableName string
			Key       attribute.Map
			selection
		}
	}
	ReturnConsumedCapacity string
}) (*transactRead, error) {
	m, err := s.tally(ctx, metered{ReturnConsumedCapacity: in.ReturnConsumedCapacity})
	if err != nil {
		return nil, err
	}
	n := len(in.TransactItems)
	if err := checkCount("transactItems", n, maxTransactItems); err != nil {
		return nil, err
	}
	projections := make([]*expression.Projection, n)
	keys := make([]store.Key, n)
	tables := make([]*table, n)
	why := make(reasons, n)
	for i := range in.TransactItems {
		get := &in.TransactItems[i].Get
		if err := s.authorizeItems(ctx, "GetItem", get.TableName, get.Key); err != nil {
			return nil, err
		}
		t, err := s.find(get.TableName)
		if err != nil {
			return nil, err
		}
		tables[i] = t
		if projections[i], err = get.projection(); err != nil {
			return nil, err
		}
		if keys[i], err = t.keyOf(get.Key); err != nil {
			if err := why.set(i, err); err != nil {
				return nil, err
			}
		}
	}
	if err := why.err(); err != nil {
		return nil, err
	}
	defer s.locks.rlock(keys...)()
	out := &transactRead{Responses: make([]itemOutput, n)}
	size := 0
	for i, key := range keys {
		r, err := s.read(key)
		if err != nil {
			return nil, err
		}
		size += r.sizeOrNone()
		m.read(tables[i], r.sizeOrNone(), transactional)
		if out.Responses[i].Item, err = r.project(projections[i]); err != nil {
			return nil, err
		}
	}
	if size > maxTransactBytes {
		return nil, invalid("The aggregate size of the items in the transaction is %d bytes, and may be %d", size, maxTransactBytes)
	}
	out.ConsumedCapacity = m.all(true)
	return out, nil
}

type transactRead struct {
	Responses        []itemOutput
	ConsumedCapacity []consumed `json:",omitzero"`
}

// checkCount refuses a list without or with too many members.
func checkCount(parameter string, n, most int) error {
	switch {
	case n == 0:
		return constraint(parameter, "'[]'", "Member must have length greater than or equal to 1")
	case n > most:
		return constraint(parameter, fmt.Sprintf("'[%d members]'", n), "Member must have length less than or equal to %d", most)
	}
	return nil
}
