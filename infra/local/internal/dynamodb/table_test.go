package dynamodb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

func TestATableIsCreatedOnceAndKeepsItsKeys(t *testing.T) {
	dir := t.TempDir()
	s, closeAll := open(t, dir, ledger)
	must(t, s, "PutItem", `{"TableName":"ledger","Item":{"pk":{"S":"p"},"sk":{"N":"1"}}}`)
	if err := s.CreateTable(t.Context(), ledger); err != nil {
		t.Errorf("the same again: %v", err)
	}
	other := ledger
	other.SortKey.Type = "S"
	expect(t, s.CreateTable(t.Context(), other), "", "ResourceInUseException: Table already exists: ledger")
	before := must(t, s, "DescribeTable", `{"TableName":"ledger"}`)
	closeAll()
	s, _ = open(t, dir)
	if after := must(t, s, "DescribeTable", `{"TableName":"ledger"}`); after != before {
		t.Errorf("after a restart\ngot  %s\nwant %s", after, before)
	}
	if got := must(t, s, "GetItem", `{"TableName":"ledger","Key":{"pk":{"S":"p"},"sk":{"N":"1"}}}`); !strings.Contains(got, `"Item"`) {
		t.Errorf("after a restart the item is gone: %s", got)
	}
}

func TestATableThatDynamoDBWouldNotMakeIsRefused(t *testing.T) {
	s, _ := open(t, t.TempDir())
	for _, c := range []struct {
		name  string
		table Table
		want  string
	}{
		{"a short name", Table{Name: "ab", PartitionKey: KeyAttribute{"pk", "S"}}, `table name "ab"`},
		{"no key", Table{Name: "table"}, "the name of its partition key has 1 to 255 bytes"},
		{"a key of no key's type", Table{Name: "table", PartitionKey: KeyAttribute{"pk", "BOOL"}}, `a key's type is S, N or B (got "BOOL")`},
		{"a key twice", Table{Name: "table", PartitionKey: KeyAttribute{"pk", "S"}, SortKey: KeyAttribute{"pk", "S"}}, `partition key and sort key are both "pk"`},
		{"a sort key without name", Table{Name: "table", PartitionKey: KeyAttribute{"pk", "S"}, SortKey: KeyAttribute{"", "S"}}, "the name of its sort key"},
		{"a stream that there is not", Table{Name: "table", PartitionKey: KeyAttribute{"pk", "S"}, StreamView: "ALL"}, `stream view type "ALL"`},
	} {
		if err := s.CreateTable(t.Context(), c.table); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestDescribeTable(t *testing.T) {
	table := Table{Name: "table", PartitionKey: KeyAttribute{"pk", "S"}, SortKey: KeyAttribute{"sk", "N"}, StreamView: NewImage, TTLAttribute: "expires"}
	s, _ := open(t, t.TempDir(), table, accounts)
	c := connect(t, s)
	putAll(t, c, "table", `{"pk":{"S":"p"},"sk":{"N":"1"}}`, `{"pk":{"S":"p"},"sk":{"N":"2"}}`)
	out, err := c.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: aws.String("table")})
	if err != nil {
		t.Fatal(err)
	}
	d := out.Table
	got := fmt.Sprintln(*d.TableArn, d.TableStatus, d.BillingModeSummary.BillingMode, *d.ItemCount, *d.TableSizeBytes, d.StreamSpecification.StreamViewType, *d.LatestStreamArn == *d.TableArn+"/stream/"+*d.LatestStreamLabel)
	for i := range d.KeySchema {
		got += fmt.Sprintln(*d.KeySchema[i].AttributeName, d.KeySchema[i].KeyType, *d.AttributeDefinitions[i].AttributeName, d.AttributeDefinitions[i].AttributeType)
	}
	got = strings.Join(strings.Fields(got), " ")
	if want := "arn:aws:dynamodb:eu-west-1:123456789012:table/table ACTIVE PAY_PER_REQUEST 2 14 NEW_IMAGE true pk HASH pk S sk RANGE sk N"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if arn, ok := s.StreamARN("table"); !ok || arn != *d.LatestStreamArn {
		t.Errorf("StreamARN is %s, %v", arn, ok)
	}
	if arn, ok := s.StreamARN("accounts"); ok {
		t.Errorf("a table without a stream has the stream %s", arn)
	}
	_, err = c.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: aws.String("nowhere")})
	expect(t, err, "", "ResourceNotFoundException: Requested resource not found: Table: nowhere not found")
}

