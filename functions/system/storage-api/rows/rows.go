// Package rows keeps the rows of users in the storage table: JSON documents, each
// by its id in a container, which is in a bucket, which is in a dataset.
//
// Whose a row is, is the beginning of its partition key, and every call here
// names the owner. So nobody finds the row of another: there is no condition to
// forget. A row that another has under the same name is another item.
//
// The storage trigger reads the table's stream; [FromImage] tells it what has
// changed.
package rows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
)

// MaxData is the largest row, in bytes of JSON. With its names and its owner it is
// an item of less than 400 KB ("Quotas in Amazon DynamoDB").
const MaxData = 384 << 10

// maxOwner is the longest name of an owner, in bytes: encoded, and with the names
// of a place, it still is a partition key of at most 2,048.
const maxOwner = 512

// Place is where rows are.
type Place struct{ Dataset, Bucket, Container string }

// Row is a row as it is kept.
type Row struct {
	ID      string
	ETag    string // changes with each change of the row
	Changed time.Time
	Data    json.RawMessage
}

// Condition is what must hold for a change; the zero value: nothing.
type Condition struct {
	ETag   string // the row is there, and has this ETag
	Absent bool   // the row is not there
}

// Errors of a call. A row of somebody else is not there.
var (
	ErrNotFound = errors.New("there is no such row")
	ErrChanged  = errors.New("the row is not as the condition says")
)

// NameError is about a name that no dataset, bucket, container or row can have.
type NameError struct{ what, rule string }

func (e *NameError) Error() string { return "the name of a " + e.what + " is " + e.rule }

