package stacks_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-cdk-go/awscdk/v2/cloudassemblyschema"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/infra/stacks"
)

// Prefixes of ARNs as function text writes them.
const (
	region   = "${AWS::Region}:${AWS::AccountId}:"
	dynamodb = "arn:${AWS::Partition}:dynamodb:" + region + "table/penstock-dev-"
	sqs      = "arn:${AWS::Partition}:sqs:" + region + "penstock-dev-"
)

func TestAQueueHidesABatchForSixTimeoutsAndTheWindow(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	for queue, want := range map[string]float64{
		"penstock-dev-fee-withdrawals": 6*40 + 20,
		"penstock-dev-fee-deposits":    6 * 40,
		"penstock-dev-fee-trades":      6*40 + 1,
	} {
		if got := fee.queue(t, queue).Properties["VisibilityTimeout"]; got != want {
			t.Errorf("%s: visibility timeout %v s, want %v s", queue, got, want)
		}
	}
}

func TestEventsWaitFourDaysAndInDLQsFourteen(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	const day = 24 * 60 * 60
	for queue, want := range map[string]float64{
		"penstock-dev-fee-withdrawals":          4 * day,
		"penstock-dev-fee-withdrawals-dlq":      14 * day,
		"penstock-dev-fee-withdrawals-rule-dlq": 14 * day,
	} {
		properties := fee.queue(t, queue).Properties
		if got := properties["MessageRetentionPeriod"]; got != want {
			t.Errorf("%s: kept for %v s, want %v s", queue, got, want)
		}
		if properties["SqsManagedSseEnabled"] != true {
			t.Errorf("%s is not encrypted", queue)
		}
	}
	redrive := fee.queue(t, "penstock-dev-fee-withdrawals").Properties["RedrivePolicy"].(map[string]any)
	if redrive["maxReceiveCount"] != 3.0 {
		t.Errorf("redriven after %v receives, want 3", redrive["maxReceiveCount"])
	}
	for _, dlq := range []string{"-dlq", "-rule-dlq"} {
		if fee.queue(t, "penstock-dev-fee-withdrawals"+dlq).Properties["RedrivePolicy"] != nil {
			t.Errorf("%s passes its messages on", dlq)
		}
	}
}

func TestAMappingHasTheManifestsSettings(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	for queue, want := range map[string]map[string]any{
		"penstock-dev-fee-withdrawals": {"BatchSize": 1000.0, "MaximumBatchingWindowInSeconds": 20.0},
		"penstock-dev-fee-deposits":    {"BatchSize": 10.0, "MaximumBatchingWindowInSeconds": 0.0},
		"penstock-dev-fee-trades":      {"BatchSize": 500.0, "MaximumBatchingWindowInSeconds": 1.0},
	} {
		got := fee.mapping(t, queue).Properties
		for property, value := range want {
			if got[property] != value {
				t.Errorf("%s: %s is %v, want %v", queue, property, got[property], value)
			}
		}
		if s := text(got["FunctionResponseTypes"]); s != `["ReportBatchItemFailures"]` {
			t.Errorf("%s: response types %s", queue, s)
		}
		if s := text(got["ScalingConfig"]); s != `{"MaximumConcurrency":7}` {
			t.Errorf("%s: scaling %s", queue, s)
		}
	}
}

func TestEnabledIsInTheTemplateOnlyWhenTheManifestSaysFalse(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	if got, there := fee.mapping(t, "penstock-dev-fee-withdrawals").Properties["Enabled"]; got != false {
		t.Errorf("false in the manifest: Enabled is %v (there: %v)", got, there)
	}
	for _, queue := range []string{"penstock-dev-fee-deposits", "penstock-dev-fee-trades"} {
		if got, there := fee.mapping(t, queue).Properties["Enabled"]; there {
			t.Errorf("%s: the template says Enabled %v, and so would undo the breaker", queue, got)
		}
	}
	for _, name := range []string{"withdrawals", "deposits"} {
		rule := fee.named(t, "AWS::Events::Rule", "Name", "penstock-dev-fee-"+name)
		if rule.Properties["State"] != "ENABLED" {
			t.Errorf("rule of %s is %v: events would be lost, not queued", name, rule.Properties["State"])
		}
	}
}

