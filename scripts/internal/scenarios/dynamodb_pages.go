package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// query notes a query of the scenario's own items.
func (r *run) query(edit func(*dynamodb.QueryInput)) *dynamodb.QueryOutput {
	in := &dynamodb.QueryInput{TableName: r.items(), KeyConditionExpression: str("pk = :pk"), ExpressionAttributeValues: item{":pk": s(r.prefix)}}
	edit(in)
	out, err := r.db.Query(r.ctx, in)
	r.see(out, err)
	return out
}

func pages() []Scenario {
	five := func(r *run) {
		for i, sk := range []string{"a1", "a2", "b1", "b2", "c1"} {
			r.store(sk, item{"i": n(i), "even": boolean(i%2 == 0)})
		}
	}
	return scenarios("dynamodb",
		Scenario{Name: "items are queried in the order of their sort key", play: func(r *run) {
			five(r)
			r.query(func(*dynamodb.QueryInput) {})
			r.query(func(in *dynamodb.QueryInput) { in.ScanIndexForward = new(false) })
		}},
		Scenario{Name: "a query narrows the sort key", play: func(r *run) {
			five(r)
			for _, c := range []struct {
				condition string
				values    item
			}{
				{"sk = :a", item{":a": s("b1")}}, {"sk < :a", item{":a": s("b1")}}, {"sk <= :a", item{":a": s("b1")}}, {"sk > :a", item{":a": s("b1")}}, {"sk >= :a", item{":a": s("b1")}},
				{"sk BETWEEN :a AND :b", item{":a": s("a2"), ":b": s("b2")}}, {"begins_with(sk, :a)", item{":a": s("a")}}, {"begins_with(sk, :a)", item{":a": s("z")}},
			} {
				r.query(func(in *dynamodb.QueryInput) {
					in.KeyConditionExpression = str("pk = :pk AND " + c.condition)
					for name, value := range c.values {
						in.ExpressionAttributeValues[name] = value
					}
				})
			}
		}},
		Scenario{Name: "a query is filtered, projected and counted", play: func(r *run) {
			five(r)
			even := func(in *dynamodb.QueryInput) {
				in.FilterExpression = str("even = :yes")
				in.ExpressionAttributeValues[":yes"] = boolean(true)
			}
			r.query(even)
			r.query(func(in *dynamodb.QueryInput) { even(in); in.ProjectionExpression = str("i") })
			r.query(func(in *dynamodb.QueryInput) { even(in); in.Select = types.SelectCount })
			r.query(func(in *dynamodb.QueryInput) { even(in); in.Limit = new(int32(2)) })
			r.query(func(in *dynamodb.QueryInput) { in.FilterExpression = str("sk = :pk") })
		}},
		Scenario{Name: "a query goes on where it ended", play: func(r *run) {
			five(r)
			var start item
			for range 4 {
				out := r.query(func(in *dynamodb.QueryInput) { in.Limit, in.ExclusiveStartKey = new(int32(2)), start })
				if start = out.LastEvaluatedKey; start == nil {
					break
				}
			}
			r.query(func(in *dynamodb.QueryInput) {
				in.ScanIndexForward, in.Limit, in.ExclusiveStartKey = new(false), new(int32(2)), r.key("b2")
			})
			r.query(func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = r.key("missing") })
		}},
		Scenario{Name: "queries that are not valid are refused", play: func(r *run) {
			for _, condition := range []string{
				"", "sk = :pk", "pk > :pk", "pk = :pk OR sk = :pk", "pk = :pk AND i = :pk", "pk = :pk AND sk <> :pk", "pk = :pk AND contains(sk, :pk)", "pk = :pk AND sk = :none", "pk = :pk AND pk = :pk",
				"begins_with(pk, :pk)", "NOT pk = :pk", "pk = :pk AND sk IN (:pk)",
			} {
				r.query(func(in *dynamodb.QueryInput) { in.KeyConditionExpression = &condition })
			}
			r.query(func(in *dynamodb.QueryInput) { in.Limit = new(int32(0)) })
			r.query(func(in *dynamodb.QueryInput) { in.ExpressionAttributeValues[":pk"] = n(1) })
			r.query(func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = item{"pk": s("other"), "sk": s("x")} })
			r.query(func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = item{"pk": s(r.prefix)} })
			r.query(func(in *dynamodb.QueryInput) { in.Select = types.SelectSpecificAttributes })
			r.query(func(in *dynamodb.QueryInput) {
				in.Select, in.ProjectionExpression = types.SelectCount, str("i")
			})
		}},
		Scenario{Name: "a sort key of numbers is in their order", play: func(r *run) {
			table := str(r.target.Stack + "-numbers")
			for _, number := range []string{"-10", "-1.5", "0", "2", "10", "1E+20", "0.001"} {
				key := item{"pk": s(r.prefix), "sk": n(number)}
				must(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: table, Item: key}))
				r.later(func() error {
					_, err := r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key})
					return err
				})
			}
			for _, condition := range []string{"pk = :pk", "pk = :pk AND sk BETWEEN :low AND :high"} {
				in := &dynamodb.QueryInput{TableName: table, KeyConditionExpression: &condition, ExpressionAttributeValues: item{":pk": s(r.prefix)}}
				if strings.Contains(condition, ":low") {
					in.ExpressionAttributeValues[":low"], in.ExpressionAttributeValues[":high"] = n(-2), n(2)
				}
				r.see(r.db.Query(r.ctx, in))
			}
		}},
		Scenario{Name: "a partition key may be binary", play: func(r *run) {
			table, key := str(r.target.Stack+"-binary"), item{"pk": b(r.prefix + "\x00\xff")}
			r.later(func() error {
				_, err := r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key})
				return err
			})
			must(r.db.PutItem(r.ctx, &dynamodb.PutItemInput{TableName: table, Item: key}))
			r.note("found", len(must(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: table, Key: key})).Item))
			r.note("another", len(must(r.db.GetItem(r.ctx, &dynamodb.GetItemInput{TableName: table, Key: item{"pk": b(r.prefix)}})).Item))
		}},
		Scenario{Name: "a page of a query has a megabyte", play: func(r *run) {
			for i := range 4 {
				r.store(fmt.Sprint(i), item{"v": s(strings.Repeat("x", 350<<10))})
			}
			in := &dynamodb.QueryInput{TableName: r.items(), KeyConditionExpression: str("pk = :pk"), ExpressionAttributeValues: item{":pk": s(r.prefix)}, ProjectionExpression: str("sk")}
			out := must(r.db.Query(r.ctx, in))
			r.note("first page", len(out.Items))
			r.note("more", out.LastEvaluatedKey)
			in.ExclusiveStartKey = out.LastEvaluatedKey
			out = must(r.db.Query(r.ctx, in))
			r.note("second page", len(out.Items))
			r.note("more", out.LastEvaluatedKey)
		}},
		Scenario{Name: "a scan finds every item, in pages", play: func(r *run) {
			five(r)
			var found []string
			scanned := false
			in := &dynamodb.ScanInput{TableName: r.items(), FilterExpression: str("pk = :pk"), ExpressionAttributeValues: item{":pk": s(r.prefix)}, Limit: new(int32(50))}
			for !scanned {
				out := must(r.db.Scan(r.ctx, in))
				for _, it := range out.Items {
					found = append(found, attributeText(it["sk"]))
				}
				in.ExclusiveStartKey = out.LastEvaluatedKey
				scanned = out.LastEvaluatedKey == nil
			}
			slices.Sort(found)
			r.note("found", found)
		}},
		Scenario{Name: "scans that are not valid are refused", play: func(r *run) {
			r.see(r.db.Scan(r.ctx, &dynamodb.ScanInput{TableName: r.items(), FilterExpression: str("pk = ")}))
			r.see(r.db.Scan(r.ctx, &dynamodb.ScanInput{TableName: str(r.target.Stack + "-binary"), Limit: new(int32(-1))}))
			r.see(r.db.Scan(r.ctx, &dynamodb.ScanInput{TableName: str(r.name("none"))}))
		}},
	)
}
