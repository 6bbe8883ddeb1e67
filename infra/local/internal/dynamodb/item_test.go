package dynamodb

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestAnItemComesBackAsItWasPut(t *testing.T) {
	c := client(t, accounts)
	const all = `{"b":{"B":"aGk="},"bs":{"BS":["YQ==","Yg=="]},"list":{"L":[{"N":"1"},{"M":{"deep":{"BOOL":true}}}]},"map":{"M":{}},"n":{"N":"-12.5"},"none":{"NULL":true},"ns":{"NS":["1","2"]},"pk":{"S":"ann"},"ss":{"SS":["é","ü"]},"text":{"S":"a \"quote\" & <tag>\n"}}`
	putAll(t, c, "accounts", all)
	if got := get(t, c, "accounts", `{"pk":{"S":"ann"}}`); got != strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(all) {
		t.Errorf("got %s", got)
	}
	if got := get(t, c, "accounts", `{"pk":{"S":"bob"}}`); got != "" {
		t.Errorf("an item that was never put: %s", got)
	}
}

func TestEqualNumbersAreTheSameKey(t *testing.T) {
	c := client(t, ledger)
	putAll(t, c, "ledger", `{"pk":{"S":"p"},"sk":{"N":"1.0"},"v":{"S":"first"}}`, `{"pk":{"S":"p"},"sk":{"N":"1e0"},"v":{"S":"second"}}`)
	if got := get(t, c, "ledger", `{"pk":{"S":"p"},"sk":{"N":"1"}}`); got != `{"pk":{"S":"p"},"sk":{"N":"1"},"v":{"S":"second"}}` {
		t.Errorf("got %s", got)
	}
}

