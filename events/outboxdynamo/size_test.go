package outboxdynamo

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestTheSizeOfAWriteIsWhatDynamoDBCountsAtLeast(t *testing.T) {
	item := map[string]types.AttributeValue{
		"s":  &types.AttributeValueMemberS{Value: "äb"},                                             // 1 + 3
		"b":  &types.AttributeValueMemberB{Value: []byte("abc")},                                    // 1 + 3
		"n":  &types.AttributeValueMemberN{Value: "12345"},                                          // 1 + 1 at least
		"o":  &types.AttributeValueMemberBOOL{Value: true},                                          // 1 + 1
		"0":  &types.AttributeValueMemberNULL{Value: true},                                          // 1 + 1
		"ss": &types.AttributeValueMemberSS{Value: []string{"ab", "c"}},                             // 2 + 3
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{[]byte("ab"), []byte("c")}},             // 2 + 3
		"ns": &types.AttributeValueMemberNS{Value: []string{"1", "2"}},                              // 2 + 2 at least
		"l":  &types.AttributeValueMemberL{Value: []types.AttributeValue{text("ab")}},               // 1 + 3 + 1 + 2
		"m":  &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"k": text("ab")}}, // 1 + 3 + 1 + 1 + 2
	}
	const all = 4 + 4 + 2 + 2 + 2 + 5 + 5 + 4 + 7 + 8
	values := map[string]types.AttributeValue{":v": text("abcd")}
	for what, c := range map[string]struct {
		write types.TransactWriteItem
		want  int
	}{
		"a put":                  {types.TransactWriteItem{Put: &types.Put{Item: item}}, all},
		"an update":              {types.TransactWriteItem{Update: &types.Update{Key: item, ExpressionAttributeValues: values}}, all + 4},
		"one with a condition":   {types.TransactWriteItem{Update: &types.Update{Key: item, ExpressionAttributeValues: values, ConditionExpression: aws.String("a = :v")}}, all},
		"a delete":               {types.TransactWriteItem{Delete: &types.Delete{Key: item}}, all},
		"a condition check":      {types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{Key: item}}, all},
		"an item without action": {types.TransactWriteItem{}, 0},
	} {
		if got := sizeOf(c.write); got != c.want {
			t.Errorf("%s: %d bytes, want %d", what, got, c.want)
		}
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