func TestARuleSelectsTheTypeAndFilterAndHasADLQ(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	rule := fee.named(t, "AWS::Events::Rule", "Name", "penstock-dev-fee-withdrawals")
	if got, want := text(rule.Properties["EventPattern"]),
		`{"detail":{"data":{"amount":[{"numeric":[">",0.01]}],"note":[null,{"exists":false}]}},"detail-type":["SAVINGS_WITHDRAWAL"],"source":["savings"]}`; got != want {
		t.Errorf("pattern\n%s, want\n%s", got, want)
	}
	if rule.Properties["EventBusName"] != "penstock-dev" {
		t.Errorf("on bus %v", rule.Properties["EventBusName"])
	}
	targets := list(rule.Properties["Targets"])
	if len(targets) != 1 {
		t.Fatalf("%d targets, want 1", len(targets))
	}
	target := targets[0].(map[string]any)
	for property, queue := range map[string]string{
		text(target["Arn"]): "penstock-dev-fee-withdrawals",
		text(target["DeadLetterConfig"].(map[string]any)["Arn"]): "penstock-dev-fee-withdrawals-rule-dlq",
	} {
		id, _ := strings.CutSuffix(strings.TrimPrefix(property, "${"), ".Arn}")
		if fee.Resources[id].Properties["QueueName"] != queue {
			t.Errorf("%s is not queue %s", property, queue)
		}
	}
	if got, want := text(target["RetryPolicy"]), `{"MaximumEventAgeInSeconds":86400,"MaximumRetryAttempts":185}`; got != want {
		t.Errorf("retry policy %s, want %s", got, want)
	}
}

func TestARuleIsMadeAfterItMaySend(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	rule := fee.named(t, "AWS::Events::Rule", "Name", "penstock-dev-fee-withdrawals")
	var queues []string
	for _, id := range rule.DependsOn {
		for _, queue := range list(fee.Resources[id].Properties["Queues"]) {
			ref := queue.(map[string]any)["Ref"].(string)
			queues = append(queues, fee.Resources[ref].Properties["QueueName"].(string))
		}
	}
	slices.Sort(queues)
	if want := []string{"penstock-dev-fee-withdrawals", "penstock-dev-fee-withdrawals-rule-dlq"}; !slices.Equal(queues, want) {
		t.Errorf("the rule waits for the policies of %q, want %q", queues, want)
	}
}

func TestQueuesTakeOnlyTLSAndOnlyTheirOwnRule(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	policies := map[string][]statement{} // by queue
	for _, r := range fee.Resources {
		if r.Type != "AWS::SQS::QueuePolicy" {
			continue
		}
		for _, queue := range list(r.Properties["Queues"]) {
			ref := queue.(map[string]any)["Ref"].(string)
			policies[fee.Resources[ref].Properties["QueueName"].(string)] = statementsOf(r.Properties["PolicyDocument"])
		}
	}
	if len(policies) != 9 {
		t.Errorf("%d queues have a policy, want 9", len(policies))
	}
	for queue, policy := range policies {
		tls := policy[0]
		if tls.effect != "Deny" || !slices.Equal(tls.actions, []string{"sqs:*"}) || tls.principal != `{"AWS":"*"}` || tls.conditions != `{"Bool":{"aws:SecureTransport":"false"}}` {
			t.Errorf("%s: the first statement is not TLS only: %+v", queue, tls)
		}
		rule := strings.TrimSuffix(queue, "-rule-dlq")
		allowed := policy[1:]
		if strings.HasSuffix(queue, "-dlq") && rule == queue {
			if len(allowed) != 0 {
				t.Errorf("%s: someone may send to a DLQ that only SQS fills: %+v", queue, allowed)
			}
			continue
		}
		want := statement{
			effect: "Allow", principal: `{"Service":"events.amazonaws.com"}`, actions: []string{"sqs:SendMessage"},
			conditions: `{"ArnEquals":{"aws:SourceArn":"arn:${AWS::Partition}:events:` + region + `rule/penstock-dev/` + rule + `"}}`,
		}
		if len(allowed) != 1 {
			t.Errorf("%s: %d statements allow, want 1", queue, len(allowed))
			continue
		}
		got := allowed[0]
		got.resources = nil
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\ngot  %v\nwant %v", queue, got, want)
		}
	}
}

