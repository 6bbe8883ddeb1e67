package snapshots_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/snapshots"
)

func templates(resources string) map[string]json.RawMessage {
	return map[string]json.RawMessage{"shop-prod-data": json.RawMessage(`{"Resources": {` + resources + `}}`)}
}

const (
	table = `"Ledger": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "ledger", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}}`
	role  = `"Role": {"Type": "AWS::IAM::Role", "Properties": {}}`
)

func TestWhatKeepsDataIsNotRemovedWithoutAQuestion(t *testing.T) {
	queue := func(id, name string) string {
		return fmt.Sprintf(`%q: {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": %q}}`, id, name)
	}
	for _, c := range []struct {
		what, before, after string
		want                string // empty: nothing is removed
	}{
		{"nothing changed", table, table, ""},
		{"a role", role + "," + table, table, ""},
		{"other settings", table, strings.Replace(table, "PAY_PER_REQUEST", "PROVISIONED", 1), ""},
		{"something new", table, table + "," + queue("Q", "q"), ""},
		{"a table", table, "", "table ledger (stack shop-prod-data) would be deleted"},
		{"a table's key", table, strings.Replace(table, `"id"`, `"account"`, 1), "table ledger (stack shop-prod-data) would be replaced by an empty one"},
		{"a table's name", table, strings.Replace(table, `"ledger"`, `"journal"`, 1), "table ledger (stack shop-prod-data) would be replaced"},
		{"a table's place", table, strings.Replace(table, `"Ledger"`, `"Other"`, 1), "table ledger (stack shop-prod-data) would be replaced"},
		{"a queue", queue("Q", "q"), "", "queue q (stack shop-prod-data) would be deleted"},
		{"a queue that becomes a table", queue("Ledger", "q"), table, "queue q (stack shop-prod-data) would be deleted"},
		{"a queue without a name", `"Q": {"Type": "AWS::SQS::Queue"}`, "", "queue Q (stack shop-prod-data) would be deleted"},
		{"a bus", `"B": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "shop-prod"}}`, "", "bus shop-prod (stack shop-prod-data) would be deleted"},
		{"how people of a pool are named", `"P": {"Type": "AWS::Cognito::UserPool", "Properties": {"UserPoolName": "shop", "UsernameAttributes": ["email"]}}`,
			`"P": {"Type": "AWS::Cognito::UserPool", "Properties": {"UserPoolName": "shop", "UsernameAttributes": ["phone_number"]}}`, "user pool shop (stack shop-prod-data) would be replaced"},
		{"an archive", `"A": {"Type": "AWS::Events::Archive", "Properties": {"ArchiveName": "shop", "SourceArn": "a"}}`,
			`"A": {"Type": "AWS::Events::Archive", "Properties": {"ArchiveName": "shop", "SourceArn": "b"}}`, "archive shop (stack shop-prod-data) would be replaced"},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := snapshots.CheckRemovals(templates(c.before), templates(c.after), nil)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no question", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAWholeStackIsNotRemovedWithoutAQuestionEither(t *testing.T) {
	err := snapshots.CheckRemovals(templates(table), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "table ledger") {
		t.Errorf("got %v", err)
	}
}

func TestTheQuestionTellsTheAnswerWhichAllowsThatAlone(t *testing.T) {
	before, after := templates(table+`, "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}`), templates("")
	err := snapshots.CheckRemovals(before, after, nil)
	if err == nil || !strings.Contains(err.Error(), "-c allowRemoval=ledger,q") || !strings.Contains(err.Error(), "PENSTOCK_ALLOW_REMOVAL=ledger,q go generate ./...") {
		t.Errorf("got %v", err)
	}
	if err := snapshots.CheckRemovals(before, after, []string{"ledger"}); err == nil || strings.Contains(err.Error(), "table ledger") {
		t.Errorf("with the table allowed: %v", err)
	}
	if err := snapshots.CheckRemovals(before, after, []string{"ledger", "q"}); err != nil {
		t.Errorf("with both allowed: %v", err)
	}
}
