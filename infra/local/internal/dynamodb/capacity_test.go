package dynamodb

import (
	"fmt"
	"strings"
	"testing"
)

func TestConsumedCapacityIsCountedAsDynamoDBDoes(t *testing.T) {
	s, _ := open(t, t.TempDir(), accounts, ledger)
	large := func(bytes int) string {
		return fmt.Sprintf(`{"pk":{"S":"large"},"v":{"S":%q}}`, strings.Repeat("x", bytes))
	}
	one := func(units string) string {
		return `"ConsumedCapacity":{"TableName":"accounts","CapacityUnits":` + units + `}`
	}
	for _, c := range []struct{ what, operation, parameters, want string }{
		{"a small item", "PutItem", `"TableName":"accounts","Item":{"pk":{"S":"small"}}`, one("1")},
		{"2,500 bytes", "PutItem", `"TableName":"accounts","Item":` + large(2_500), one("3")},
		{"a smaller one in place of it", "PutItem", `"TableName":"accounts","Item":` + large(10), one("3")},
		{"a larger one in place of it", "PutItem", `"TableName":"accounts","Item":` + large(9_000), one("9")},
		{"an update", "UpdateItem", `"TableName":"accounts","Key":{"pk":{"S":"large"}},"UpdateExpression":"SET n = :n","ExpressionAttributeValues":{":n":{"N":"1"}}`, one("9")},
		{"the removal of nothing", "DeleteItem", `"TableName":"accounts","Key":{"pk":{"S":"none"}}`, one("1")},
		{"a read", "GetItem", `"TableName":"accounts","Key":{"pk":{"S":"large"}}`, one("1.5")},
		{"a consistent read", "GetItem", `"TableName":"accounts","ConsistentRead":true,"Key":{"pk":{"S":"large"}}`, one("3")},
		{"a read of nothing", "GetItem", `"TableName":"accounts","Key":{"pk":{"S":"none"}}`, one("0.5")},
		{"a scan: the sum is rounded", "Scan", `"TableName":"accounts"`, one("1.5")},
		{"a query", "Query", `"TableName":"accounts","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"small"}}`, one("0.5")},
		{"a batch of reads: each is rounded", "BatchGetItem", `"RequestItems":{"accounts":{"Keys":[{"pk":{"S":"large"}},{"pk":{"S":"small"}}]}}`, `"ConsumedCapacity":[{"TableName":"accounts","CapacityUnits":2}]`},
		{"a batch of writes", "BatchWriteItem", `"RequestItems":{"ledger":[{"DeleteRequest":{"Key":{"pk":{"S":"p"},"sk":{"N":"1"}}}}],"accounts":[{"PutRequest":{"Item":{"pk":{"S":"small"}}}}]}`,
			`"ConsumedCapacity":[{"TableName":"accounts","CapacityUnits":1},{"TableName":"ledger","CapacityUnits":1}]`},
		{"a transaction: twice as much", "TransactWriteItems", `"TransactItems":[{"Put":{"TableName":"accounts","Item":{"pk":{"S":"small"}}}}]`,
			`"ConsumedCapacity":[{"TableName":"accounts","CapacityUnits":2,"WriteCapacityUnits":2}]`},
		{"reads in a transaction", "TransactGetItems", `"TransactItems":[{"Get":{"TableName":"accounts","Key":{"pk":{"S":"large"}}}}]`,
			`"ConsumedCapacity":[{"TableName":"accounts","CapacityUnits":6,"ReadCapacityUnits":6}]`},
	} {
		got := must(t, s, c.operation, `{"ReturnConsumedCapacity":"TOTAL",`+c.parameters+`}`)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %.300s, want %s", c.what, got, c.want)
		}
	}
	got := must(t, s, "GetItem", `{"ReturnConsumedCapacity":"INDEXES","TableName":"accounts","Key":{"pk":{"S":"none"}}}`)
	if want := `{"ConsumedCapacity":{"TableName":"accounts","CapacityUnits":0.5,"Table":{"CapacityUnits":0.5}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = must(t, s, "PutItem", `{"ReturnItemCollectionMetrics":"SIZE","TableName":"accounts","Item":{"pk":{"S":"small"}}}`)
	if got != "{}" {
		t.Errorf("without an index, and without being asked: %s", got)
	}
}