func TestAFunctionMayDoWhatItsManifestSaysAndNoMore(t *testing.T) {
	const logs = "arn:${AWS::Partition}:logs:" + region + "log-group:/aws/lambda/penstock-dev-"
	read := []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"}
	for stack, want := range map[string][]statement{
		"penstock-dev-fee": {
			{actions: []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"}, resources: []string{sqs + "fee-withdrawals", sqs + "fee-deposits", sqs + "fee-trades"}},
			{actions: []string{"sqs:SendMessage"}, resources: []string{sqs + "fee-withdrawals-dlq", sqs + "fee-deposits-dlq", sqs + "fee-trades-dlq"}},
			{actions: []string{"dynamodb:PutItem"}, resources: []string{dynamodb + "outbox"},
				conditions: `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["savings/FEE_CHARGED#*","savings/FEE_WAIVED#*"]}}`},
			{actions: []string{"dynamodb:PutItem"}, resources: []string{dynamodb + "idempotency"},
				conditions: `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["fee/*"]}}`},
			{actions: read, resources: []string{dynamodb + "accounts"}},
			{actions: []string{"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"},
				resources: []string{dynamodb + "fee-ledger"}},
			{actions: []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}, resources: []string{"arn:${AWS::Partition}:secretsmanager:" + region + "secret:penstock/dev/core-api-token-??????"}},
			{actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, resources: []string{logs + "fee:*"}},
		},
		"penstock-dev-plain": {
			{actions: []string{"dynamodb:PutItem"}, resources: []string{dynamodb + "idempotency"},
				conditions: `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["plain/*"]}}`},
			{actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, resources: []string{logs + "plain:*"}},
		},
		"penstock-dev-data": { // the relay's
			{actions: []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}, resources: []string{"${Outbox27BBF20A.StreamArn}"}},
			{actions: []string{"dynamodb:BatchWriteItem", "dynamodb:Scan", "dynamodb:UpdateItem"}, resources: []string{dynamodb + "outbox"}},
			{actions: []string{"events:PutEvents"}, resources: []string{bus},
				conditions: `{"StringEquals":{"events:detail-type":["FEE_CHARGED","FEE_WAIVED","SAVINGS_DEPOSIT","SAVINGS_WITHDRAWAL"],"events:source":"savings"}}`},
			{actions: []string{"events:PutEvents"}, resources: []string{bus},
				conditions: `{"StringEquals":{"events:detail-type":["TRADE_ALLOCATED"],"events:source":"trading"}}`},
			{actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, resources: []string{logs + "outbox-relay:*"}},
		},
	} {
		var lines, wanted []string
		for _, s := range shopIn(t, dev)[stack].role(t) {
			lines = append(lines, fmt.Sprint(s))
		}
		for _, s := range want {
			s.effect = "Allow"
			wanted = append(wanted, fmt.Sprint(s))
		}
		if got, want := strings.Join(lines, "\n"), strings.Join(wanted, "\n"); got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", stack, got, want)
		}
	}
}

func TestAFunctionIsGivenItsSettingsAndFolder(t *testing.T) {
	fee := shopIn(t, dev)["penstock-dev-fee"]
	fn := fee.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-fee")
	for property, want := range map[string]any{
		"Description": "Charges fees", "MemorySize": 512.0, "Timeout": 40.0, "Runtime": "provided.al2023", "Handler": "bootstrap",
	} {
		if got := fn.Properties[property]; got != want {
			t.Errorf("%s is %v, want %v", property, got, want)
		}
	}
	if got := text(fn.Properties["Architectures"]); got != `["arm64"]` {
		t.Errorf("architectures %s", got)
	}
	if got, want := text(fn.Properties["Environment"]), `{"Variables":{"FEE_PERCENT":"0.5","PENSTOCK_APP":"penstock","PENSTOCK_ENV":"dev","PENSTOCK_FUNCTION":"fee",`+
		`"PENSTOCK_IDEMPOTENCY_TABLE":"penstock-dev-idempotency","PENSTOCK_OUTBOX_TABLE":"penstock-dev-outbox",`+
		`"PENSTOCK_RETRIES":"{\"deposits\":{\"maxReceiveCount\":5,\"baseSeconds\":30,\"capSeconds\":900},`+
		`\"trades\":{\"maxReceiveCount\":5,\"baseSeconds\":30,\"capSeconds\":900},`+
		`\"withdrawals\":{\"maxReceiveCount\":3,\"baseSeconds\":10,\"capSeconds\":120}}",`+
		`"PENSTOCK_TABLE_ACCOUNTS":"penstock-dev-accounts","PENSTOCK_TABLE_FEE_LEDGER":"penstock-dev-fee-ledger"}}`; got != want {
		t.Errorf("environment\n%s, want\n%s", got, want)
	}
	if fn.Metadata[names.CodeMetadata] != "functions/fee" || fn.Metadata[names.FunctionMetadata] != "fee" {
		t.Errorf("metadata %v", fn.Metadata)
	}
	relay := shopIn(t, dev)["penstock-dev-data"].named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-outbox-relay")
	if relay.Metadata[names.CodeMetadata] != "github.com/penstock-dev/penstock/functions/system/outbox-relay" {
		t.Errorf("the relay's metadata %v", relay.Metadata)
	}
}

