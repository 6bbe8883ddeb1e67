package dynamodb

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Table is a table as a template declares it.
type Table struct {
	Name         string // 3 to 255 letters, digits, hyphens, dots and underscores
	PartitionKey KeyAttribute
	SortKey      KeyAttribute // zero: the table has none
	StreamView   StreamView   // empty: the table has no stream
	// TTLAttribute is the attribute that holds when an item expires, a number
	// of seconds since 1970. Empty: no item expires.
	TTLAttribute string
	Tags         map[string]string
}

// KeyAttribute is a key of a table: its name (1 to 255 bytes), and its type,
// S, N or B.
type KeyAttribute struct {
	Name string
	Type string
}

func (k KeyAttribute) kind() attribute.Kind { return attribute.KindOf(k.Type) }

func (k KeyAttribute) check(table, which string) error {
	if k.Name == "" || len(k.Name) > 255 {
		return invalid("table %q: the name of its %s key has 1 to 255 bytes (got %q)", table, which, k.Name)
	}
	if k.Type != "S" && k.Type != "N" && k.Type != "B" {
		return invalid("table %q: its %s key %q: a key's type is S, N or B (got %q)", table, which, k.Name, k.Type)
	}
	return nil
}

// StreamView says what a stream shows of a changed item besides its key.
type StreamView string

// The stream view types ("StreamSpecification", Amazon DynamoDB API
// reference).
const (
	KeysOnly        StreamView = "KEYS_ONLY"
	NewImage        StreamView = "NEW_IMAGE"
	OldImage        StreamView = "OLD_IMAGE"
	NewAndOldImages StreamView = "NEW_AND_OLD_IMAGES"
)

func (v StreamView) showsNew() bool { return v == NewImage || v == NewAndOldImages }
func (v StreamView) showsOld() bool { return v == OldImage || v == NewAndOldImages }

var validTableName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

func (t Table) check() error {
	if !validTableName.MatchString(t.Name) {
		return invalid("table name %q: it has 3 to 255 letters, digits, hyphens, dots and underscores", t.Name)
	}
	if err := t.PartitionKey.check(t.Name, "partition"); err != nil {
		return err
	}
	if t.SortKey != (KeyAttribute{}) {
		if err := t.SortKey.check(t.Name, "sort"); err != nil {
			return err
		}
		if t.SortKey.Name == t.PartitionKey.Name {
			return invalid("table %q: partition key and sort key are both %q", t.Name, t.SortKey.Name)
		}
	}
	switch t.StreamView {
	case "", KeysOnly, NewImage, OldImage, NewAndOldImages:
	default:
		return invalid("table %q: stream view type %q: want KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES", t.Name, t.StreamView)
	}
	return nil
}

// savedTable is a table as the store keeps it.
type savedTable struct {
	Table
	ID          string
	CreatedAt   time.Time
	StreamLabel string // when the stream was enabled; empty: there is none
}

// streamLabelLayout is how a stream's label writes the time of its beginning.
const streamLabelLayout = "2006-01-02T15:04:05.000"

func tableKey() store.Key { return store.NewKey("dynamodb.table") }

// itemsKey is what the key of every item of a table begins with.
func itemsKey(table string) store.Key { return store.NewKey("dynamodb.item").String(table) }

// table is a table in use. It is never changed, but replaced.
type table struct {
	savedTable
	arn    string
	items  store.Key // what every item's key begins with
	stream *stream   // nil: none
}

func (s *Service) newTable(saved savedTable) (*table, error) {
	t := &table{savedTable: saved, arn: s.TableARN(saved.Name), items: itemsKey(saved.Name)}
	var err error
	if saved.StreamView != "" {
		t.stream, err = s.openStream(t)
	}
	return t, err
}

