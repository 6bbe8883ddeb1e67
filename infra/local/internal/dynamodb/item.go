package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/expression"
)

// attributesOutput answers PutItem, UpdateItem and DeleteItem.
type attributesOutput struct {
	Attributes       jsontext.Value `json:",omitzero"`
	ConsumedCapacity *consumed      `json:",omitzero"`
}

func (s *Service) putItem(ctx context.Context, in *struct {
	target
	Item         attribute.Map
	ReturnValues string
	metered
}) (*attributesOutput, error) {
	if err := oneOf("returnValues", in.ReturnValues, "", "ALL_OLD", "NONE"); err != nil {
		return nil, err
	}
	c, err := s.newChange(ctx, put, &in.target, in.Item)
	if err != nil {
		return nil, err
	}
	return s.writeItem(ctx, c, in.ReturnValues, in.metered)
}

func (s *Service) deleteItem(ctx context.Context, in *struct {
	target
	Key          attribute.Map
	ReturnValues string
	metered
}) (*attributesOutput, error) {
	if err := oneOf("returnValues", in.ReturnValues, "", "ALL_OLD", "NONE"); err != nil {
		return nil, err
	}
	c, err := s.newChange(ctx, remove, &in.target, in.Key)
	if err != nil {
		return nil, err
	}
	return s.writeItem(ctx, c, in.ReturnValues, in.metered)
}

func (s *Service) updateItem(ctx context.Context, in *struct {
	target
	Key              attribute.Map
	UpdateExpression *string
	ReturnValues     string
	metered
}) (*attributesOutput, error) {
	if err := oneOf("returnValues", in.ReturnValues, "", "ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"); err != nil {
		return nil, err
	}
	in.target.UpdateExpression = in.UpdateExpression
	c, err := s.newChange(ctx, update, &in.target, in.Key)
	if err != nil {
		return nil, err
	}
	return s.writeItem(ctx, c, in.ReturnValues, in.metered)
}

// writeItem makes one change.
func (s *Service) writeItem(ctx context.Context, c *change, returnValues string, in metered) (*attributesOutput, error) {
	m, err := s.tally(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := c.place(); err != nil {
		return nil, err
	}
	showOld := strings.HasSuffix(returnValues, "_OLD")
	c.wantOld = showOld || m.tells()
	changes := []*change{c}
	defer s.lock(changes)()
	if err := c.evaluate(s); err != nil {
		m.refused(err, 1, c)
		return nil, err
	}
	if err := s.commit(changes, nil); err != nil {
		return nil, err
	}
	shown := c.next
	if showOld {
		shown = c.old
	}
	m.wrote(c, 1)
	out := &attributesOutput{ConsumedCapacity: m.one()}
	if shown == nil {
		return out, nil
	}
	switch returnValues {
	case "ALL_OLD", "ALL_NEW":
		out.Attributes = shown.json()
	case "UPDATED_OLD", "UPDATED_NEW":
		item, err := shown.item()
		if err != nil || c.update == nil {
			return out, err
		}
		if part := c.update.Updated(item); len(part) > 0 {
			out.Attributes = part.AppendJSON(nil)
		}
	}
	return out, nil
}

// selection is what the reads of single items share of their parameters.
type selection struct {
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

// projection parses the selection; it is nil if that is the whole item.
func (in *selection) projection() (*expression.Projection, error) {
	scope, err := expression.NewScope(in.ExpressionAttributeNames, nil)
	if err != nil {
		return nil, err
	}
	var p *expression.Projection
	if in.ProjectionExpression != nil {
		if p, err = scope.Projection(*in.ProjectionExpression); err != nil {
			return nil, err
		}
	}
	return p, scope.Unused()
}

// project returns the part of an item that a projection selects; all of it for
// nil.
func (r record) project(p *expression.Projection) (jsontext.Value, error) {
	if r == nil || p == nil {
		return r.jsonOrNil(), nil
	}
	item, err := r.item()
	if err != nil {
		return nil, err
	}
	return p.Of(item).AppendJSON(nil), nil
}

func (r record) jsonOrNil() jsontext.Value {
	if r == nil {
		return nil
	}
	return r.json()
}

// itemOutput answers GetItem, and each Get of TransactGetItems.
type itemOutput struct {
	Item             jsontext.Value `json:",omitzero"`
	ConsumedCapacity *consumed      `json:",omitzero"` // of GetItem
}

func (s *Service) getItem(ctx context.Context, in *struct {
	TableName      string
	Key            attribute.Map
	ConsistentRead bool // every read is; it costs twice as much
	selection
	ReturnConsumedCapacity string
}) (*itemOutput, error) {
	m, err := s.tally(ctx, metered{ReturnConsumedCapacity: in.ReturnConsumedCapacity})
	if err != nil {
		return nil, err
	}
	p, err := in.projection()
	if err != nil {
		return nil, err
	}
	if err := s.authorizeItems(ctx, "GetItem", in.TableName, in.Key); err != nil {
		return nil, err
	}
	t, err := s.find(in.TableName)
	if err != nil {
		return nil, err
	}
	key, err := t.keyOf(in.Key)
	if err != nil {
		return nil, err
	}
	// A write becomes visible in the store a moment before it is durable. The
	// lock makes a read wait for that moment.
	defer s.locks.rlock(key)()
	r, err := s.read(key)
	if err != nil {
		return nil, err
	}
	m.read(t, r.sizeOrNone(), consistency(in.ConsistentRead))
	item, err := r.project(p)
	return &itemOutput{item, m.one()}, err
}

// oneOf refuses a value that is not among the allowed ones. parameter is in
// camel case, as DynamoDB's errors have it.
func oneOf(parameter, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	named := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	return constraint(parameter, "'"+value+"'", "Member must satisfy enum value set: [%s]", strings.Join(named, ", "))
}

// constraint is the error for a parameter that is missing, or not of the form
// that DynamoDB's API model gives it.
func constraint(parameter, value, format string, args ...any) error {
	return invalid("1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", value, parameter, fmt.Sprintf(format, args...))
}