func TestTheOutboxNeverForgetsAndItsRelayNeverGivesUp(t *testing.T) {
	data := shopIn(t, dev)["penstock-dev-data"]
	outbox := data.named(t, "AWS::DynamoDB::Table", "TableName", "penstock-dev-outbox")
	if ttl := outbox.Properties["TimeToLiveSpecification"]; ttl != nil {
		t.Errorf("events in the outbox expire: %v", ttl)
	}
	if got := text(outbox.Properties["StreamSpecification"]); got != `{"StreamViewType":"NEW_IMAGE"}` {
		t.Errorf("stream %s", got)
	}
	marks := data.named(t, "AWS::DynamoDB::Table", "TableName", "penstock-dev-idempotency")
	if got := text(marks.Properties["TimeToLiveSpecification"]); got != `{"AttributeName":"expires","Enabled":true}` {
		t.Errorf("marks expire by %s", got)
	}
	mapping := data.Resources["RelayMapping"].Properties
	for property, want := range map[string]any{
		"MaximumRetryAttempts": -1.0, "MaximumRecordAgeInSeconds": -1.0, "BisectBatchOnFunctionError": true,
		"StartingPosition": "TRIM_HORIZON", "BatchSize": 1000.0, "MaximumBatchingWindowInSeconds": 0.0,
	} {
		if mapping[property] != want {
			t.Errorf("the relay's mapping: %s is %v, want %v", property, mapping[property], want)
		}
	}
	if got, want := text(mapping["FilterCriteria"]), `{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\",\"MODIFY\"],\"dynamodb\":{\"NewImage\":{\"setAside\":{\"S\":[{\"exists\":false}]}}}}"}]}`; got != want {
		t.Errorf("the relay's mapping: filter\n%s, want\n%s", got, want)
	}
}

func TestTheOutboxIsSweptEveryMinuteByItsRelayAlone(t *testing.T) {
	data := shopIn(t, dev)["penstock-dev-data"]
	rule := data.named(t, "AWS::Events::Rule", "Name", "penstock-dev-outbox-relay-sweep").Properties
	if rule["ScheduleExpression"] != "rate(1 minute)" || rule["State"] != "ENABLED" || rule["EventBusName"] != nil {
		t.Errorf("rule %v: want every minute, on the default bus, which alone has schedules", rule)
	}
	if got, want := text(rule["Targets"]), `[{"Arn":"${Relay3F9A082A.Arn}","Id":"relay","RetryPolicy":{"MaximumEventAgeInSeconds":60,"MaximumRetryAttempts":0}}]`; got != want {
		t.Errorf("targets %s, want %s", got, want)
	}
	permission := data.Resources["SweepPermission"].Properties
	for property, want := range map[string]string{
		"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "FunctionName": "${Relay3F9A082A}",
		"SourceArn": "arn:${AWS::Partition}:events:" + region + "rule/penstock-dev-outbox-relay-sweep",
	} {
		if got := text(permission[property]); got != want {
			t.Errorf("permission: %s is %s, want %s", property, got, want)
		}
	}
}

func TestProtectionIsWhatTheEnvironmentSays(t *testing.T) {
	for _, c := range []struct {
		env       manifest.Environment
		policy    string
		deletion  any // DeletionProtectionEnabled
		pitr      string
		retention float64
	}{
		{dev, "Delete", nil, "null", 7},
		{prod, "Retain", true, `{"PointInTimeRecoveryEnabled":true}`, 365},
	} {
		tables, want := 0, 6
		if c.env.StorageAPI {
			want += 2
		}
		for stack, tmpl := range shopIn(t, c.env) {
			for id, r := range tmpl.Resources {
				switch r.Type {
				case "AWS::DynamoDB::Table":
					tables++
					if r.DeletionPolicy != c.policy || r.Properties["DeletionProtectionEnabled"] != c.deletion || text(r.Properties["PointInTimeRecoverySpecification"]) != c.pitr {
						t.Errorf("%s: table %s: deletion policy %s, protection %v, recovery %s", stack, id, r.DeletionPolicy,
							r.Properties["DeletionProtectionEnabled"], text(r.Properties["PointInTimeRecoverySpecification"]))
					}
				case "AWS::Logs::LogGroup":
					if r.Properties["RetentionInDays"] != c.retention {
						t.Errorf("%s: logs are kept for %v days, want %v", stack, r.Properties["RetentionInDays"], c.retention)
					}
				}
			}
		}
		if tables != want {
			t.Errorf("%s: %d tables, want %d", c.env.Name, tables, want)
		}
	}
}

