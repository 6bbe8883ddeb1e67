package scenarios

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Actions of transactions, on the scenario's own items.

func (r *run) putting(sk string, members item) types.TransactWriteItem {
	it := r.key(sk)
	for name, value := range members {
		it[name] = value
	}
	return types.TransactWriteItem{Put: &types.Put{TableName: r.items(), Item: it}}
}

func (r *run) checking(sk, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: r.items(), Key: r.key(sk), ConditionExpression: &condition}}
}

func (r *run) updating(sk, expression string, values item) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{TableName: r.items(), Key: r.key(sk), UpdateExpression: &expression, ExpressionAttributeValues: values}}
}

func (r *run) deleting(sk string) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: r.items(), Key: r.key(sk)}}
}

// write notes what a transaction answers.
func (r *run) write(token *string, actions ...types.TransactWriteItem) {
	r.see(r.db.TransactWriteItems(r.ctx, &dynamodb.TransactWriteItemsInput{TransactItems: append([]types.TransactWriteItem{}, actions...), ClientRequestToken: token}))
}

func batches() []Scenario {
	return scenarios("dynamodb",
		Scenario{Name: "a batch writes and reads", play: func(r *run) {
			r.store("old", nil)
			r.removeLater("1")
			r.removeLater("2")
			r.see(r.db.BatchWriteItem(r.ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{*r.items(): {
				{PutRequest: &types.PutRequest{Item: r.key("1")}}, {PutRequest: &types.PutRequest{Item: r.key("2")}}, {DeleteRequest: &types.DeleteRequest{Key: r.key("old")}},
			}}}))
			out := must(r.db.BatchGetItem(r.ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{*r.items(): {
				Keys: []item{r.key("1"), r.key("2"), r.key("old")}, ProjectionExpression: str("sk"), ConsistentRead: new(true),
			}}}))
			r.note("found", len(out.Responses[*r.items()]))
			r.note("unprocessed", len(out.UnprocessedKeys))
		}},
		Scenario{Name: "batches have their rules", play: func(r *run) {
			write := func(requests ...types.WriteRequest) {
				r.see(r.db.BatchWriteItem(r.ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{*r.items(): append([]types.WriteRequest{}, requests...)}}))
			}
			put := func(sk string) types.WriteRequest {
				return types.WriteRequest{PutRequest: &types.PutRequest{Item: r.key(sk)}}
			}
			var many []types.WriteRequest
			var keys []item
			for i := range 101 {
				keys = append(keys, r.key(fmt.Sprint(i)))
				if i < 26 {
					many = append(many, put(fmt.Sprint(i)))
				}
			}
			write()
			write(many...)
			write(put("1"), put("1"))
			write(types.WriteRequest{})
			write(types.WriteRequest{PutRequest: &types.PutRequest{Item: item{"pk": s("x")}}})
			r.see(r.db.BatchWriteItem(r.ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{r.name("none"): {put("1")}}}))
			read := func(keys ...item) {
				r.see(r.db.BatchGetItem(r.ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{*r.items(): {Keys: append([]item{}, keys...)}}}))
			}
			read(keys...)
			read(r.key("1"), r.key("1"))
			read(item{"pk": s("x")})
			read()
		}},
	)
}

