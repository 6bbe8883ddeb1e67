package dynamodb

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// sortKeys lists the items of a page by their sort keys.
func sortKeys(items []map[string]types.AttributeValue) string {
	var out []string
	for _, i := range items {
		switch v := i["sk"].(type) {
		case *types.AttributeValueMemberN:
			out = append(out, v.Value)
		case *types.AttributeValueMemberS:
			out = append(out, v.Value)
		case *types.AttributeValueMemberB:
			out = append(out, fmt.Sprintf("%x", v.Value))
		}
	}
	return strings.Join(out, " ")
}

func TestQueryFindsARangeOfAPartitionInOrder(t *testing.T) {
	keys := map[string][]string{
		"N": {"-10", "-1.5", "0", "2", "10", "10.5", "100"},
		"S": {"a", "ab", "abc", "b", "ba", "é", "\u00ff"},
		"B": {"AA==", "AAA=", "AH8=", "fw==", "gA==", "/w==", "//8="},
	}
	for _, c := range []struct {
		kind, condition string
		v, w            string
		want            string
	}{
		{"N", "", "", "", "-10 -1.5 0 2 10 10.5 100"},
		{"N", "sk = :v", "10.0", "", "10"},
		{"N", "sk < :v", "2", "", "-10 -1.5 0"},
		{"N", "sk <= :v", "2", "", "-10 -1.5 0 2"},
		{"N", "sk > :v", "10", "", "10.5 100"},
		{"N", ":v <= sk", "10", "", "10 10.5 100"},
		{"N", "sk BETWEEN :v AND :w", "-2", "10", "-1.5 0 2 10"},
		{"S", "", "", "", "a ab abc b ba é ÿ"},
		{"S", "begins_with(sk, :v)", "ab", "", "ab abc"},
		{"S", "begins_with(sk, :v)", "b", "", "b ba"},
		{"S", "sk > :v", "ab", "", "abc b ba é ÿ"},
		{"S", "sk >= :v", "abd", "", "b ba é ÿ"},
		{"S", "sk < :v", "ab", "", "a"},
		{"S", "sk = :v", "abcd", "", ""},
		{"S", "sk BETWEEN :v AND :w", "ab", "b", "ab abc b"},
		{"B", "", "", "", "00 0000 007f 7f 80 ff ffff"},
		{"B", "begins_with(sk, :v)", "AA==", "", "00 0000 007f"},
		{"B", "begins_with(sk, :v)", "/w==", "", "ff ffff"},
		{"B", "sk > :v", "fw==", "", "80 ff ffff"},
	} {
		t.Run(c.kind+" "+c.condition+" "+c.v, func(t *testing.T) {
			client := client(t, Table{Name: "table", PartitionKey: KeyAttribute{"pk", "S"}, SortKey: KeyAttribute{"sk", c.kind}})
			for _, pk := range []string{"a", "p", "pp", "q"} {
				for _, sk := range keys[c.kind] {
					putAll(t, client, "table", fmt.Sprintf(`{"pk":{"S":%q},"sk":{%q:%q}}`, pk, c.kind, sk))
				}
			}
			values := `{":p":{"S":"p"}`
			for _, v := range []struct{ name, text string }{{":v", c.v}, {":w", c.w}} {
				if v.text != "" {
					values += fmt.Sprintf(`,%q:{%q:%q}`, v.name, c.kind, v.text)
				}
			}
			in := &sdk.QueryInput{TableName: aws.String("table"), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: item(t, values+"}")}
			if c.condition != "" {
				in.KeyConditionExpression = aws.String("pk = :p AND " + c.condition)
			}
			for _, forward := range []bool{true, false} {
				in.ScanIndexForward = &forward
				out, err := client.Query(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				want := strings.Fields(c.want)
				if !forward {
					for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
						want[i], want[j] = want[j], want[i]
					}
				}
				if got := sortKeys(out.Items); got != strings.Join(want, " ") || int(out.Count) != len(want) {
					t.Errorf("forward %v: got %s (count %d), want %v", forward, got, out.Count, want)
				}
			}
		})
	}
}