// CreateTable makes a table. Asked for one that exists it gives it the stream
// and the expiry attribute asked for, as a deployment does, and fails if its
// keys are others (ResourceInUseException). A stream whose view changes
// becomes another stream: it has a new ARN, and the old one's records are gone.
func (s *Service) CreateTable(_ context.Context, spec Table) error {
	if err := spec.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	saved := savedTable{Table: spec, ID: uuid.NewString(), CreatedAt: now}
	b := s.store.NewBatch()
	existing := s.tables[spec.Name]
	if existing != nil {
		if reflect.DeepEqual(existing.Table, spec) {
			b.Discard()
			return nil
		}
		if existing.PartitionKey != spec.PartitionKey || existing.SortKey != spec.SortKey {
			b.Discard()
			return awswire.Errorf("ResourceInUseException", "Table already exists: %s, with the keys %v and %v (asked for %v and %v): keys cannot be changed",
				spec.Name, existing.PartitionKey, existing.SortKey, spec.PartitionKey, spec.SortKey)
		}
		saved = existing.savedTable
		saved.Table = spec
		if existing.stream != nil && existing.StreamView != spec.StreamView {
			saved.StreamLabel = ""
			existing.stream.remove(b)
		}
	}
	if spec.StreamView != "" && saved.StreamLabel == "" {
		saved.StreamLabel = now.UTC().Format(streamLabelLayout)
	}
	value, err := json.Marshal(saved)
	if err != nil {
		b.Discard()
		return err
	}
	b.Set(tableKey().String(spec.Name), value)
	if existing == nil { // a write may have come after the end of a table of this name
		items := itemsKey(spec.Name)
		b.DeleteRange(items, items.After())
	}
	if err := b.Commit(); err != nil {
		return err
	}
	if existing != nil && existing.stream != nil && existing.StreamLabel == saved.StreamLabel {
		t := *existing
		t.savedTable = saved
		s.tables[spec.Name] = &t
		return nil
	}
	t, err := s.newTable(saved)
	if err != nil {
		return err
	}
	if existing != nil && existing.stream != nil {
		existing.stream.close()
	}
	s.tables[spec.Name] = t
	return nil
}

// TableARN returns the ARN of the table with the given name.
func (s *Service) TableARN(name string) string { return s.arnPrefix + name }

// StreamARN returns the ARN of a table's stream; ok is false if there is no
// such table or if it has no stream.
func (s *Service) StreamARN(name string) (arn string, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.tables[name]
	if !ok || t.stream == nil {
		return "", false
	}
	return t.stream.arn, true
}

// find finds a table by its name or its ARN.
func (s *Service) find(name string) (*table, error) {
	if name == "" {
		return nil, invalid("The parameter 'TableName' is required but was not present in the request")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t, ok := s.tables[strings.TrimPrefix(name, s.arnPrefix)]; ok {
		return t, nil
	}
	return nil, awswire.Errorf("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
}

// authorize asks whether the caller may perform an action, like Query, on the
// table of the given name or ARN, which need not exist. leading, if not nil,
// returns the values of the partition keys that the action is about
// (dynamodb:LeadingKeys, "Using IAM policy conditions for fine-grained access
// control").
func (s *Service) authorize(ctx context.Context, action, table string, leading func() []string) error {
	if table == "" {
		return nil // find says what is missing
	}
	return awswire.Authorize(ctx, awswire.Access{
		Action: "dynamodb:" + action, Resource: s.arnPrefix + strings.TrimPrefix(table, s.arnPrefix),
		Keys: func(key string) []string {
			if key != "dynamodb:leadingkeys" || leading == nil {
				return nil
			}
			return leading()
		},
	})
}

// authorized finds a table, if the caller may perform the action on it.
func (s *Service) authorized(ctx context.Context, action, name string) (*table, error) {
	if err := s.authorize(ctx, action, name, nil); err != nil {
		return nil, err
	}
	return s.find(name)
}

// authorizeItems asks whether the caller may perform an action on the items of a
// table that have the given keys, or are given themselves.
func (s *Service) authorizeItems(ctx context.Context, action, name string, items ...attribute.Map) error {
	return s.authorize(ctx, action, name, func() []string {
		t, err := s.find(name)
		if err != nil {
			return nil
		}
		var out []string
		for _, item := range items {
			if v := item.Get(t.PartitionKey.Name); v != nil {
				out = append(out, v.Text)
			}
		}
		return out
	})
}

// all returns the tables in the order of their names.
func (s *Service) all() []*table {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.tables), func(t, u *table) int { return strings.Compare(t.Name, u.Name) })
}

