package stacks_test

import (
	"slices"
	"strings"
	"testing"
)

func TestTheDataAPIIsThereWhereItIsAskedForAndNothingOfItElsewhere(t *testing.T) {
	for stack, tmpl := range shopIn(t, dev) {
		for id, r := range tmpl.Resources {
			if strings.HasPrefix(r.Type, "AWS::ApiGatewayV2::") || strings.Contains(text(r.Properties), "function-session-keys") || strings.Contains(text(r.Properties), "penstock-dev-sessions") {
				t.Errorf("%s: %s %s is of a data API, which dev does not ask for", stack, r.Type, id)
			}
		}
	}
	if shopIn(t, prod)["penstock-prod-storage"].Resources == nil {
		t.Error("prod asks for a data API and has none")
	}
}

func TestEveryRouteOfTheDataAPIAsksTheAuthorizerAnew(t *testing.T) {
	storage := shopIn(t, prod)["penstock-prod-storage"]
	routes := storage.resources("AWS::ApiGatewayV2::Route")
	if len(routes) != 4 {
		t.Errorf("%d routes", len(routes))
	}
	for _, r := range routes {
		if r.Properties["AuthorizationType"] != "CUSTOM" || r.Properties["AuthorizerId"] == nil {
			t.Errorf("route %v: %v", r.Properties["RouteKey"], r.Properties["AuthorizationType"])
		}
	}
	for _, a := range storage.resources("AWS::ApiGatewayV2::Authorizer") {
		if a.Properties["AuthorizerResultTtlInSeconds"] != 0.0 || text(a.Properties["IdentitySource"]) != `["$request.header.Authorization"]` {
			t.Errorf("authorizer %v", a.Properties)
		}
	}
	for _, p := range storage.resources("AWS::Lambda::Permission") {
		if source := text(p.Properties["SourceArn"]); !strings.HasSuffix(source, ":${API}/$default/*/rows/*") && !strings.HasSuffix(source, ":${API}/authorizers/${APIAuthorizer}") {
			t.Errorf("permission for %s", source)
		}
	}
}

func TestTheAuthorizerKnowsTheUserPoolAndTheConfiguredIssuers(t *testing.T) {
	function := shopIn(t, prod)["penstock-prod-storage"].named(t, "AWS::Lambda::Function", "FunctionName", "penstock-prod-storage-authorizer")
	variables := function.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
	const want = `[{"issuer":"https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/{{resolve:ssm:/penstock/prod/user-pool/id}}","audience":"{{resolve:ssm:/penstock/prod/user-pool/client-id}}"},` +
		`{"issuer":"https://accounts.example.com","audience":"shop","prefix":"staff:"}]`
	if got := text(variables["PENSTOCK_OIDC_ISSUERS"]); got != want {
		t.Errorf("issuers\n%s, want\n%s", got, want)
	}
	if variables["PENSTOCK_SESSION_MINUTES"] != "20" || variables["PENSTOCK_SESSION_KEYS"] != "penstock-prod/function-session-keys" {
		t.Errorf("variables %v", variables)
	}
}

func TestTheStorageTriggerReadsTheTablesStreamAndAnnouncesRowsAndNothingElse(t *testing.T) {
	storage := shopIn(t, prod)["penstock-prod-storage"]
	dlq := storage.queue(t, "penstock-prod-storage-trigger-changes-dlq")
	if dlq.Properties["MessageRetentionPeriod"] != 14*86400.0 {
		t.Errorf("what is told of changes that nobody announced stays for %v seconds", dlq.Properties["MessageRetentionPeriod"])
	}
	m := storage.one(t, "AWS::Lambda::EventSourceMapping").Properties
	want := map[string]any{
		"StartingPosition": "TRIM_HORIZON", "BisectBatchOnFunctionError": true, "MaximumRetryAttempts": -1.0, "MaximumRecordAgeInSeconds": 43200.0,
	}
	for name, value := range want {
		if m[name] != value {
			t.Errorf("%s of the mapping is %v, want %v", name, m[name], value)
		}
	}
	if text(m["FunctionResponseTypes"]) != `["ReportBatchItemFailures"]` || !strings.Contains(text(m["DestinationConfig"]), "Unannounced") || !strings.Contains(text(m["EventSourceArn"]), "StreamArn") {
		t.Errorf("the mapping is %v", m)
	}
	if view := storage.named(t, "AWS::DynamoDB::Table", "TableName", "penstock-prod-storage").Properties["StreamSpecification"]; text(view) != `{"StreamViewType":"NEW_AND_OLD_IMAGES"}` {
		t.Errorf("the stream is %v: the trigger compares a row's data before and after", view)
	}
	var actions []string
	for _, r := range storage.Resources {
		if r.Type != "AWS::IAM::Role" || list(r.Properties["Policies"])[0].(map[string]any)["PolicyName"] != "storage-trigger" {
			continue
		}
		for _, s := range statementsOf(list(r.Properties["Policies"])[0].(map[string]any)["PolicyDocument"]) {
			actions = append(actions, s.actions...)
			if slices.Contains(s.actions, "events:PutEvents") && !strings.Contains(s.conditions, `["STORAGE_DELETE","STORAGE_INSERT","STORAGE_UPDATE"]`) {
				t.Errorf("it may publish under %s", s.conditions)
			}
			if slices.Contains(s.actions, "sqs:SendMessage") && (len(s.resources) != 1 || !strings.HasSuffix(s.resources[0], ":penstock-prod-storage-trigger-changes-dlq")) {
				t.Errorf("it may send to %v", s.resources)
			}
		}
	}
	slices.Sort(actions)
	if want := []string{
		"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",
		"events:PutEvents", "logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage",
	}; !slices.Equal(actions, want) {
		t.Errorf("the trigger may do %v, want %v", actions, want)
	}
	for _, about := range []string{"age", "lost", "dlq"} {
		storage.alarm(t, "penstock-prod-storage-trigger/"+about)
	}
}
