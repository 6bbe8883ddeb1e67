package localcrash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// version is a state that a thing had never before.
func version(random *rand.Rand) string { return fmt.Sprintf("v%016x", random.Uint64()) }

// itemOf is an item in a state, which it holds twice.
func itemOf(name, state string) item {
	return item{"pk": text(name), "state": text(state), "filler": text(strings.Repeat(state, 20))}
}

// stateOf is the state of an item that was read.
func stateOf(i item) string {
	if len(i) == 0 {
		return nothing
	}
	state, _ := i["state"].(*types.AttributeValueMemberS)
	filler, _ := i["filler"].(*types.AttributeValueMemberS)
	if state == nil || filler == nil || filler.Value != strings.Repeat(state.Value, 20) {
		return halved + fmt.Sprint(len(i), " attributes")
	}
	return state.Value
}

func named(prefix string, n int) (out []*thing) {
	for i := range n {
		out = append(out, &thing{name: fmt.Sprintf("%s%02d", prefix, i)})
	}
	return out
}

// allThings are the things of every kind, each with a client of its own.
func (l *load) allThings() []*things {
	return []*things{l.itemThings("a"), l.itemThings("b"), l.pairThings(), l.expiringThings(), l.secretThings(), l.mappingThings(), l.queueThings()}
}

// itemThings are items that are put, updated, deleted, and written in batches.
func (l *load) itemThings(prefix string) *things {
	client, table := l.dynamodb, aws.String(itemsTable)
	return &things{kind: kindItems, load: l, things: named("item/"+prefix, 60), read: l.readItem,
		change: func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error {
			t, err := pick()
			if err != nil {
				return err
			}
			state := version(random)
			key := item{"pk": text(t.name)}
			switch random.IntN(4) {
			case 0:
				try(t, nothing)
				_, err = client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key})
			case 1:
				try(t, state)
				_, err = client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: table, Key: key,
					UpdateExpression: aws.String("SET #s = :s, filler = :f"), ExpressionAttributeNames: map[string]string{"#s": "state"},
					ExpressionAttributeValues: item{":s": text(state), ":f": text(strings.Repeat(state, 20))}})
			case 2:
				try(t, state)
				_, err = client.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: itemOf(t.name, state)})
			default:
				var writes []types.WriteRequest
				for i := range 5 {
					if i > 0 {
						if t, err = pick(); err != nil {
							return err
						}
					}
					if random.IntN(3) == 0 {
						try(t, nothing)
						writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"pk": text(t.name)}}})
						continue
					}
					try(t, state)
					writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: itemOf(t.name, state)}})
				}
				_, err = client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{itemsTable: writes}})
			}
			return err
		}}
}

func (l *load) readItem(ctx context.Context, name string) (string, error) {
	out, err := l.dynamodb.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(itemsTable), Key: item{"pk": text(name)}, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	return stateOf(out.Item), nil
}

// pairThings are pairs of items that are only ever changed together.
func (l *load) pairThings() *things {
	client, table := l.dynamodb, aws.String(itemsTable)
	return &things{kind: kindPairs, load: l, things: named("pair/", 40),
		read: func(ctx context.Context, name string) (string, error) {
			get := func(part string) types.TransactGetItem {
				return types.TransactGetItem{Get: &types.Get{TableName: table, Key: item{"pk": text(name + part)}}}
			}
			out, err := client.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{get("/1"), get("/2")}})
			if err != nil {
				return "", err
			}
			first, second := stateOf(out.Responses[0].Item), stateOf(out.Responses[1].Item)
			if first != second {
				return halved + first + " and " + second, nil
			}
			return first, nil
		},
		change: func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error {
			t, err := pick()
			if err != nil {
				return err
			}
			state := version(random)
			write := func(part string) types.TransactWriteItem {
				return types.TransactWriteItem{Put: &types.Put{TableName: table, Item: itemOf(t.name+part, state)}}
			}
			if random.IntN(3) == 0 {
				state = nothing
				write = func(part string) types.TransactWriteItem {
					return types.TransactWriteItem{Delete: &types.Delete{TableName: table, Key: item{"pk": text(t.name + part)}}}
				}
			}
			try(t, state)
			_, err = client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
				ClientRequestToken: aws.String(version(random)), TransactItems: []types.TransactWriteItem{write("/1"), write("/2")}})
			return err
		}}
}

// expiringThings are items of which some have expired when they are written:
// those may go at any time, and must not come back. The others must stay.
func (l *load) expiringThings() *things {
	const expired = "expired "
	return &things{kind: kindExpiring, load: l, things: named("expiring/", 40), read: l.readItem,
		fades: func(state string) bool { return strings.HasPrefix(state, expired) },
		change: func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error {
			t, err := pick()
			if err != nil {
				return err
			}
			state, at := version(random), time.Now().Add(time.Hour)
			if random.IntN(2) == 0 {
				state, at = expired+state, time.Now().Add(-time.Hour)
			}
			written := itemOf(t.name, state)
			written["expires"] = &types.AttributeValueMemberN{Value: fmt.Sprint(at.Unix())}
			try(t, state)
			_, err = l.dynamodb.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(itemsTable), Item: written})
			rest(ctx, 10*time.Millisecond)
			return err
		}}
}
