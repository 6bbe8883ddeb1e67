// Package revocations says which function sessions are valid no longer, though
// they have not expired.
//
// A revocation is of everything that was minted until then: of one session, or
// for an event, a function or a user. What is minted afterwards is valid; so a
// function whose sessions were revoked goes on with the next attempt. Once
// everything that it is about has expired, so does it.
package revocations

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/functions/session"
)

// Kind is what a revocation is of.
type Kind string

// The kinds of revocations. The value of a Session is the jti of its token.
const (
	Session  Kind = "session"
	Event    Kind = "event"
	Function Kind = "function"
	User     Kind = "user"
)

// API is what a [Table] needs of DynamoDB: *dynamodb.Client has it.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// Table keeps revocations. It is safe for concurrent use if its client is.
type Table struct {
	Client API
	Name   string // the table's
}

// The attributes of an item.
const (
	keyAttribute     = "pk"      // <kind>#<value>
	untilAttribute   = "until"   // what was issued until then is revoked, Unix seconds
	expiresAttribute = "expires" // by which DynamoDB removes it
)

func key(kind Kind, value string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{keyAttribute: &types.AttributeValueMemberS{Value: string(kind) + "#" + value}}
}

// Revoke revokes what was minted until now. When it returns, every authorizer
// refuses it. It returns when the last session that it is about has expired.
func (t *Table) Revoke(ctx context.Context, kind Kind, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, fmt.Errorf("which %s's sessions?", kind)
	}
	now := time.Now()
	expires := now.Add(session.MaxLifetime + time.Minute)
	item := key(kind, value)
	item[untilAttribute] = seconds(now)
	item[expiresAttribute] = seconds(expires)
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.Name, Item: item})
	return expires, err
}

func seconds(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(t.Unix(), 10)}
}

// Revoked reports whether a session was revoked. It reads consistently: what
// Revoke has returned for counts.
func (t *Table) Revoked(ctx context.Context, s session.Session) (bool, error) {
	keys := []map[string]types.AttributeValue{key(Session, s.ID), key(Event, s.Event), key(Function, s.Function), key(User, s.User)}
	for attempt := 0; len(keys) > 0; attempt++ {
		if attempt == 3 {
			return false, errors.New("revocations: DynamoDB does not answer for all of them")
		}
		out, err := t.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			t.Name: {Keys: keys, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return false, fmt.Errorf("revocations: %w", err)
		}
		for _, item := range out.Responses[t.Name] {
			n, _ := item[untilAttribute].(*types.AttributeValueMemberN)
			if n == nil {
				return false, errors.New("revocations: an item of the table is no revocation")
			}
			until, err := strconv.ParseInt(n.Value, 10, 64)
			if err != nil {
				return false, fmt.Errorf("revocations: %w", err)
			}
			// To the second, as a token says it: what was minted in the same
			// second counts as before.
			if s.Issued.Unix() <= until {
				return true, nil
			}
		}
		keys = out.UnprocessedKeys[t.Name].Keys
	}
	return false, nil
}