func TestPutItem(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    sdk.PutItemInput
		item  string
		value string // of :v
		want  string // the answer's attributes, or the error
		after string // the item ann; empty: as before
	}{
		{"replaces the whole item", sdk.PutItemInput{}, `{"pk":{"S":"ann"},"b":{"N":"2"}}`, "", "", `{"b":{"N":"2"},"pk":{"S":"ann"}}`},
		{"shows what it replaced", sdk.PutItemInput{ReturnValues: "ALL_OLD"}, `{"pk":{"S":"ann"}}`, "", `{"a":{"N":"1"},"pk":{"S":"ann"}}`, `{"pk":{"S":"ann"}}`},
		{"shows nothing of a new item", sdk.PutItemInput{ReturnValues: "ALL_OLD"}, `{"pk":{"S":"bob"}}`, "", "", ""},
		{"a condition that holds", sdk.PutItemInput{ConditionExpression: aws.String("a = :v")}, `{"pk":{"S":"ann"}}`, `{"N":"1"}`, "", `{"pk":{"S":"ann"}}`},
		{"a condition that does not", sdk.PutItemInput{ConditionExpression: aws.String("a = :v")}, `{"pk":{"S":"ann"}}`, `{"N":"2"}`, "ConditionalCheckFailedException: The conditional request failed", ""},
		{"a condition on an item that is not there", sdk.PutItemInput{ConditionExpression: aws.String("attribute_not_exists(pk)")}, `{"pk":{"S":"bob"}}`, "", "", ""},
		{"an empty condition", sdk.PutItemInput{ConditionExpression: aws.String("")}, `{"pk":{"S":"ann"}}`, "", "ValidationException: Invalid ConditionExpression: The expression can not be empty;", ""},
		{"a value that is not used", sdk.PutItemInput{ConditionExpression: aws.String("attribute_exists(a)")}, `{"pk":{"S":"ann"}}`, `{"N":"2"}`, "ValidationException: Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}", ""},
		{"no key", sdk.PutItemInput{}, `{"a":{"N":"2"}}`, "", "ValidationException: One or more parameter values were invalid: Missing the key pk in the item", ""},
		{"a key of another type", sdk.PutItemInput{}, `{"pk":{"N":"2"}}`, "", "ValidationException: One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N", ""},
		{"an empty key", sdk.PutItemInput{}, `{"pk":{"S":""}}`, "", "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk", ""},
		{"an empty set", sdk.PutItemInput{}, `{"pk":{"S":"ann"},"s":{"SS":[]}}`, "", "ValidationException: One or more parameter values were invalid: An string set  may not be empty", ""},
		{"a number that is none", sdk.PutItemInput{}, `{"pk":{"S":"ann"},"n":{"N":"x"}}`, "", "ValidationException: The parameter cannot be converted to a numeric value: x", ""},
		{"a return value that it does not have", sdk.PutItemInput{ReturnValues: "ALL_NEW"}, `{"pk":{"S":"ann"}}`, "", "ValidationException: 1 validation error detected: Value 'ALL_NEW' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]", ""},
		{"consumed capacity", sdk.PutItemInput{ReturnConsumedCapacity: "ALL"}, `{"pk":{"S":"ann"}}`, "", "ValidationException: 1 validation error detected: Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]", ""},
		{"no consumed capacity", sdk.PutItemInput{ReturnConsumedCapacity: "NONE", ReturnItemCollectionMetrics: "NONE"}, `{"pk":{"S":"bob"}}`, "", "", ""},
		{"legacy Expected", sdk.PutItemInput{Expected: map[string]types.ExpectedAttributeValue{"a": {Exists: aws.Bool(false)}}}, `{"pk":{"S":"ann"}}`, "", "ValidationException: parameter Expected is not supported by the local environment", ""},
		{"a table that is not there", sdk.PutItemInput{TableName: aws.String("nowhere")}, `{"pk":{"S":"ann"}}`, "", "ResourceNotFoundException: Requested resource not found: Table: nowhere not found", ""},
		{"a table by its ARN", sdk.PutItemInput{TableName: aws.String("arn:aws:dynamodb:eu-west-1:123456789012:table/accounts")}, `{"pk":{"S":"ann"}}`, "", "", `{"pk":{"S":"ann"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := client(t, accounts)
			const before = `{"a":{"N":"1"},"pk":{"S":"ann"}}`
			putAll(t, client, "accounts", before)
			in := c.in
			if in.TableName == nil {
				in.TableName = aws.String("accounts")
			}
			in.Item = item(t, c.item)
			if c.value != "" {
				in.ExpressionAttributeValues = item(t, `{":v":`+c.value+`}`)
			}
			out, err := client.PutItem(t.Context(), &in)
			got := ""
			if err == nil {
				got = text(out.Attributes)
			}
			expect(t, err, got, c.want)
			if c.after == "" {
				c.after = before
			}
			if got := get(t, client, "accounts", `{"pk":{"S":"ann"}}`); got != c.after {
				t.Errorf("afterwards the item is %s, want %s", got, c.after)
			}
		})
	}
}

func TestAFailedConditionShowsTheItemIfAskedTo(t *testing.T) {
	c := client(t, accounts)
	putAll(t, c, "accounts", `{"pk":{"S":"ann"},"a":{"N":"1"}}`)
	for _, want := range []struct {
		key, shown string
		option     types.ReturnValuesOnConditionCheckFailure
	}{
		{`{"pk":{"S":"ann"}}`, `{"a":{"N":"1"},"pk":{"S":"ann"}}`, "ALL_OLD"},
		{`{"pk":{"S":"ann"}}`, ``, "NONE"},
		{`{"pk":{"S":"bob"}}`, ``, "ALL_OLD"},
	} {
		_, err := c.DeleteItem(t.Context(), &sdk.DeleteItemInput{
			TableName:                           aws.String("accounts"),
			Key:                                 item(t, want.key),
			ConditionExpression:                 aws.String("attribute_exists(b)"),
			ReturnValuesOnConditionCheckFailure: want.option,
		})
		var failed *types.ConditionalCheckFailedException
		if !errors.As(err, &failed) {
			t.Fatalf("got %v", err)
		}
		if got := text(failed.Item); got != want.shown {
			t.Errorf("%s, %s: shows %s, want %s", want.key, want.option, got, want.shown)
		}
	}
}

func TestUpdateItem(t *testing.T) {
	const ann = `{"list":{"L":[{"S":"a"},{"S":"b"}]},"map":{"M":{"x":{"N":"1"}}},"n":{"N":"5"},"pk":{"S":"ann"}}`
	for _, c := range []struct {
		name    string
		in      sdk.UpdateItemInput
		key, v  string // v: of :v
		want    string // the answer's attributes, or the error
		becomes string // the item of that key; "same": as it was
	}{
		{"changes a part", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = n + :v REMOVE #m")}, "ann", `{"N":"1"}`, "", `{"list":{"L":[{"S":"a"},{"S":"b"}]},"n":{"N":"6"},"pk":{"S":"ann"}}`},
		{"makes an item", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = :v")}, "bob", `{"N":"1"}`, "", `{"n":{"N":"1"},"pk":{"S":"bob"}}`},
		{"makes an item of nothing but its key", sdk.UpdateItemInput{}, "bob", "", "", `{"pk":{"S":"bob"}}`},
		{"does not make an item by removing", sdk.UpdateItemInput{UpdateExpression: aws.String("REMOVE n"), ReturnValues: "ALL_NEW"}, "bob", "", "", ""},
		{"ALL_OLD", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = :v"), ReturnValues: "ALL_OLD"}, "ann", `{"N":"6"}`, ann, `{"list":{"L":[{"S":"a"},{"S":"b"}]},"map":{"M":{"x":{"N":"1"}}},"n":{"N":"6"},"pk":{"S":"ann"}}`},
		{"ALL_OLD of a new item", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = :v"), ReturnValues: "ALL_OLD"}, "bob", `{"N":"6"}`, "", `{"n":{"N":"6"},"pk":{"S":"bob"}}`},
		{"ALL_NEW", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = :v"), ReturnValues: "ALL_NEW"}, "bob", `{"N":"6"}`, `{"n":{"N":"6"},"pk":{"S":"bob"}}`, `{"n":{"N":"6"},"pk":{"S":"bob"}}`},
		{"UPDATED_OLD", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = :v, c = :v, #m.x = :v"), ReturnValues: "UPDATED_OLD"}, "ann", `{"N":"6"}`, `{"map":{"M":{"x":{"N":"1"}}},"n":{"N":"5"}}`, `{"c":{"N":"6"},"list":{"L":[{"S":"a"},{"S":"b"}]},"map":{"M":{"x":{"N":"6"}}},"n":{"N":"6"},"pk":{"S":"ann"}}`},
		{"UPDATED_NEW", sdk.UpdateItemInput{UpdateExpression: aws.String("SET #l[1] = :v REMOVE n"), ReturnValues: "UPDATED_NEW"}, "ann", `{"N":"6"}`, `{"list":{"L":[{"N":"6"}]}}`, `{"list":{"L":[{"S":"a"},{"N":"6"}]},"map":{"M":{"x":{"N":"1"}}},"pk":{"S":"ann"}}`},
		{"UPDATED_NEW of what is removed", sdk.UpdateItemInput{UpdateExpression: aws.String("REMOVE n"), ReturnValues: "UPDATED_NEW"}, "ann", ``, ``, `{"list":{"L":[{"S":"a"},{"S":"b"}]},"map":{"M":{"x":{"N":"1"}}},"pk":{"S":"ann"}}`},
		{"a condition that does not hold", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = :v"), ConditionExpression: aws.String("n = :v")}, "ann", `{"N":"6"}`, "ConditionalCheckFailedException: The conditional request failed", "same"},
		{"its key", sdk.UpdateItemInput{UpdateExpression: aws.String("SET pk = :v")}, "ann", `{"S":"x"}`, "ValidationException: One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key", "same"},
		{"a path that is not there", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n.x = :v")}, "ann", `{"S":"x"}`, "ValidationException: The document path provided in the update expression is invalid for update", "same"},
		{"an attribute that is not there", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = n + :v")}, "bob", `{"N":"1"}`, "ValidationException: The provided expression refers to an attribute that does not exist in the item", ""},
		{"a sum out of range", sdk.UpdateItemInput{UpdateExpression: aws.String("SET n = n + :v")}, "ann", `{"N":"9e125"}`, "ValidationException: Number overflow", "same"},
		{"more key than the table has", sdk.UpdateItemInput{Key: item(t, `{"pk":{"S":"ann"},"sk":{"N":"1"}}`)}, "ann", "", "ValidationException: The provided key element does not match the schema", "same"},
		{"an item too large", sdk.UpdateItemInput{UpdateExpression: aws.String("SET big = :v")}, "ann", `{"S":"` + strings.Repeat("x", 400<<10) + `"}`, "ValidationException: Item size to update has exceeded the maximum allowed size", "same"},
		{"an item nested too deep", sdk.UpdateItemInput{UpdateExpression: aws.String("SET #m.y = :v")}, "ann", strings.Repeat(`{"L":[`, 32) + strings.Repeat(`]}`, 32), "ValidationException: Nesting Levels have exceeded supported limits", "same"},
		{"legacy AttributeUpdates", sdk.UpdateItemInput{AttributeUpdates: map[string]types.AttributeValueUpdate{"a": {Action: "DELETE"}}}, "ann", "", "ValidationException: parameter AttributeUpdates is not supported by the local environment", "same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := client(t, accounts)
			putAll(t, client, "accounts", ann)
			key := `{"pk":{"S":"` + c.key + `"}}`
			in := c.in
			in.TableName = aws.String("accounts")
			if in.Key == nil {
				in.Key = item(t, key)
			}
			if c.v != "" {
				in.ExpressionAttributeValues = item(t, `{":v":`+c.v+`}`)
			}
			for placeholder, name := range map[string]string{"#m": "map", "#l": "list"} {
				if strings.Contains(aws.ToString(in.UpdateExpression), placeholder) {
					in.ExpressionAttributeNames = map[string]string{placeholder: name}
				}
			}
			out, err := client.UpdateItem(t.Context(), &in)
			got := ""
			if err == nil {
				got = text(out.Attributes)
			}
			expect(t, err, got, c.want)
			if c.becomes == "same" {
				c.becomes = ann
			}
			if got := get(t, client, "accounts", key); got != c.becomes {
				t.Errorf("afterwards the item is %s, want %s", got, c.becomes)
			}
		})
	}
}

func TestDeleteItem(t *testing.T) {
	c := client(t, accounts)
	putAll(t, c, "accounts", `{"pk":{"S":"ann"},"a":{"N":"1"}}`)
	for _, step := range []struct {
		name, condition, want string
	}{
		{"a condition that does not hold", "attribute_exists(b)", "ConditionalCheckFailedException: The conditional request failed"},
		{"an item", "attribute_exists(a)", `{"a":{"N":"1"},"pk":{"S":"ann"}}`},
		{"an item that is not there", "", ""},
	} {
		in := &sdk.DeleteItemInput{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"ann"}}`), ReturnValues: "ALL_OLD"}
		if step.condition != "" {
			in.ConditionExpression = &step.condition
		}
		out, err := c.DeleteItem(t.Context(), in)
		got := ""
		if err == nil {
			got = text(out.Attributes)
		}
		expect(t, err, got, step.want)
	}
	if got := get(t, c, "accounts", `{"pk":{"S":"ann"}}`); got != "" {
		t.Errorf("the item is still there: %s", got)
	}
}

