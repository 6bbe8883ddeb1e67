package stacks_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

func TestAFunctionOnHTTPIsPenstocksOwnProgramWithTheManifestBesideIt(t *testing.T) {
	hook := shopIn(t, dev)["penstock-dev-hook"]
	program := hook.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-hook")
	if program.Metadata[names.CodeMetadata] != names.SystemPackages+"webhook" || text(program.Metadata[names.FilesMetadata]) != `["functions/hook/function.json"]` {
		t.Errorf("metadata %v", program.Metadata)
	}
	got := variablesOf(t, hook, "hook")
	for name, want := range map[string]any{
		"PENSTOCK_WEBHOOK_URL": "https://hooks.example.com/in", "PENSTOCK_DELIVERIES_TABLE": "penstock-dev-deliveries", "PENSTOCK_DELIVERIES_DAYS": "14",
		"PENSTOCK_STATE_TABLE": "penstock-dev-state", "PENSTOCK_QUEUES": `{"deposits":"penstock-dev-hook-deposits"}`,
		"PENSTOCK_EGRESS": nil, "PENSTOCK_SESSION_KEYS": nil,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	age := hook.named(t, "AWS::CloudWatch::Alarm", "AlarmName", "penstock-dev-hook-deposits/age").Properties
	if age["Threshold"] != 10800.0 || !strings.Contains(text(age["AlarmDescription"]), "for more than 3 hours") {
		t.Errorf("alarm %v", age)
	}
	hook.mapping(t, "penstock-dev-hook-deposits") // and all else that a subscription has
	hook.queue(t, "penstock-dev-hook-deposits-dlq")
}

func TestAFunctionOnHTTPMayReadItsSecretWriteItsLogAndStopItselfAndNoMore(t *testing.T) {
	var got []string
	for _, s := range shopIn(t, dev)["penstock-dev-hook"].statements() {
		for _, a := range s.actions {
			if service, _, _ := strings.Cut(a, ":"); slices.Contains([]string{"secretsmanager", "dynamodb", "lambda", "events"}, service) && s.resources != nil {
				got = append(got, a+" on "+strings.Join(s.resources, " ")+" if "+s.conditions)
			}
		}
	}
	slices.Sort(got)
	own := "arn:${AWS::Partition}:"
	want := []string{
		`dynamodb:BatchWriteItem on ` + own + `dynamodb:` + region + `table/penstock-dev-deliveries if {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["hook/*"]}}`,
		`dynamodb:GetItem on ` + own + `dynamodb:` + region + `table/penstock-dev-state if {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["subscription#hook/*"]}}`,
		`dynamodb:PutItem on ` + own + `dynamodb:` + region + `table/penstock-dev-state if {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["subscription#hook/*"]}}`,
		`lambda:ListEventSourceMappings on * if `,
		`lambda:UpdateEventSourceMapping on ` + own + `lambda:` + region + `event-source-mapping:* if {"ArnLike":{"lambda:FunctionArn":"` + own + `lambda:` + region + `function:penstock-dev-hook"}}`,
		`secretsmanager:GetSecretValue on ` + own + `secretsmanager:` + region + `secret:penstock/dev/hook-signing-?????? if `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheLogOfDeliveriesExpires(t *testing.T) {
	table := shopIn(t, dev)["penstock-dev-data"].named(t, "AWS::DynamoDB::Table", "TableName", "penstock-dev-deliveries").Properties
	if got := text(table["KeySchema"]) + text(table["TimeToLiveSpecification"]); got != `[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]{"AttributeName":"expires","Enabled":true}` {
		t.Error(got)
	}
}

func TestAnEnvironmentSaysWhereItsEndpointsAre(t *testing.T) {
	env := manifest.Environment{
		Name: "hooked", Account: "000000000000", Region: "us-east-1", Endpoint: "http://127.0.0.1:4566", LogRetentionDays: 7, StorageAPI: true, SessionMinutes: 12, Connections: connections,
		Webhooks: manifest.Webhooks{URLs: map[string]string{"hook": "http://127.0.0.1:8080/in"}, AllowLoopback: true, LogDays: 30},
	}
	hook := shopIn(t, env)["penstock-hooked-hook"]
	program := hook.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-hooked-hook")
	got := program.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
	for name, want := range map[string]any{
		"PENSTOCK_WEBHOOK_URL": "http://127.0.0.1:8080/in", "PENSTOCK_EGRESS": "local", "PENSTOCK_DELIVERIES_DAYS": "30",
		"PENSTOCK_SESSION_KEYS": "penstock-hooked/function-session-keys", "PENSTOCK_SESSION_MINUTES": "12",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	var secrets []string
	for _, s := range hook.statements() {
		if slices.Contains(s.actions, "secretsmanager:GetSecretValue") {
			secrets = append(secrets, s.resources...)
		}
	}
	if len(secrets) != 2 || !strings.Contains(secrets[1], "function-session-keys") {
		t.Errorf("it reads %q", secrets)
	}
}
