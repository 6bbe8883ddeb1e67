package scenarios

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// holds notes whether a condition holds for item "1", as a check of its own
// that changes nothing.
func (r *run) holds(condition string, values item, names map[string]string) {
	out, err := r.db.DeleteItem(r.ctx, &dynamodb.DeleteItemInput{TableName: r.items(), Key: r.key("1"), ConditionExpression: &condition,
		ExpressionAttributeValues: values, ExpressionAttributeNames: names})
	r.seeAs(condition, out, err)
	r.store("1", sampleItem)
}

var sampleItem = item{
	"a": n(5), "text": s("hello"), "raw": b("abc"), "flag": boolean(true), "nothing": null(), "tags": ss("x", "y"), "sizes": ns("1", "2"),
	"list": list(s("x"), n(2), object(item{"k": s("v")})), "map": object(item{"inner": object(item{"n": n(7)})}), "size": n(1),
}

// updated notes what an update makes of item "1".
func (r *run) updated(expression string, values item, names map[string]string) {
	r.store("1", sampleItem)
	out, err := r.db.UpdateItem(r.ctx, &dynamodb.UpdateItemInput{TableName: r.items(), Key: r.key("1"), UpdateExpression: &expression,
		ExpressionAttributeValues: values, ExpressionAttributeNames: names, ReturnValues: "UPDATED_NEW"})
	r.seeAs(expression, out, err)
}