func TestPagesFollowOneAnother(t *testing.T) {
	c := client(t, ledger)
	for i := range 7 {
		putAll(t, c, "ledger", fmt.Sprintf(`{"pk":{"S":"p"},"sk":{"N":"%d"},"odd":{"BOOL":%v}}`, i, i%2 == 1))
	}
	for _, q := range []struct {
		name    string
		in      sdk.QueryInput
		reverse bool
		want    string
	}{
		{"by a limit", sdk.QueryInput{Limit: aws.Int32(3)}, false, "0 1 2|3 4 5|6"},
		{"backwards", sdk.QueryInput{Limit: aws.Int32(3)}, true, "6 5 4|3 2 1|0"},
		{"a limit that comes out even leaves an empty page", sdk.QueryInput{Limit: aws.Int32(7)}, false, "0 1 2 3 4 5 6|"},
		{"the limit counts before the filter", sdk.QueryInput{Limit: aws.Int32(4), FilterExpression: aws.String("odd = :yes")}, false, "1 3|5"},
	} {
		t.Run(q.name, func(t *testing.T) {
			in := q.in
			in.TableName, in.KeyConditionExpression = aws.String("ledger"), aws.String("pk = :p")
			in.ScanIndexForward = aws.Bool(!q.reverse)
			in.ExpressionAttributeValues = item(t, `{":p":{"S":"p"}}`)
			if in.FilterExpression != nil {
				in.ExpressionAttributeValues = item(t, `{":p":{"S":"p"},":yes":{"BOOL":true}}`)
			}
			var pages []string
			scanned := 0
			for {
				out, err := c.Query(t.Context(), &in)
				if err != nil {
					t.Fatal(err)
				}
				pages = append(pages, sortKeys(out.Items))
				scanned += int(out.ScannedCount)
				if out.LastEvaluatedKey == nil {
					break
				}
				in.ExclusiveStartKey = out.LastEvaluatedKey
			}
			if got := strings.Join(pages, "|"); got != q.want || scanned != 7 {
				t.Errorf("got %s of %d scanned, want %s of 7", got, scanned, q.want)
			}
		})
	}
}

