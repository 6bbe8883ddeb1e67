package outboxdynamo

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// DynamoDB's limits ("Quotas in Amazon DynamoDB").
const (
	maxTransactItems = 100
	maxTransactBytes = 4 << 20
	maxItemBytes     = 400 << 10
)

// maxMessageBytes is how much event detail shares one item: the item's limit
// less room for its key, its attribute names and the reason why it is set
// aside.
const maxMessageBytes = maxItemBytes - 8<<10

// describe names an item that Write was given, as writes[2] (Put in ledger).
func describe(i int, w types.TransactWriteItem) string {
	action, table := "empty", ""
	switch {
	case w.Put != nil:
		action, table = "Put in", aws.ToString(w.Put.TableName)
	case w.Update != nil:
		action, table = "Update in", aws.ToString(w.Update.TableName)
	case w.Delete != nil:
		action, table = "Delete in", aws.ToString(w.Delete.TableName)
	case w.ConditionCheck != nil:
		action, table = "ConditionCheck in", aws.ToString(w.ConditionCheck.TableName)
	}
	return fmt.Sprintf("writes[%d] (%s)", i, strings.TrimSpace(action+" "+table))
}

// sizeOf is what is known of the size of an item that is written ("DynamoDB
// item sizes and formats"): all of a put, and of an update what it brings. It
// is never above what DynamoDB counts, so that nothing is refused here that
// DynamoDB would take.
func sizeOf(w types.TransactWriteItem) int {
	switch {
	case w.Put != nil:
		return mapSize(w.Put.Item)
	case w.Update != nil:
		size := mapSize(w.Update.Key)
		for _, v := range w.Update.ExpressionAttributeValues {
			// Some may only be compared with.
			if w.Update.ConditionExpression == nil {
				size += valueSize(v)
			}
		}
		return size
	case w.Delete != nil:
		return mapSize(w.Delete.Key)
	case w.ConditionCheck != nil:
		return mapSize(w.ConditionCheck.Key)
	}
	return 0
}

func mapSize(item map[string]types.AttributeValue) int {
	size := 0
	for name, v := range item {
		size += len(name) + valueSize(v)
	}
	return size
}

func valueSize(v types.AttributeValue) int {
	size := 0
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return 1 // and a byte for two significant digits, of at most 38
	case *types.AttributeValueMemberBOOL, *types.AttributeValueMemberNULL:
		return 1
	case *types.AttributeValueMemberSS:
		for _, s := range v.Value {
			size += len(s)
		}
	case *types.AttributeValueMemberBS:
		for _, b := range v.Value {
			size += len(b)
		}
	case *types.AttributeValueMemberNS:
		size = len(v.Value)
	case *types.AttributeValueMemberL:
		size = 3 + len(v.Value)
		for _, element := range v.Value {
			size += valueSize(element)
		}
	case *types.AttributeValueMemberM:
		size = 3 + len(v.Value) + mapSize(v.Value)
	}
	return size
}
