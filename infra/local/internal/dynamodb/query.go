package dynamodb

import (
	"bytes"
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/expression"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// maxPageBytes is how many bytes of items one Query or Scan looks at, before
// its filter: pages have "1 MB in size (or less)" ("Paginating table query
// results in DynamoDB").
const maxPageBytes = 1 << 20

// paging is what Query and Scan share of their parameters.
type paging struct {
	TableName                 string
	ConsistentRead            bool // see readPage
	Limit                     *int
	ExclusiveStartKey         attribute.Map
	FilterExpression          *string
	ProjectionExpression      *string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues attribute.Map
	Select                    string
	ReturnConsumedCapacity    string
}

type page struct {
	Items            []jsontext.Value `json:",omitzero"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey jsontext.Value `json:",omitzero"`
	ConsumedCapacity *consumed      `json:",omitzero"`
}

// pageReader is a paging with its expressions parsed.
type pageReader struct {
	table      *table
	scope      *expression.Scope
	limit      int // 0: none
	countOnly  bool
	filter     *expression.Condition  // nil: every item
	projection *expression.Projection // nil: whole items
	tally      *tally
	consistent bool // which only the tally looks at
}

// reader checks the parameters and parses the expressions, if the caller may
// perform the action, see authorize.
func (in *paging) reader(ctx context.Context, s *Service, action string, leading func() []string) (*pageReader, error) {
	if err := s.authorize(ctx, action, in.TableName, leading); err != nil {
		return nil, err
	}
	m, err := s.tally(ctx, metered{ReturnConsumedCapacity: in.ReturnConsumedCapacity})
	if err != nil {
		return nil, err
	}
	t, err := s.find(in.TableName)
	if err != nil {
		return nil, err
	}
	r := &pageReader{table: t, countOnly: in.Select == "COUNT", tally: m, consistent: in.ConsistentRead}
	if in.Limit != nil {
		if r.limit = *in.Limit; r.limit < 1 {
			return nil, constraint("limit", fmt.Sprintf("'%d'", r.limit), "Member must have value greater than or equal to 1")
		}
	}
	switch in.Select {
	case "":
	case "ALL_ATTRIBUTES", "COUNT":
		if in.ProjectionExpression != nil {
			return nil, invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
		}
	case "SPECIFIC_ATTRIBUTES":
		if in.ProjectionExpression == nil {
			return nil, invalid("Must specify the ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
		}
	default:
		return nil, invalid("parameter Select: %s is not supported by the local environment (want ALL_ATTRIBUTES, SPECIFIC_ATTRIBUTES or COUNT)", in.Select)
	}
	if r.scope, err = expression.NewScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues); err != nil {
		return nil, err
	}
	if in.FilterExpression != nil {
		if r.filter, err = r.scope.Condition("FilterExpression", *in.FilterExpression); err != nil {
			return nil, err
		}
	}
	if in.ProjectionExpression != nil {
		if r.projection, err = r.scope.Projection(*in.ProjectionExpression); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// leadingKeys is the partition key that a query's key condition asks for, if it
// can be read.
func (in *paging) leadingKeys(s *Service, keyCondition *string) []string {
	t, err := s.find(in.TableName)
	if err != nil || keyCondition == nil {
		return nil
	}
	scope, err := expression.NewScope(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil
	}
	c, err := scope.KeyCondition(*keyCondition, t.PartitionKey.Name, t.SortKey.Name)
	if err != nil {
		return nil
	}
	return []string{c.Partition.Text}
}

func (s *Service) query(ctx context.Context, in *struct {
	paging
	KeyConditionExpression *string
	ScanIndexForward       *bool
}) (*page, error) {
	r, err := in.reader(ctx, s, "Query", func() []string { return in.leadingKeys(s, in.KeyConditionExpression) })
	if err != nil {
		return nil, err
	}
	if in.KeyConditionExpression == nil {
		return nil, invalid("The KeyConditionExpression parameter must be specified in the request.")
	}
	c, err := r.scope.KeyCondition(*in.KeyConditionExpression, r.table.PartitionKey.Name, r.table.SortKey.Name)
	if err != nil {
		return nil, err
	}
	if err := r.scope.Unused(); err != nil {
		return nil, err
	}
	if r.filter != nil {
		for _, name := range r.filter.TopLevel() {
			if name == r.table.PartitionKey.Name || name == r.table.SortKey.Name {
				return nil, invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", name)
			}
		}
	}
	where, err := r.table.keyRange(c)
	if err != nil {
		return nil, err
	}
	where.Reverse = in.ScanIndexForward != nil && !*in.ScanIndexForward
	return s.readPage(r, where, in.ExclusiveStartKey)
}

func (s *Service) scan(ctx context.Context, in *struct{ paging }) (*page, error) {
	r, err := in.reader(ctx, s, "Scan", nil)
	if err != nil {
		return nil, err
	}
	if err := r.scope.Unused(); err != nil {
		return nil, err
	}
	return s.readPage(r, store.Prefix(r.table.items), in.ExclusiveStartKey)
}

// startAfter narrows a range to what comes after the item with the given key.
func (t *table) startAfter(where *store.Range, key attribute.Map) error {
	at, err := t.keyOf(key)
	if err != nil {
		return invalid("The provided starting key is invalid: The provided key element does not match the schema")
	}
	if bytes.Compare(at, where.From) < 0 || bytes.Compare(at, where.To) >= 0 {
		return invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	if where.Reverse {
		where.To = at
	} else {
		where.From = at.After()
	}
	return nil
}

// readPage reads the items of a range until the limit, or the page's size, is
// reached. It sees all writes that were acknowledged before, and may see one
// that is a moment from being durable.
func (s *Service) readPage(r *pageReader, where store.Range, startKey attribute.Map) (*page, error) {
	if startKey != nil {
		if err := r.table.startAfter(&where, startKey); err != nil {
			return nil, err
		}
	}
	out := &page{}
	if !r.countOnly {
		out.Items = []jsontext.Value{}
	}
	size := 0
	var last record // on the page
	for entry, err := range s.store.Scan(where) {
		if err != nil {
			return nil, err
		}
		found := record(entry.Value)
		// No item has more than 400 KB, and so the first one fits.
		full := size+found.size() > maxPageBytes
		if !full {
			out.ScannedCount++
			size += found.size()
			if err := r.add(out, found); err != nil {
				return nil, err
			}
			last = append(last[:0], found...)
		}
		if full || out.ScannedCount == r.limit {
			item, err := last.item()
			if err != nil {
				return nil, err
			}
			out.LastEvaluatedKey = r.table.keyPart(item).AppendJSON(nil)
			break
		}
	}
	r.tally.read(r.table, size, consistency(r.consistent))
	out.ConsumedCapacity = r.tally.one()
	return out, nil
}

// add adds an item to the page if the filter lets it through.
func (r *pageReader) add(out *page, found record) error {
	json := found.json()
	if r.filter != nil || r.projection != nil {
		item, err := found.item()
		if err != nil {
			return err
		}
		if r.filter != nil && !r.filter.Holds(item) {
			return nil
		}
		if r.projection != nil {
			json = r.projection.Of(item).AppendJSON(nil)
		}
	}
	out.Count++
	if !r.countOnly {
		out.Items = append(out.Items, bytes.Clone(json))
	}
	return nil
}