func TestTerminationProtectionIsOfEveryStack(t *testing.T) {
	needsNode(t)
	for _, env := range []manifest.Environment{dev, prod} {
		app := newApp(t)
		stacks.New(app, &stacks.Props{Root: shop, Env: env, Build: noProgram(t)})
		for _, stack := range *app.Synth(nil).Stacks() {
			if got := stack.TerminationProtection(); got == nil || *got != env.TerminationProtection {
				t.Errorf("%s: termination protection %v, want %v", *stack.StackName(), got, env.TerminationProtection)
			}
		}
	}
}

// What a template may hold. A type that is not here, such as a custom resource
// or a function of the CDK's own, is not ours.
func TestTemplatesHoldNothingThatTheCDKAdds(t *testing.T) {
	ours := []string{
		"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy",
		"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Stage",
		"AWS::Cognito::UserPool", "AWS::Cognito::UserPoolClient", "AWS::DynamoDB::Table", "AWS::Events::Archive", "AWS::Events::EventBus", "AWS::Events::EventBusPolicy", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role",
		"AWS::KMS::Alias", "AWS::KMS::Key", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::Permission",
		"AWS::Logs::Delivery", "AWS::Logs::DeliveryDestination", "AWS::Logs::DeliverySource", "AWS::Logs::LogGroup", "AWS::Logs::ResourcePolicy",
		"AWS::SecretsManager::Secret", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::SSM::Parameter",
	}
	for stack, tmpl := range shopIn(t, prod) {
		for id, r := range tmpl.Resources {
			if !slices.Contains(ours, r.Type) {
				t.Errorf("%s: %s is a %s", stack, id, r.Type)
			}
		}
	}
}