func TestGetItem(t *testing.T) {
	c := client(t, accounts)
	putAll(t, c, "accounts", `{"pk":{"S":"ann"},"a":{"N":"1"},"name":{"S":"Ann"},"m":{"M":{"x":{"N":"1"},"y":{"N":"2"}}}}`)
	for _, g := range []struct {
		name, projection string
		names            map[string]string
		key, want        string
	}{
		{"a projection", "m.x, #n", map[string]string{"#n": "name"}, "ann", `{"m":{"M":{"x":{"N":"1"}}},"name":{"S":"Ann"}}`},
		{"a projection of nothing", "zz", nil, "ann", `{}`},
		{"an item that is not there", "a", nil, "bob", ``},
		{"a name that is not used", "a", map[string]string{"#n": "name"}, "ann", "ValidationException: Value provided in ExpressionAttributeNames unused in expressions: keys: {#n}"},
		{"names without an expression", "", map[string]string{"#n": "name"}, "ann", "ValidationException: ExpressionAttributeNames can only be specified when using expressions"},
		{"a reserved word", "name", nil, "ann", "ValidationException: Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: name"},
	} {
		t.Run(g.name, func(t *testing.T) {
			in := &sdk.GetItemInput{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"`+g.key+`"}}`), ExpressionAttributeNames: g.names}
			if g.projection != "" {
				in.ProjectionExpression = &g.projection
			}
			out, err := c.GetItem(t.Context(), in)
			got := ""
			if err == nil {
				got = text(out.Item)
			}
			expect(t, err, got, g.want)
		})
	}
	_, err := c.GetItem(t.Context(), &sdk.GetItemInput{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"ann"}}`), AttributesToGet: []string{"a"}})
	expect(t, err, "", "ValidationException: parameter AttributesToGet is not supported by the local environment")
}

