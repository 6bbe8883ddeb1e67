package idempotency

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// DynamoDBAPI is what a [DynamoDB] needs of the service: *dynamodb.Client has
// it. It is all that the function needs to be allowed, for keys that begin with
// its own name.
type DynamoDBAPI interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// DynamoDB is a Store in a table whose partition key is the string pk, and whose
// TTL attribute is expires. Penstock provisions one, and names it in
// PENSTOCK_IDEMPOTENCY_TABLE to a function whose manifest has "idempotency":
// true.
//
// An item is {pk, expires, owner}: a lock until expires, in seconds since 1970.
// Without an owner the key was handled. What has expired counts as if it were
// not there, whenever DynamoDB deletes it. An event costs two writes of one
// capacity unit, or one if it is a duplicate. They are single writes, several
// at once: conditions are not for BatchWriteItem, and in a transaction they
// would cost twice as much and fail together.
type DynamoDB struct {
	client DynamoDBAPI
	table  string
}

var _ Store = (*DynamoDB)(nil)

// NewDynamoDB returns the Store in the given table. It makes no call. It panics
// for an empty name.
func NewDynamoDB(client DynamoDBAPI, table string) *DynamoDB {
	if table == "" {
		panic(`idempotency: no table: PENSTOCK_IDEMPOTENCY_TABLE holds its name in a function whose manifest has "idempotency": true`)
	}
	return &DynamoDB{client, table}
}

// Lock implements [Store].
func (s *DynamoDB) Lock(ctx context.Context, l Lock) error {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                &s.table,
		Item:                     item(l.Key, l.Until, l.Owner),
		ConditionExpression:      aws.String("attribute_not_exists(pk) OR expires <= :now OR #owner = :owner"),
		ExpressionAttributeNames: map[string]string{"#owner": "owner"}, // a reserved word
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now":   seconds(l.Now.Unix()),
			":owner": text(l.Owner),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var taken *types.ConditionalCheckFailedException
	if !errors.As(err, &taken) {
		return err
	}
	if _, locked := taken.Item["owner"]; !locked {
		return ErrHandled
	}
	n, ok := taken.Item["expires"].(*types.AttributeValueMemberN)
	if !ok {
		return fmt.Errorf("the item %q of table %s has no expires", l.Key, s.table)
	}
	until, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		return fmt.Errorf("the item %q of table %s: expires: %w", l.Key, s.table, err)
	}
	return &HeldError{time.Unix(until, 0)}
}

// Complete implements [Store].
func (s *DynamoDB) Complete(ctx context.Context, l Lock, until time.Time) error {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: item(l.Key, until, "")})
	return err
}

// Release implements [Store]. It leaves an item that has expired, so that a
// function needs no right to delete.
func (s *DynamoDB) Release(ctx context.Context, l Lock) error {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                 &s.table,
		Item:                      item(l.Key, l.Now.Truncate(time.Second), l.Owner),
		ConditionExpression:       aws.String("#owner = :owner"),
		ExpressionAttributeNames:  map[string]string{"#owner": "owner"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":owner": text(l.Owner)},
	})
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return nil
	}
	return err
}

// item is a lock, or without an owner a mark; until is rounded up to the second.
func item(key string, until time.Time, owner string) map[string]types.AttributeValue {
	i := map[string]types.AttributeValue{
		"pk":      text(key),
		"expires": seconds(until.Add(time.Second - time.Nanosecond).Unix()),
	}
	if owner != "" {
		i["owner"] = text(owner)
	}
	return i
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func seconds(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
