package dynamodb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func putRequest(t *testing.T, text string) types.WriteRequest {
	return types.WriteRequest{PutRequest: &types.PutRequest{Item: item(t, text)}}
}

func deleteRequest(t *testing.T, key string) types.WriteRequest {
	return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item(t, key)}}
}

func TestBatchWriteItemPutsAndDeletesInSeveralTables(t *testing.T) {
	c := client(t, accounts, ledger)
	putAll(t, c, "accounts", `{"pk":{"S":"old"}}`)
	out, err := c.BatchWriteItem(t.Context(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		"accounts": {putRequest(t, `{"pk":{"S":"new"}}`), deleteRequest(t, `{"pk":{"S":"old"}}`), deleteRequest(t, `{"pk":{"S":"never"}}`)},
		"ledger":   {putRequest(t, `{"pk":{"S":"new"},"sk":{"N":"1"}}`)},
	}})
	if err != nil || len(out.UnprocessedItems) != 0 {
		t.Fatalf("got %v, %v", out, err)
	}
	got := get(t, c, "accounts", `{"pk":{"S":"new"}}`) + get(t, c, "accounts", `{"pk":{"S":"old"}}`) + get(t, c, "ledger", `{"pk":{"S":"new"},"sk":{"N":"1"}}`)
	if want := `{"pk":{"S":"new"}}{"pk":{"S":"new"},"sk":{"N":"1"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestABatchThatIsRefusedWritesNothing(t *testing.T) {
	c := client(t, accounts)
	many := func(n int) (out []types.WriteRequest) {
		for i := range n {
			out = append(out, putRequest(t, fmt.Sprintf(`{"pk":{"S":"%d"}}`, i)))
		}
		return out
	}
	for _, b := range []struct {
		name     string
		table    string
		requests []types.WriteRequest
		want     string
	}{
		{"26 requests", "accounts", many(26), "ValidationException: 1 validation error detected"},
		{"an item twice", "accounts", append(many(1), deleteRequest(t, `{"pk":{"S":"0"}}`)), "ValidationException: Provided list of item keys contains duplicates"},
		{"an item without its key", "accounts", append(many(1), putRequest(t, `{"a":{"S":"0"}}`)), "ValidationException: One or more parameter values were invalid: Missing the key pk in the item"},
		{"an item too large", "accounts", append(many(1), putRequest(t, `{"pk":{"S":"big"},"a":{"S":"`+strings.Repeat("x", 400<<10)+`"}}`)), "ValidationException: Item size has exceeded the maximum allowed size"},
		{"neither put nor delete", "accounts", append(many(1), types.WriteRequest{}), "ValidationException: Supplied AttributeValue has more than one datatypes set"},
		{"a table that is not there", "nowhere", many(1), "ResourceNotFoundException: Requested resource not found"},
		{"25 requests", "accounts", many(25), ""},
	} {
		t.Run(b.name, func(t *testing.T) {
			_, err := c.BatchWriteItem(t.Context(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{b.table: b.requests}})
			expect(t, err, "", b.want)
			if got := get(t, c, "accounts", `{"pk":{"S":"0"}}`); (got != "") != (b.want == "") {
				t.Errorf("the first item is %q", got)
			}
		})
	}
}

func TestBatchGetItem(t *testing.T) {
	c := client(t, accounts, ledger)
	putAll(t, c, "accounts", `{"pk":{"S":"a"},"x":{"N":"1"},"name":{"S":"A"}}`, `{"pk":{"S":"b"},"x":{"N":"2"}}`)
	putAll(t, c, "ledger", `{"pk":{"S":"a"},"sk":{"N":"1"}}`)
	keys := func(names ...string) (out []map[string]types.AttributeValue) {
		for _, name := range names {
			out = append(out, item(t, `{"pk":{"S":"`+name+`"}}`))
		}
		return out
	}
	out, err := c.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		"accounts": {Keys: keys("b", "never", "a"), ProjectionExpression: aws.String("x, #n"), ExpressionAttributeNames: map[string]string{"#n": "name"}},
		"ledger":   {Keys: []map[string]types.AttributeValue{item(t, `{"pk":{"S":"a"},"sk":{"N":"1"}}`)}, ConsistentRead: aws.Bool(true)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(out.Responses["accounts"]...), `{"x":{"N":"2"}} {"name":{"S":"A"},"x":{"N":"1"}}`; got != want {
		t.Errorf("accounts: got %s, want %s", got, want)
	}
	if got, want := text(out.Responses["ledger"]...), `{"pk":{"S":"a"},"sk":{"N":"1"}}`; got != want {
		t.Errorf("ledger: got %s, want %s", got, want)
	}
	if len(out.UnprocessedKeys) != 0 {
		t.Errorf("unprocessed: %v", out.UnprocessedKeys)
	}
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprint(i))
	}
	for _, b := range []struct {
		name string
		keys []map[string]types.AttributeValue
		want string
	}{
		{"101 keys", keys(many...), "ValidationException: Too many items requested for the BatchGetItem call"},
		{"a key twice", keys("a", "b", "a"), "ValidationException: Provided list of item keys contains duplicates"},
		{"another key", []map[string]types.AttributeValue{item(t, `{"id":{"S":"a"}}`)}, "ValidationException: The provided key element does not match the schema"},
	} {
		_, err := c.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"accounts": {Keys: b.keys}}})
		t.Run(b.name, func(t *testing.T) { expect(t, err, "", b.want) })
	}
}

func TestBatchGetItemLeavesWhatHasNoRoom(t *testing.T) {
	s, _ := open(t, t.TempDir(), accounts)
	big := strings.Repeat("x", 390<<10)
	var keys []map[string]types.AttributeValue
	for i := range 45 {
		must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"accounts","Item":{"pk":{"S":"%d"},"x":{"S":%q}}}`, i, big))
		keys = append(keys, item(t, fmt.Sprintf(`{"pk":{"S":"%d"}}`, i)))
	}
	c := connect(t, s)
	requests := map[string]types.KeysAndAttributes{"accounts": {Keys: keys, ProjectionExpression: aws.String("pk")}}
	var pages []int
	for len(requests) > 0 {
		out, err := c.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: requests})
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(out.Responses["accounts"]))
		requests = out.UnprocessedKeys
	}
	if fmt.Sprint(pages) != "[42 3]" {
		t.Errorf("answered %v items, want [42 3]", pages)
	}
}