func TestItemsAndKeysHaveLimits(t *testing.T) {
	binary := Table{Name: "binary", PartitionKey: KeyAttribute{"pk", "B"}, SortKey: KeyAttribute{"sk", "S"}}
	s, _ := open(t, t.TempDir(), accounts, binary)
	text := func(n int) string { return `{"S":"` + strings.Repeat("x", n) + `"}` }
	bytes := func(thirds int) string { return `{"B":"` + strings.Repeat("AAAA", thirds) + `"}` } // 3 bytes each
	for _, c := range []struct{ name, table, item, want string }{
		{"400 KB", "accounts", `{"pk":{"S":"a"},"x":` + text(400<<10-4) + `}`, ""},
		{"400 KB and a byte", "accounts", `{"pk":{"S":"a"},"x":` + text(400<<10-3) + `}`, "ValidationException: Item size has exceeded the maximum allowed size"},
		{"a partition key of 2048 bytes", "accounts", `{"pk":` + text(2048) + `}`, ""},
		{"a partition key of 2049 bytes", "accounts", `{"pk":` + text(2049) + `}`, "ValidationException: One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of 2048 bytes"},
		{"a partition key of 2046 decoded bytes", "binary", `{"pk":` + bytes(682) + `,"sk":{"S":"x"}}`, ""},
		{"a partition key of 2049 decoded bytes", "binary", `{"pk":` + bytes(683) + `,"sk":{"S":"x"}}`, "ValidationException: One or more parameter values were invalid: Size of hashkey"},
		{"a sort key of 1024 bytes", "binary", `{"pk":{"B":"AAAA"},"sk":` + text(1024) + `}`, ""},
		{"a sort key of 1025 bytes", "binary", `{"pk":{"B":"AAAA"},"sk":` + text(1025) + `}`, "ValidationException: One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"},
		{"an empty binary key", "binary", `{"pk":{"B":""},"sk":{"S":"x"}}`, "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: pk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := call(t, s, "PutItem", `{"TableName":"`+c.table+`","Item":`+c.item+`}`)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