func expressions() []Scenario {
	return scenarios("dynamodb",
		Scenario{Name: "values are compared, within their type", play: func(r *run) {
			r.store("1", sampleItem)
			for _, c := range []struct {
				condition string
				values    item
			}{
				{"a = :v", item{":v": n("5.0")}}, {"a <> :v", item{":v": n(5)}}, {"a < :v", item{":v": n(10)}}, {"a <= :v", item{":v": n(4)}}, {"a > :v", item{":v": s("4")}},
				{"text >= :v", item{":v": s("hell")}}, {"a BETWEEN :v AND :w", item{":v": n(5), ":w": n(6)}}, {"a BETWEEN :v AND :w", item{":v": n(6), ":w": n(5)}},
				{"a IN (:v, :w)", item{":v": s("5"), ":w": n(5)}}, {"tags = :v", item{":v": ss("y", "x")}}, {"list[1] = :v", item{":v": n(2)}}, {"#m.inner.n = :v", item{":v": n(7)}},
				{"missing = :v", item{":v": n(1)}}, {"missing <> :v", item{":v": n(1)}}, {"raw = :v", item{":v": b("abc")}}, {"flag = :v", item{":v": boolean(true)}},
				{"nothing = :v", item{":v": null()}}, {"a < :v", item{":v": boolean(true)}},
			} {
				var names map[string]string
				if strings.Contains(c.condition, "#m") {
					names = map[string]string{"#m": "map"}
				}
				r.holds(c.condition, c.values, names)
			}
		}},
		Scenario{Name: "functions of conditions", play: func(r *run) {
			r.store("1", sampleItem)
			for _, c := range []struct {
				condition string
				values    item
			}{
				{"attribute_exists(a)", nil}, {"attribute_exists(missing)", nil}, {"attribute_not_exists(missing)", nil}, {"attribute_not_exists(a)", nil},
				{"attribute_exists(list[2].k)", nil}, {"attribute_exists(list[9])", nil}, {"attribute_type(a, :t)", item{":t": s("N")}}, {"attribute_type(a, :t)", item{":t": s("S")}},
				{"attribute_type(a, :t)", item{":t": s("X")}}, {"begins_with(text, :v)", item{":v": s("he")}}, {"begins_with(text, :v)", item{":v": s("lo")}}, {"begins_with(a, :v)", item{":v": s("5")}},
				{"begins_with(text, :v)", item{":v": n(5)}}, {"contains(text, :v)", item{":v": s("ell")}}, {"contains(tags, :v)", item{":v": s("x")}}, {"contains(tags, :v)", item{":v": s("z")}},
				{"contains(sizes, :v)", item{":v": n("1.0")}}, {"contains(list, :v)", item{":v": s("x")}}, {"contains(a, :v)", item{":v": n(5)}},
				{"size(text) = :v", item{":v": n(5)}}, {"size(tags) > :v", item{":v": n(1)}}, {"size(list) = :v", item{":v": n(3)}}, {"size(raw) = :v", item{":v": n(3)}}, {"size(a) = :v", item{":v": n(1)}},
				{"size(missing) = :v", item{":v": n(1)}},
			} {
				r.holds(c.condition, c.values, nil)
			}
		}},
		Scenario{Name: "conditions are combined", play: func(r *run) {
			r.store("1", sampleItem)
			values := item{":five": n(5), ":six": n(6)}
			for _, condition := range []string{
				"a = :five AND a < :six", "a = :six OR a = :five", "NOT a = :six AND a <> :five", "NOT (a = :six AND a = :five)", "a = :six OR NOT a = :six AND a = :five",
				"(a = :five) AND (NOT (a = :six))", "a = :five and a < :six",
			} {
				r.holds(condition, values, nil)
			}
		}},
		Scenario{Name: "conditions that are not valid are refused", play: func(r *run) {
			r.store("1", sampleItem)
			for _, c := range []struct {
				condition string
				values    item
				names     map[string]string
			}{
				{"", nil, nil}, {"a = ", nil, nil}, {"a == :v", item{":v": n(1)}, nil}, {"a = :v", nil, nil}, {"a = :v", item{":v": n(1), ":w": n(2)}, nil}, {"#a = :v", item{":v": n(1)}, nil},
				{"size = :v", item{":v": n(1)}, nil}, {"a = :v AND", item{":v": n(1)}, nil}, {"colour(a)", nil, nil}, {"attribute_exists(a, b)", nil, nil}, {"attribute_exists(:v)", item{":v": n(1)}, nil},
				{"a BETWEEN :v", item{":v": n(1)}, nil}, {"a IN ()", nil, nil}, {"begins_with(text)", nil, nil}, {"a = :v", item{":v": n(5)}, map[string]string{"#unused": "x"}}, {"a", nil, nil},
				{"a = :v", item{"v": n(5)}, nil}, {"(a = :v", item{":v": n(5)}, nil}, {":v = :v", item{":v": n(5)}, nil},
			} {
				r.holds(c.condition, c.values, c.names)
			}
		}},
		Scenario{Name: "SET assigns", play: func(r *run) {
			for _, c := range []struct {
				expression string
				values     item
			}{
				{"SET b = :v", item{":v": s("new")}}, {"SET b = a", nil}, {"SET a = a + :v, b = a - :v", item{":v": n(2)}}, {"SET list[0] = :v", item{":v": s("z")}}, {"SET list[9] = :v", item{":v": s("end")}},
				{"SET b = if_not_exists(missing, :v), c = if_not_exists(a, :v)", item{":v": n(0)}}, {"SET list = list_append(list, :v)", item{":v": list(s("end"))}},
				{"SET list = list_append(:v, list)", item{":v": list(s("start"))}}, {"SET b = if_not_exists(missing, :v) + :w", item{":v": n(10), ":w": n(1)}}, {"SET list[2].k = :v", item{":v": n(1)}},
				{"SET a = missing", nil}, {"SET a = missing + :v", item{":v": n(1)}}, {"SET a = text + :v", item{":v": n(1)}}, {"SET none.b = :v", item{":v": n(1)}}, {"SET a = :v, a = :v", item{":v": n(1)}},
				{"SET list = :v, list[0] = :v", item{":v": n(1)}}, {"SET pk = :v", item{":v": s("x")}}, {"SET list = list_append(a, :v)", item{":v": list()}},
			} {
				r.updated(c.expression, c.values, nil)
			}
		}},
		Scenario{Name: "REMOVE, ADD and DELETE", play: func(r *run) {
			for _, c := range []struct {
				expression string
				values     item
			}{
				{"REMOVE a, missing", nil}, {"REMOVE list[0]", nil}, {"REMOVE list[0], list[1]", nil}, {"REMOVE list[2].k", nil}, {"REMOVE pk", nil},
				{"ADD a :v", item{":v": n("0.5")}}, {"ADD counter :v", item{":v": n(3)}}, {"ADD tags :v", item{":v": ss("z", "x")}}, {"ADD colours :v", item{":v": ss("red")}}, {"ADD text :v", item{":v": n(1)}},
				{"ADD tags :v", item{":v": ns("1")}}, {"ADD b :v", item{":v": s("x")}}, {"DELETE tags :v", item{":v": ss("x", "none")}}, {"DELETE tags :v", item{":v": ss("x", "y")}}, {"DELETE sizes :v", item{":v": ns("1.0")}},
				{"DELETE missing :v", item{":v": ss("x")}}, {"DELETE a :v", item{":v": n(1)}}, {"DELETE tags :v", item{":v": ns("1")}},
				{"SET b = :v REMOVE text ADD a :v", item{":v": n(1)}}, {"REMOVE text SET b = :v", item{":v": n(1)}},
			} {
				r.updated(c.expression, c.values, nil)
				r.seeItem("1")
			}
		}},
		Scenario{Name: "updates that are not valid are refused", play: func(r *run) {
			one := item{":v": n(1)}
			for _, c := range []struct {
				expression string
				values     item
			}{
				{"", nil}, {"SET", nil}, {"SET a", nil}, {"SET a = :v SET b = :v", one}, {"SET a = :v,", one}, {"GET a", nil}, {"SET size = :v", one}, {"SET a = :w", one}, {"SET b = :v", item{":v": n(1), ":w": n(1)}},
				{"ADD a", nil}, {"REMOVE a = :v", one}, {"SET a = a * :v", one}, {"SET #n = :v", one}, {"SET a = if_not_exists(:v, :v)", one}, {"SET a = size(text)", nil},
			} {
				r.updated(c.expression, c.values, nil)
			}
		}},
		Scenario{Name: "a counter counts", play: func(r *run) {
			r.removeLater("1")
			for range 3 {
				r.see(r.db.UpdateItem(r.ctx, &dynamodb.UpdateItemInput{TableName: r.items(), Key: r.key("1"), UpdateExpression: str("ADD visits :one"), ExpressionAttributeValues: item{":one": n(1)}, ReturnValues: "UPDATED_NEW"}))
			}
		}},
	)
}