func TestAPageEndsAtOneMegabyte(t *testing.T) {
	s, _ := open(t, t.TempDir(), ledger)
	big := strings.Repeat("x", 300<<10)
	for i := range 5 {
		must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"ledger","Item":{"pk":{"S":"p"},"sk":{"N":"%d"},"x":{"S":%q}}}`, i, big))
	}
	c := connect(t, s)
	var sizes []string
	in := &sdk.ScanInput{TableName: aws.String("ledger"), ProjectionExpression: aws.String("sk")}
	for {
		out, err := c.Scan(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, strconv.Itoa(int(out.Count)))
		if out.LastEvaluatedKey == nil {
			break
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	if got := strings.Join(sizes, " "); got != "3 2" {
		t.Errorf("pages of %s items, want 3 2", got)
	}
}

func TestQueryParameters(t *testing.T) {
	c := client(t, ledger, accounts)
	putAll(t, c, "ledger", `{"pk":{"S":"p"},"sk":{"N":"1"},"a":{"N":"1"}}`, `{"pk":{"S":"p"},"sk":{"N":"2"},"a":{"N":"2"}}`, `{"pk":{"S":"q"},"sk":{"N":"1"}}`)
	for _, q := range []struct {
		name   string
		in     sdk.QueryInput
		values string // besides :p
		want   string // items, count and scanned count, or the error
	}{
		{"a projection", sdk.QueryInput{ProjectionExpression: aws.String("a")}, "", `{"a":{"N":"1"}} {"a":{"N":"2"}} 2 of 2`},
		{"a filter", sdk.QueryInput{FilterExpression: aws.String("a > :v")}, `,":v":{"N":"1"}`, `{"a":{"N":"2"},"pk":{"S":"p"},"sk":{"N":"2"}} 1 of 2`},
		{"a count", sdk.QueryInput{Select: "COUNT", FilterExpression: aws.String("a > :v")}, `,":v":{"N":"1"}`, ` 1 of 2`},
		{"all attributes", sdk.QueryInput{Select: "ALL_ATTRIBUTES", Limit: aws.Int32(1)}, "", `{"a":{"N":"1"},"pk":{"S":"p"},"sk":{"N":"1"}} 1 of 1`},
		{"specific attributes", sdk.QueryInput{Select: "SPECIFIC_ATTRIBUTES", ProjectionExpression: aws.String("sk")}, "", `{"sk":{"N":"1"}} {"sk":{"N":"2"}} 2 of 2`},
		{"a partition that is not there", sdk.QueryInput{KeyConditionExpression: aws.String("pk = :none")}, `,":none":{"S":"none"}`, "ValidationException: Value provided in ExpressionAttributeValues unused in expressions: keys: {:p}"},
		{"specific attributes, not named", sdk.QueryInput{Select: "SPECIFIC_ATTRIBUTES"}, "", "ValidationException: Must specify the ProjectionExpression"},
		{"a count of a projection", sdk.QueryInput{Select: "COUNT", ProjectionExpression: aws.String("sk")}, "", "ValidationException: Cannot specify the ProjectionExpression when choosing to get COUNT"},
		{"what an index has", sdk.QueryInput{Select: "ALL_PROJECTED_ATTRIBUTES"}, "", "ValidationException: parameter Select: ALL_PROJECTED_ATTRIBUTES is not supported"},
		{"an index", sdk.QueryInput{IndexName: aws.String("index")}, "", "ValidationException: parameter IndexName is not supported by the local environment"},
		{"legacy QueryFilter", sdk.QueryInput{QueryFilter: map[string]types.Condition{"a": {ComparisonOperator: "NULL"}}}, "", "ValidationException: parameter QueryFilter is not supported by the local environment"},
		{"a limit of none", sdk.QueryInput{Limit: aws.Int32(0)}, "", "ValidationException: 1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"a filter on a key", sdk.QueryInput{FilterExpression: aws.String("a = :v OR sk = :v")}, `,":v":{"N":"1"}`, "ValidationException: Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"},
		{"a value of another type", sdk.QueryInput{KeyConditionExpression: aws.String("pk = :p AND sk = :v")}, `,":v":{"S":"1"}`, "ValidationException: One or more parameter values were invalid: Condition parameter type does not match schema type"},
		{"a prefix of a number", sdk.QueryInput{KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :v)")}, `,":v":{"S":"1"}`, "ValidationException: One or more parameter values were invalid: Condition parameter type does not match schema type"},
		{"a start in another partition", sdk.QueryInput{ExclusiveStartKey: item(t, `{"pk":{"S":"q"},"sk":{"N":"1"}}`)}, "", "ValidationException: The provided starting key is outside query boundaries"},
		{"a start that is no key", sdk.QueryInput{ExclusiveStartKey: item(t, `{"pk":{"S":"p"}}`)}, "", "ValidationException: The provided starting key is invalid"},
		{"a start at an item that is gone", sdk.QueryInput{ExclusiveStartKey: item(t, `{"pk":{"S":"p"},"sk":{"N":"1.5"}}`)}, "", `{"a":{"N":"2"},"pk":{"S":"p"},"sk":{"N":"2"}} 1 of 1`},
		{"a sort key that the table does not have", sdk.QueryInput{TableName: aws.String("accounts"), KeyConditionExpression: aws.String("pk = :p AND sk = :p")}, "", "ValidationException: Query key condition not supported"},
	} {
		t.Run(q.name, func(t *testing.T) {
			in := q.in
			if in.TableName == nil {
				in.TableName = aws.String("ledger")
			}
			if in.KeyConditionExpression == nil {
				in.KeyConditionExpression = aws.String("pk = :p")
			}
			in.ExpressionAttributeValues = item(t, `{":p":{"S":"p"}`+q.values+`}`)
			out, err := c.Query(t.Context(), &in)
			got := ""
			if err == nil {
				got = fmt.Sprintf("%s %d of %d", text(out.Items...), out.Count, out.ScannedCount)
			}
			expect(t, err, got, q.want)
		})
	}
}

func TestScanFindsEveryItemOfItsTableAlone(t *testing.T) {
	c := client(t, ledger, Table{Name: "ledger2", PartitionKey: KeyAttribute{"pk", "S"}, SortKey: KeyAttribute{"sk", "N"}})
	for i := range 10 {
		putAll(t, c, "ledger", fmt.Sprintf(`{"pk":{"S":"p%d"},"sk":{"N":"%d"}}`, i%3, i))
	}
	putAll(t, c, "ledger2", `{"pk":{"S":"other"},"sk":{"N":"99"}}`)
	seen := map[string]bool{}
	pages := sdk.NewScanPaginator(c, &sdk.ScanInput{TableName: aws.String("ledger"), Limit: aws.Int32(4), FilterExpression: aws.String("sk < :n"), ExpressionAttributeValues: item(t, `{":n":{"N":"8"}}`)})
	scanned := 0
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		scanned += int(out.ScannedCount)
		for _, key := range strings.Fields(sortKeys(out.Items)) {
			seen[key] = true
		}
	}
	if len(seen) != 8 || scanned != 10 || seen["99"] {
		t.Errorf("found %v, scanned %d", seen, scanned)
	}
	_, err := c.Scan(t.Context(), &sdk.ScanInput{TableName: aws.String("ledger"), Segment: aws.Int32(0), TotalSegments: aws.Int32(2)})
	expect(t, err, "", "ValidationException: parameter Segment is not supported by the local environment")
}