func TestStacksAreDeployedInOrder(t *testing.T) {
	needsNode(t)
	app := newApp(t)
	stacks.New(app, &stacks.Props{Root: shop, Env: dev, Build: noProgram(t)})
	assembly := app.Synth(nil)
	for stack, want := range map[string][]string{
		"penstock-dev-bus":        nil,
		"penstock-dev-access":     nil,
		"penstock-dev-data":       {"penstock-dev-bus"},
		"penstock-dev-operations": {"penstock-dev-data"},
		"penstock-dev-fee":        {"penstock-dev-operations"},
		"penstock-dev-plain":      {"penstock-dev-operations"},
		"penstock-dev-callback":   {"penstock-dev-operations"},
		"penstock-dev-printer":    {"penstock-dev-operations", "penstock-dev-callback"},
	} {
		var got []string
		for _, artifact := range *assembly.GetStackByName(&stack).Dependencies() {
			if artifact.Manifest().Type == cloudassemblyschema.ArtifactType_AWS_CLOUDFORMATION_STACK {
				got = append(got, *artifact.Id())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s waits for %v, want %v", stack, got, want)
		}
	}
}

func TestOnlyAnEnvironmentWithAnEndpointIsNotBootstrapped(t *testing.T) {
	needsNode(t)
	local := manifest.Environment{Name: "local", Endpoint: "http://127.0.0.1:4566", LogRetentionDays: 7, Connections: connections}
	for stack, template := range synthesize(t, shop, local).Templates {
		for _, word := range []string{"BootstrapVersion", "Fn::Sub", "cdk-hnb659fds"} {
			if strings.Contains(string(template), word) {
				t.Errorf("%s: the template has %s", stack, word)
			}
		}
	}
	for stack, template := range synthesize(t, shop, dev).Templates {
		if !strings.Contains(string(template), "BootstrapVersion") {
			t.Errorf("%s: the template does not check the bootstrap's version", stack)
		}
	}
}

func TestAnAdopterNamesTheAppAndExtendsAFunction(t *testing.T) {
	needsNode(t)
	app := newApp(t)
	s := stacks.New(app, &stacks.Props{Root: shop, App: "shop", Env: dev, Build: noProgram(t)})
	fee := s.Function("fee")
	fee.Lambda.AddEnvironment(jsii.String("EXTRA"), jsii.String("1"), nil)
	if got := *fee.Subscriptions["deposits"].Queue.QueueName(); !strings.Contains(got, "TOKEN") {
		t.Errorf("the queue's name is %q, want a reference to it", got)
	}
	s.Synth()
	var synthesized snapshots.Snapshot
	if err := synthesized.ReadAssembly(*app.Outdir()); err != nil {
		t.Fatal(err)
	}
	fn := parse(t, synthesized.Templates)["shop-dev-fee"].named(t, "AWS::Lambda::Function", "FunctionName", "shop-dev-fee")
	if !strings.Contains(text(fn.Properties["Environment"]), `"EXTRA":"1"`) {
		t.Errorf("the function was not extended: %s", text(fn.Properties["Environment"]))
	}
	err := panicOf(func() { s.Function("fees") })
	if err == nil || !strings.Contains(err.Error(), "there is no functions/fees/function.json") {
		t.Errorf("an unknown function: %v", err)
	}
}

func TestNewNamesEveryFaultOfAProject(t *testing.T) {
	needsNode(t)
	broken := fstest.MapFS{
		"functions/a/function.json": {Data: []byte(`{"name": "a", "memoryMB": 1}`)},
		"functions/b/function.json": {Data: []byte(`{"name": "b", "timeout": 1}`)},
	}
	misfit := fstest.MapFS{
		"functions/a/function.json": {Data: []byte(`{"name": "a", "publishes": ["savings/FEE_CHARGD"],
			"subscriptions": [{"name": "x", "event": "savings/FEE_CHARGED", "filter": {"data": {"amuont": [1]}}}]}`)},
		"schemas/savings/FEE_CHARGED.schema.json": {Data: []byte(`{"type": "object", "properties": {"amount": {"type": "number"}}}`)},
	}
	long := fstest.MapFS{"functions/" + strings.Repeat("f", 60) + "/function.json": {Data: []byte(`{"name": "` + strings.Repeat("f", 60) + `"}`)}}
	for _, c := range []struct {
		what  string
		props stacks.Props
		want  []string
	}{
		{"manifests", stacks.Props{Root: broken, Env: dev}, []string{"functions/a/function.json: memoryMB", `functions/b/function.json:1:15: unknown field "timeout"`}},
		{"the app's name", stacks.Props{Root: shop, App: "My Shop", Env: dev}, []string{`application name "My Shop"`}},
		{"no environment", stacks.Props{Root: shop}, []string{`environment name ""`}},
		{"an environment's settings", stacks.Props{Root: shop, Env: manifest.Environment{Name: "dev"}}, []string{`environment "dev": CloudWatch keeps no logs for 0 days`}},
		{"event types", stacks.Props{Root: misfit, Env: dev}, []string{
			`function "a": subscription "x": the filter does not fit savings/FEE_CHARGED: data.amuont: there is no such field: did you mean data.amount?`,
			`function "a": publishes: no event type "savings/FEE_CHARGD"`,
		}},
		{"names that are too long", stacks.Props{Root: long, Env: dev}, []string{"AWS takes 64"}},
		{"a program that does not compile", stacks.Props{Root: shop, Env: dev, Build: func(string) (string, error) { return "", os.ErrInvalid }}, []string{os.ErrInvalid.Error()}},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := panicOf(func() { stacks.New(newApp(t), &c.props) })
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

func TestTheEnvironmentIsTheOneAskedFor(t *testing.T) {
	needsNode(t)
	root := fstest.MapFS{manifest.EnvironmentsFile: {Data: []byte(`{"local": {"logRetentionDays": 7}, "dev": {"logRetentionDays": 14}}`)}}
	app := newApp(t)
	if env := stacks.Environment(app, root); env.Name != "local" || env.LogRetentionDays != 7 {
		t.Errorf("without -c: %+v, want local", env)
	}
	app.Node().SetContext(jsii.String("env"), "dev")
	if env := stacks.Environment(app, root); env.Name != "dev" || env.LogRetentionDays != 14 {
		t.Errorf("-c env=dev: %+v, want dev", env)
	}
	app.Node().SetContext(jsii.String("env"), "prd")
	err := panicOf(func() { stacks.Environment(app, root) })
	if err == nil || !strings.Contains(err.Error(), "there are dev, local") {
		t.Errorf("-c env=prd: %v", err)
	}
}

// panicOf returns the error that f panics with.
func panicOf(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}