func TestTimeToLiveAndTagsAreThoseOfTheTemplate(t *testing.T) {
	expiring := accounts
	expiring.Name, expiring.TTLAttribute, expiring.Tags = "expiring", "expires", map[string]string{"team": "core", "app": "shop"}
	s, _ := open(t, t.TempDir(), accounts, expiring)
	c := connect(t, s)
	for name, want := range map[string]string{"expiring": "ENABLED expires, app=shop team=core", "accounts": "DISABLED <nil>,"} {
		ttl, err := c.DescribeTimeToLive(t.Context(), &sdk.DescribeTimeToLiveInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(ttl.TimeToLiveDescription.TimeToLiveStatus, " ")
		if a := ttl.TimeToLiveDescription.AttributeName; a != nil {
			got += *a + ","
		} else {
			got += "<nil>,"
		}
		tags, err := c.ListTagsOfResource(t.Context(), &sdk.ListTagsOfResourceInput{ResourceArn: aws.String(s.TableARN(name))})
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags.Tags {
			got += fmt.Sprint(" ", *tag.Key, "=", *tag.Value)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	_, err := c.DescribeTimeToLive(t.Context(), &sdk.DescribeTimeToLiveInput{TableName: aws.String("nowhere")})
	expect(t, err, "", "ResourceNotFoundException: Requested resource not found: Table: nowhere not found")
	_, err = c.ListTagsOfResource(t.Context(), &sdk.ListTagsOfResourceInput{ResourceArn: aws.String(s.TableARN("nowhere"))})
	expect(t, err, "", "ResourceNotFoundException: Requested resource not found")
	_, err = c.ListTagsOfResource(t.Context(), &sdk.ListTagsOfResourceInput{ResourceArn: aws.String("accounts")})
	expect(t, err, "", "ValidationException: Invalid TableArn")

	// A template may change them.
	expiring.Tags = map[string]string{"team": "trading"}
	if err := s.CreateTable(t.Context(), expiring); err != nil {
		t.Fatal(err)
	}
	if got := must(t, s, "ListTagsOfResource", `{"ResourceArn":"`+s.TableARN("expiring")+`"}`); got != `{"Tags":[{"Key":"team","Value":"trading"}]}` {
		t.Errorf("got %s", got)
	}
}

func TestListTables(t *testing.T) {
	c := client(t, ledger, accounts, Table{Name: "zebras", PartitionKey: KeyAttribute{"pk", "S"}})
	var pages []string
	in := &sdk.ListTablesInput{Limit: aws.Int32(2)}
	for {
		out, err := c.ListTables(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, strings.Join(out.TableNames, "+"))
		if out.LastEvaluatedTableName == nil {
			break
		}
		in.ExclusiveStartTableName = out.LastEvaluatedTableName
	}
	if got := strings.Join(pages, " "); got != "accounts+ledger zebras" {
		t.Errorf("got %s", got)
	}
}

func TestOperationsOutsideTheScopeAreNamed(t *testing.T) {
	c := client(t, accounts)
	_, err := c.DeleteTable(t.Context(), &sdk.DeleteTableInput{TableName: aws.String("accounts")})
	expect(t, err, "", "UnknownOperationException: operation DynamoDB_20120810.DeleteTable is not supported by the local environment")
}
