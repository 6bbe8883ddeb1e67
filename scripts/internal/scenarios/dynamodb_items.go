package scenarios

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func (r *run) items() *string { return str(r.target.Stack + "-items") }

// key is the key of an item of the scenario's own.
func (r *run) key(sk string) item { return item{"pk": s(r.prefix), "sk": s(sk)} }

// store puts an item with the given members, without noting it, and removes it
// at the end.
func (r *run) store(sk string, members item) {
	it := r.key(sk)
	for name, value := range members {
		it[name] = value
	}
	must(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it}))
	r.removeLater(sk)
}

// removeLater removes an item at the end.
func (r *run) removeLater(sk string) {
	r.later(func() error {
		_, err := r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key(sk)})
		return err
	})
}

// seeItem notes an item.
func (r *run) seeItem(sk string) {
	r.see(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: r.items(), Key: r.key(sk), ConsistentRead: new(true)}))
}

func items() []Scenario {
	return scenarios("dynamodb",
		Scenario{Name: "an item of every type is put, read and deleted", play: func(r *run) {
			r.removeLater("1")
			it := r.key("1")
			for name, value := range (item{
				"text": s("ünïcode 🎈"), "empty": s(""), "number": n("12.50"), "large": n("1E+20"), "small": n("-0.000000001"), "bytes": b("\x00\x01\xff"), "yes": boolean(true), "null": null(),
				"strings": ss("b", "a"), "numbers": ns("1", "2.0"), "bytesets": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}},
				"list": list(s("x"), n(1), list()), "map": object(item{"inner": object(item{}), "n": n(0)}),
			}) {
				it[name] = value
			}
			r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it}))
			r.seeItem("1")
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1")}))
			r.seeItem("1")
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1")}))
		}},
		Scenario{Name: "PutItem returns what it replaced, on request", play: func(r *run) {
			r.removeLater("1")
			for i, values := range []types.ReturnValue{"ALL_OLD", "ALL_OLD", "NONE", "ALL_NEW"} {
				it := r.key("1")
				it["n"] = n(i)
				r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it, ReturnValues: values}))
			}
		}},
		Scenario{Name: "UpdateItem returns what it was asked for", play: func(r *run) {
			for _, values := range []types.ReturnValue{"NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"} {
				r.store("1", item{"a": n(1), "b": n(2)})
				r.see(r.db.UpdateItem(r.ctx, &dynamodb.UpdateItemInput{TableName: r.items(), Key: r.key("1"), ReturnValues: values,
					UpdateExpression: str("SET a = a + :one, c = :one"), ExpressionAttributeValues: item{":one": n(1)}}))
			}
		}},
		Scenario{Name: "DeleteItem returns what it deleted, on request", play: func(r *run) {
			r.store("1", item{"a": n(1)})
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1"), ReturnValues: "ALL_OLD"}))
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1"), ReturnValues: "ALL_OLD"}))
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1"), ReturnValues: "UPDATED_OLD"}))
		}},
		Scenario{Name: "an update makes the item that is missing", play: func(r *run) {
			r.removeLater("1")
			r.see(r.db.UpdateItem(r.ctx, &dynamodb.UpdateItemInput{TableName: r.items(), Key: r.key("1")}))
			r.seeItem("1")
		}},
		Scenario{Name: "a condition that fails changes nothing, and shows the item on request", play: func(r *run) {
			r.store("1", item{"a": n(1)})
			for _, values := range []types.ReturnValuesOnConditionCheckFailure{"", "NONE", "ALL_OLD"} {
				r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: r.key("1"), ConditionExpression: str("attribute_not_exists(pk)"), ReturnValuesOnConditionCheckFailure: values}))
			}
			r.see(r.db.UpdateItem(r.ctx, &dynamodb.UpdateItemInput{TableName: r.items(), Key: r.key("1"), UpdateExpression: str("SET a = :two"), ConditionExpression: str("a = :two"),
				ExpressionAttributeValues: item{":two": n(2)}, ReturnValuesOnConditionCheckFailure: "ALL_OLD"}))
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1"), ConditionExpression: str("a = :two"),
				ExpressionAttributeValues: item{":two": n(2)}, ReturnValuesOnConditionCheckFailure: "ALL_OLD"}))
			r.see(r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("none"), ConditionExpression: str("attribute_exists(pk)"), ReturnValuesOnConditionCheckFailure: "ALL_OLD"}))
			r.seeItem("1")
		}},
		Scenario{Name: "keys are checked", play: func(r *run) {
			get := func(key item) {
				r.see(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: r.items(), Key: key}))
			}
			get(item{"pk": s("x")})
			get(item{"pk": s("x"), "sk": n(1)})
			get(item{"pk": s("x"), "sk": s("y"), "extra": s("z")})
			get(item{"pk": s(""), "sk": s("y")})
			put := func(it item) {
				r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it}))
			}
			put(item{"pk": s("x")})
			put(item{"pk": s(""), "sk": s("y")})
			put(item{"pk": n(1), "sk": s("y")})
			put(item{"pk": s(strings.Repeat("x", 2049)), "sk": s("y")})
			put(item{"pk": s("x"), "sk": s(strings.Repeat("x", 1025))})
		}},
		Scenario{Name: "values are checked", play: func(r *run) {
			for _, value := range []types.AttributeValue{
				n("seven"), n(""), n("1E+126"), n("1E-131"), n(strings.Repeat("9", 39)), ss(), ss("a", "a"), ns("1", "1.0"), &types.AttributeValueMemberNULL{Value: false},
			} {
				it := r.key("1")
				it["v"] = value
				r.removeLater("1")
				r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it}))
			}
		}},
		Scenario{Name: "numbers keep their digits, and lose their zeros", play: func(r *run) {
			for i, number := range []string{"007", "1.500", "-0", "1e3", "1E-2", "123456789012345678901234567890.12345678", "0.1e1"} {
				r.store(fmt.Sprint(i), item{"v": n(number)})
				r.seeItem(fmt.Sprint(i))
			}
		}},
		Scenario{Name: "an item has at most 400 KB", play: func(r *run) {
			r.removeLater("1")
			base := len("pk") + len(r.prefix) + len("sk") + len("1") + len("v")
			for _, size := range []int{400 << 10, 400<<10 + 1} {
				it := r.key("1")
				it["v"] = s(strings.Repeat("x", size-base))
				r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it}))
			}
		}},
		Scenario{Name: "an update cannot make an item too large", play: func(r *run) {
			r.store("1", item{"v": s(strings.Repeat("x", 390<<10))})
			r.see(r.db.UpdateItem(r.ctx, &dynamodb.UpdateItemInput{TableName: r.items(), Key: r.key("1"), UpdateExpression: str("SET w = :w"),
				ExpressionAttributeValues: item{":w": s(strings.Repeat("x", 20<<10))}}))
		}},
		Scenario{Name: "a part of an item is read", play: func(r *run) {
			r.store("1", item{"a": object(item{"b": list(s("x"), s("y"), s("z")), "c": n(1)}), "size": n(2), "d": n(3)})
			get := func(projection string, names map[string]string) {
				r.see(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: r.items(), Key: r.key("1"), ProjectionExpression: &projection, ExpressionAttributeNames: names}))
			}
			get("a.b[1], #s", map[string]string{"#s": "size"})
			get("a.b[0], a.b[2], a.c", nil)
			get("missing, a.x, d", nil)
			get("size", nil)
			get("d, d", nil)
			get("a, a.b", nil)
			get("a.b[", nil)
			get("d", map[string]string{"#unused": "x"})
		}},
		Scenario{Name: "tables that are not there", play: func(r *run) {
			none := str(r.name("none"))
			r.see(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: none, Key: r.key("1")}))
			r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: none, Item: r.key("1")}))
			r.see(r.db.Query(r.ctx, &dynamodb.QueryInput{TableName: none, KeyConditionExpression: str("pk = :a"), ExpressionAttributeValues: item{":a": s("x")}}))
			r.see(r.db.DescribeTable(r.ctx, &dynamodb.DescribeTableInput{TableName: none}))
			r.see(r.db.DescribeTimeToLive(r.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: none}))
		}},
		Scenario{Name: "a table is described", play: func(r *run) {
			t := must(r.db.DescribeTable(r.ctx, &dynamodb.DescribeTableInput{TableName: r.items()})).Table
			r.note("table", map[string]any{"TableName": t.TableName, "TableArn": t.TableArn, "TableStatus": t.TableStatus, "TableId": t.TableId, "KeySchema": t.KeySchema,
				"AttributeDefinitions": t.AttributeDefinitions, "BillingMode": t.BillingModeSummary.BillingMode, "StreamSpecification": t.StreamSpecification,
				"LatestStreamLabel": t.LatestStreamLabel, "LatestStreamArn": t.LatestStreamArn, "TableSizeBytes known": t.TableSizeBytes != nil, "ItemCount known": t.ItemCount != nil})
			r.see(r.db.DescribeTimeToLive(r.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: r.items()}))
			r.see(r.db.DescribeTimeToLive(r.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: str(r.target.Stack + "-numbers")}))
			tags := must(r.db.ListTagsOfResource(r.ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: t.TableArn})).Tags
			for _, tag := range tags {
				if !strings.HasPrefix(*tag.Key, "aws:") {
					r.note("tag", tag)
				}
			}
		}},
		Scenario{Name: "the table's capacity is told on request", play: func(r *run) {
			r.removeLater("1")
			it := r.key("1")
			it["v"] = s(strings.Repeat("x", 3000))
			r.see(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: r.items(), Item: it, ReturnConsumedCapacity: "TOTAL"}))
			out := must(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: r.items(), Key: r.key("1"), ReturnConsumedCapacity: "TOTAL"}))
			r.note("an eventually consistent read", out.ConsumedCapacity)
			out = must(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: r.items(), Key: r.key("1"), ConsistentRead: new(true), ReturnConsumedCapacity: "TOTAL"}))
			r.note("a consistent read", out.ConsumedCapacity)
		}},
	)
}