var (
	placeName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)
	rowName   = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._:-]{0,199}$`)
)

// Check returns a [NameError] if no row can be there: a name has letters, digits,
// hyphens, underscores and points, up to 100 in all, and does not begin with a
// point.
func (p Place) Check() error {
	for _, one := range []struct{ what, name string }{{"dataset", p.Dataset}, {"bucket", p.Bucket}, {"container", p.Container}} {
		if !placeName.MatchString(one.name) {
			return &NameError{one.what, "1 to 100 letters, digits, hyphens, underscores and points, of which no point is the first"}
		}
	}
	return nil
}

// CheckID returns a [NameError] if no row can have the id: it is as a name of a
// place, may have colons, and up to 200 characters.
func CheckID(id string) error {
	if !rowName.MatchString(id) {
		return &NameError{"row", "1 to 200 letters, digits, hyphens, underscores, points and colons, of which neither a point nor a colon is the first"}
	}
	return nil
}

// API is what a [Table] needs of DynamoDB: *dynamodb.Client has it.
type API interface {
	dynamodb.QueryAPIClient
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Table is the storage table. It is safe for concurrent use if its client is.
type Table struct {
	Client API
	Name   string
}

// The attributes of an item. All are strings.
const (
	partitionAttribute = "pk" // the owner, encoded, and the place
	rowAttribute       = "sk" // the id, and so is the order in a container
	ownerAttribute     = "owner"
	datasetAttribute   = "dataset"
	bucketAttribute    = "bucket"
	containerAttribute = "container"
	etagAttribute      = "etag"
	changedAttribute   = "changed"
	dataAttribute      = "data" // JSON
)

// partition is the partition key of an owner's rows in a place. No part of it
// holds a slash but those that divide it: of names that is the rule, and an owner
// is encoded.
func partition(owner string, p Place) (string, error) {
	if owner == "" || len(owner) > maxOwner {
		return "", fmt.Errorf("rows: an owner of %d bytes: want 1 to %d", len(owner), maxOwner)
	}
	if err := p.Check(); err != nil {
		return "", err
	}
	return url.PathEscape(owner) + "/" + p.Dataset + "/" + p.Bucket + "/" + p.Container, nil
}

func key(owner string, p Place, id string) (map[string]types.AttributeValue, error) {
	pk, err := partition(owner, p)
	if err == nil {
		err = CheckID(id)
	}
	return map[string]types.AttributeValue{partitionAttribute: text(pk), rowAttribute: text(id)}, err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// Get reads a row. The error is ErrNotFound where the owner has none.
func (t *Table) Get(ctx context.Context, owner string, p Place, id string) (Row, error) {
	k, err := key(owner, p, id)
	if err != nil {
		return Row{}, err
	}
	out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.Name, Key: k, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return Row{}, err
	}
	if out.Item == nil {
		return Row{}, ErrNotFound
	}
	return decode(out.Item)
}

// List reads up to limit rows of a place, in the order of their ids, and what is
// behind the id after, if it is not empty. It may be fewer, since a page has at
// most 1 MB ("Query", DynamoDB API reference); more says whether there are any
// behind the last of them.
func (t *Table) List(ctx context.Context, owner string, p Place, after string, limit int32) (rows []Row, more bool, err error) {
	pk, err := partition(owner, p)
	if err != nil {
		return nil, false, err
	}
	in := &dynamodb.QueryInput{
		TableName: &t.Name, Limit: &limit, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("#pk = :pk"),
		ExpressionAttributeNames:  map[string]string{"#pk": partitionAttribute},
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text(pk)},
	}
	if after != "" {
		if err := CheckID(after); err != nil {
			return nil, false, err
		}
		in.ExclusiveStartKey = map[string]types.AttributeValue{partitionAttribute: text(pk), rowAttribute: text(after)}
	}
	out, err := t.Client.Query(ctx, in)
	if err != nil {
		return nil, false, err
	}
	for _, item := range out.Items {
		row, err := decode(item)
		if err != nil {
			return nil, false, err
		}
		rows = append(rows, row)
	}
	return rows, out.LastEvaluatedKey != nil, nil
}

// Put writes a row, and reports whether it was not there. The error is ErrChanged
// if the condition does not hold.
func (t *Table) Put(ctx context.Context, owner string, p Place, id string, data json.RawMessage, c Condition) (row Row, created bool, err error) {
	k, err := key(owner, p, id)
	if err != nil {
		return Row{}, false, err
	}
	if len(data) > MaxData || !json.Valid(data) {
		return Row{}, false, fmt.Errorf("rows: %d bytes of data: want valid JSON of at most %d", len(data), MaxData)
	}
	row = Row{ID: id, ETag: uuid.NewString(), Changed: time.Now().UTC().Truncate(time.Millisecond), Data: data}
	in := &dynamodb.PutItemInput{TableName: &t.Name, Item: k, ReturnValues: types.ReturnValueAllOld}
	for name, value := range map[string]string{
		ownerAttribute: owner, datasetAttribute: p.Dataset, bucketAttribute: p.Bucket, containerAttribute: p.Container,
		etagAttribute: row.ETag, changedAttribute: row.Changed.Format(time.RFC3339Nano), dataAttribute: string(data),
	} {
		in.Item[name] = text(value)
	}
	in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = c.expression()
	out, err := t.Client.PutItem(ctx, in)
	if err != nil {
		return Row{}, false, explain(err)
	}
	return row, out.Attributes == nil, nil
}

// Delete removes a row. The error is ErrNotFound where the owner has none, and
// ErrChanged if the condition does not hold.
func (t *Table) Delete(ctx context.Context, owner string, p Place, id string, c Condition) error {
	k, err := key(owner, p, id)
	if err != nil {
		return err
	}
	in := &dynamodb.DeleteItemInput{TableName: &t.Name, Key: k, ReturnValues: types.ReturnValueAllOld}
	in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = c.expression()
	out, err := t.Client.DeleteItem(ctx, in)
	if err != nil {
		return explain(err)
	}
	if out.Attributes == nil {
		return ErrNotFound
	}
	return nil
}

func (c Condition) expression() (*string, map[string]string, map[string]types.AttributeValue) {
	switch {
	case c.Absent:
		return aws.String("attribute_not_exists(#pk)"), map[string]string{"#pk": partitionAttribute}, nil
	case c.ETag != "":
		return aws.String("#etag = :etag"), map[string]string{"#etag": etagAttribute}, map[string]types.AttributeValue{":etag": text(c.ETag)}
	}
	return nil, nil, nil
}

func explain(err error) error {
	if changed := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &changed) {
		return ErrChanged
	}
	return err
}

// strings returns the attributes of an item that are text.
func stringsOf(item map[string]types.AttributeValue) map[string]string {
	out := map[string]string{}
	for name, value := range item {
		if s, ok := value.(*types.AttributeValueMemberS); ok {
			out[name] = s.Value
		}
	}
	return out
}

func decode(item map[string]types.AttributeValue) (Row, error) {
	a := stringsOf(item)
	changed, err := time.Parse(time.RFC3339Nano, a[changedAttribute])
	if err != nil || a[rowAttribute] == "" || !json.Valid([]byte(a[dataAttribute])) {
		return Row{}, fmt.Errorf("rows: item %s of %s is no row", a[rowAttribute], a[partitionAttribute])
	}
	return Row{ID: a[rowAttribute], ETag: a[etagAttribute], Changed: changed, Data: json.RawMessage(a[dataAttribute])}, nil
}

// Image is what an image of the table's stream says of a row.
type Image struct {
	Place
	Owner string
	ID    string
	Data  string // JSON
}

// FromImage reads the text attributes of an image of the table's stream: the new
// one, or of a deletion the old one. ok is false for what is no row.
func FromImage(attributes map[string]string) (i Image, ok bool) {
	i = Image{
		Place: Place{attributes[datasetAttribute], attributes[bucketAttribute], attributes[containerAttribute]},
		Owner: attributes[ownerAttribute], ID: attributes[rowAttribute], Data: attributes[dataAttribute],
	}
	return i, i.Owner != "" && i.Data != "" && i.Check() == nil && CheckID(i.ID) == nil
}