func transactions() []Scenario {
	return scenarios("dynamodb",
		Scenario{Name: "a transaction writes all", play: func(r *run) {
			r.store("u", item{"a": n(1)})
			r.store("d", nil)
			r.store("c", nil)
			r.removeLater("p")
			r.write(nil, r.putting("p", item{"x": n(1)}), r.updating("u", "SET a = a + :v", item{":v": n(1)}), r.deleting("d"), r.checking("c", "attribute_exists(pk)"))
			for _, sk := range []string{"p", "u", "d", "c"} {
				r.seeItem(sk)
			}
		}},
		Scenario{Name: "a transaction that is cancelled writes nothing, and says why", play: func(r *run) {
			r.store("u", item{"a": n(1)})
			fails := r.putting("u", nil)
			fails.Put.ConditionExpression = str("attribute_not_exists(pk)")
			fails.Put.ReturnValuesOnConditionCheckFailure = "ALL_OLD"
			r.write(nil, r.putting("p", nil), fails, r.checking("none", "attribute_exists(pk)"))
			r.seeItem("p")
		}},
		Scenario{Name: "an update that cannot be made cancels its transaction", play: func(r *run) {
			r.store("u", item{"text": s("x")})
			r.write(nil, r.putting("p", nil), r.updating("u", "SET text = text + :v", item{":v": n(1)}))
			r.write(nil, r.putting("p", nil), r.updating("u", "SET a.b = :v", item{":v": n(1)}))
			r.seeItem("p")
		}},
		Scenario{Name: "a transaction with a token is made once", play: func(r *run) {
			r.removeLater("1")
			token := str(r.name("token"))
			add := func(by int) types.TransactWriteItem { return r.updating("1", "ADD visits :v", item{":v": n(by)}) }
			r.write(token, add(1))
			r.write(token, add(1))
			r.seeItem("1")
			r.write(token, add(2))
			r.seeItem("1")
			r.write(str(strings.Repeat("x", 37)), add(1))
		}},
		Scenario{Name: "transactions have their rules", play: func(r *run) {
			r.write(nil)
			var many []types.TransactWriteItem
			for i := range 101 {
				many = append(many, r.putting(fmt.Sprint(i), nil))
			}
			r.write(nil, many...)
			r.write(nil, r.putting("1", nil), r.deleting("1"))
			r.write(nil, types.TransactWriteItem{})
			r.write(nil, types.TransactWriteItem{Put: many[0].Put, Delete: r.deleting("2").Delete})
			none := r.deleting("1")
			none.Delete.TableName = str(r.name("none"))
			r.write(nil, none)
			bad := r.putting("1", nil)
			bad.Put.Item = item{"pk": s("x")}
			r.write(nil, bad)
			r.write(nil, r.updating("1", "SET a = ", nil))
			r.write(nil, r.putting("large", item{"v": s(strings.Repeat("x", 400<<10))}))
		}},
		Scenario{Name: "a transaction has at most 4 MB", play: func(r *run) {
			var actions []types.TransactWriteItem
			for i := range 11 {
				actions = append(actions, r.putting(fmt.Sprint(i), item{"v": s(strings.Repeat("x", 399<<10))}))
				r.removeLater(fmt.Sprint(i))
			}
			r.write(nil, actions...)
		}},
		Scenario{Name: "a transaction reads", play: func(r *run) {
			r.store("1", item{"a": n(1), "b": n(2)})
			get := func(table *string, key item, projection *string) types.TransactGetItem {
				return types.TransactGetItem{Get: &types.Get{TableName: table, Key: key, ProjectionExpression: projection}}
			}
			read := func(gets ...types.TransactGetItem) {
				r.see(r.db.TransactGetItems(r.ctx, &dynamodb.TransactGetItemsInput{TransactItems: append([]types.TransactGetItem{}, gets...)}))
			}
			read(get(r.items(), r.key("1"), nil), get(r.items(), r.key("none"), nil), get(r.items(), r.key("1"), str("b")))
			read(get(str(r.name("none")), r.key("1"), nil))
			read(get(r.items(), item{"pk": s("x")}, nil))
			read()
		}},
		Scenario{Name: "a mark and its effect are written together, once", play: func(r *run) {
			r.store("balance", item{"amount": n(100)})
			r.removeLater("mark")
			mark := r.putting("mark", nil)
			mark.Put.ConditionExpression = str("attribute_not_exists(pk)")
			debit := r.updating("balance", "SET amount = amount - :v", item{":v": n(30)})
			debit.Update.ConditionExpression = str("amount >= :v")
			r.write(nil, mark, debit)
			r.write(nil, mark, debit)
			r.seeItem("balance")
		}},
	)
}