func (s *Service) describeTable(ctx context.Context, in *struct{ TableName string }) (*struct{ Table description }, error) {
	t, err := s.authorized(ctx, "DescribeTable", in.TableName)
	if err != nil {
		return nil, err
	}
	d := description{
		TableName:          t.Name,
		TableArn:           t.arn,
		TableId:            t.ID,
		TableStatus:        "ACTIVE",
		CreationDateTime:   float64(t.CreatedAt.UnixMilli()) / 1000,
		BillingModeSummary: billingMode{"PAY_PER_REQUEST"},
	}
	for _, k := range []struct {
		KeyAttribute
		role string
	}{{t.PartitionKey, "HASH"}, {t.SortKey, "RANGE"}} {
		if k.Name != "" {
			d.KeySchema = append(d.KeySchema, keySchema{k.Name, k.role})
			d.AttributeDefinitions = append(d.AttributeDefinitions, attributeDefinition{k.Name, k.Type})
		}
	}
	if t.stream != nil {
		d.StreamSpecification = &streamSpecification{true, t.StreamView}
		d.LatestStreamLabel = t.StreamLabel
		d.LatestStreamArn = t.stream.arn
	}
	for entry, err := range s.store.Scan(store.Prefix(t.items)) {
		if err != nil {
			return nil, err
		}
		d.ItemCount++
		d.TableSizeBytes += record(entry.Value).size()
	}
	return &struct{ Table description }{d}, nil
}

// description is what DescribeTable says of a table. DynamoDB counts items
// every six hours; here they are counted at the call.
type description struct {
	TableName             string
	TableArn              string
	TableId               string //nolint:revive // the API's spelling
	TableStatus           string
	CreationDateTime      float64
	KeySchema             []keySchema
	AttributeDefinitions  []attributeDefinition
	BillingModeSummary    billingMode
	ProvisionedThroughput struct{ ReadCapacityUnits, WriteCapacityUnits int }
	ItemCount             int
	TableSizeBytes        int
	StreamSpecification   *streamSpecification `json:",omitzero"`
	LatestStreamLabel     string               `json:",omitzero"`
	LatestStreamArn       string               `json:",omitzero"`
}

type keySchema struct{ AttributeName, KeyType string }

type attributeDefinition struct{ AttributeName, AttributeType string }

type billingMode struct{ BillingMode string }

type streamSpecification struct {
	StreamEnabled  bool
	StreamViewType StreamView
}

func (s *Service) describeTimeToLive(ctx context.Context, in *struct{ TableName string }) (*timeToLive, error) {
	t, err := s.authorized(ctx, "DescribeTimeToLive", in.TableName)
	if err != nil {
		return nil, err
	}
	out := &timeToLive{}
	out.TimeToLiveDescription.TimeToLiveStatus = "DISABLED"
	if t.TTLAttribute != "" {
		out.TimeToLiveDescription.TimeToLiveStatus, out.TimeToLiveDescription.AttributeName = "ENABLED", t.TTLAttribute
	}
	return out, nil
}

type timeToLive struct {
	TimeToLiveDescription struct {
		TimeToLiveStatus string
		AttributeName    string `json:",omitzero"`
	}
}

// listTags lists a table's tags, all on one page: there are at most 50.
func (s *Service) listTags(ctx context.Context, in *struct{ ResourceArn string }) (*tagList, error) {
	if !strings.HasPrefix(in.ResourceArn, s.arnPrefix) {
		return nil, invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", in.ResourceArn)
	}
	if err := s.authorize(ctx, "ListTagsOfResource", in.ResourceArn, nil); err != nil {
		return nil, err
	}
	t, err := s.find(in.ResourceArn)
	if err != nil {
		return nil, awswire.Errorf("ResourceNotFoundException", "Requested resource not found: ResourcArn: %s not found", in.ResourceArn)
	}
	out := &tagList{Tags: []tag{}}
	for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
		out.Tags = append(out.Tags, tag{key, t.Tags[key]})
	}
	return out, nil
}

type tagList struct{ Tags []tag }

type tag struct{ Key, Value string }

// maxListed is how many tables one ListTables names at most.
const maxListed = 100

type tableNames struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitzero"`
}

func (s *Service) listTables(ctx context.Context, in *struct {
	ExclusiveStartTableName string
	Limit                   *int
}) (*tableNames, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "dynamodb:ListTables", Resource: "*"}); err != nil {
		return nil, err
	}
	limit := maxListed
	if in.Limit != nil {
		if limit = *in.Limit; limit < 1 || limit > maxListed {
			return nil, invalid("Limit: want 1 to %d (got %d)", maxListed, limit)
		}
	}
	out := &tableNames{TableNames: []string{}}
	for _, t := range s.all() {
		if t.Name <= in.ExclusiveStartTableName {
			continue
		}
		if len(out.TableNames) == limit {
			out.LastEvaluatedTableName = out.TableNames[limit-1]
			break
		}
		out.TableNames = append(out.TableNames, t.Name)
	}
	return out, nil
}
