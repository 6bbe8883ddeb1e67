package stacks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// resources returns those of a type, in the order of their logical ids.
func (tmpl template) resources(resourceType string) []resource {
	var ids []string
	for id, r := range tmpl.Resources {
		if r.Type == resourceType {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var found []resource
	for _, id := range ids {
		found = append(found, tmpl.Resources[id])
	}
	return found
}

func TestTheBusLogsWhatTheLevelSaysAndNeverTheDetail(t *testing.T) {
	needsNode(t)
	for level, want := range map[manifest.LogLevel][]string{
		manifest.LogErrors: {"ERROR_LOGS"},
		manifest.LogInfo:   {"ERROR_LOGS", "INFO_LOGS"},
		manifest.LogTrace:  {"ERROR_LOGS", "INFO_LOGS", "TRACE_LOGS"},
	} {
		env := manifest.Environment{Name: "dev", LogRetentionDays: 7, Connections: connections, BusLogLevel: level}
		bus := parse(t, synthesize(t, fstest.MapFS{}, env).Templates)["penstock-dev-bus"]
		properties := bus.named(t, "AWS::Events::EventBus", "Name", "penstock-dev").Properties
		if got, want := text(properties["LogConfig"]), fmt.Sprintf(`{"IncludeDetail":"NONE","Level":%q}`, strings.ToUpper(string(level))); got != want {
			t.Errorf("%s: log config %s, want %s", level, got, want)
		}
		var got []string
		for _, source := range bus.resources("AWS::Logs::DeliverySource") {
			got = append(got, source.Properties["LogType"].(string))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: delivers %q, want %q", level, got, want)
		}
		// One after the other: CloudWatch Logs refuses two at a time.
		inOrder := 0
		for _, delivery := range bus.resources("AWS::Logs::Delivery") {
			for _, id := range delivery.DependsOn {
				if bus.Resources[id].Type == "AWS::Logs::Delivery" {
					inOrder++
				}
			}
		}
		if inOrder != len(want)-1 {
			t.Errorf("%s: %d of %d deliveries wait for another", level, inOrder, len(want))
		}
		group := bus.named(t, "AWS::Logs::LogGroup", "LogGroupName", "/aws/vendedlogs/events/event-bus/penstock-dev")
		if group.Properties["RetentionInDays"] != 7.0 {
			t.Errorf("%s: the log is kept for %v days", level, group.Properties["RetentionInDays"])
		}
		document := text(bus.resources("AWS::Logs::ResourcePolicy")[0].Properties["PolicyDocument"])
		for _, part := range []string{`"Service":"delivery.logs.amazonaws.com"`, `"aws:SourceAccount":"${AWS::AccountId}"`, `log-group:/aws/vendedlogs/events/event-bus/penstock-dev:log-stream:*`} {
			if !strings.Contains(document, part) {
				t.Errorf("%s: the log group's policy has no %s:\n%s", level, part, document)
			}
		}
	}
}

func TestABusWithoutSettingsHasNoLogArchiveOrKey(t *testing.T) {
	bus := shopIn(t, dev)["penstock-dev-bus"]
	for id, r := range bus.Resources {
		switch r.Type {
		case "AWS::Events::EventBus", "AWS::Events::EventBusPolicy", "AWS::SSM::Parameter":
		default:
			t.Errorf("%s is a %s", id, r.Type)
		}
	}
}

func TestTheArchiveKeepsEveryEventAsLongAsTheEnvironmentSays(t *testing.T) {
	bus := shopIn(t, prod)["penstock-prod-bus"]
	archive := bus.named(t, "AWS::Events::Archive", "ArchiveName", "penstock-prod")
	if archive.Properties["RetentionDays"] != 90.0 || archive.Properties["EventPattern"] != nil || archive.DeletionPolicy != "Retain" {
		t.Errorf("archive %+v", archive)
	}
	if got := text(archive.Properties["SourceArn"]); !strings.HasPrefix(got, "${Bus") {
		t.Errorf("of %s", got)
	}
}

func TestTheBusTakesNothingWithoutTLS(t *testing.T) {
	policy := shopIn(t, dev)["penstock-dev-bus"].resources("AWS::Events::EventBusPolicy")
	if len(policy) != 1 {
		t.Fatalf("%d policies", len(policy))
	}
	statement := policy[0].Properties["Statement"].(map[string]any)
	if statement["Effect"] != "Deny" || statement["Action"] != "events:PutEvents" || text(statement["Condition"]) != `{"Bool":{"aws:SecureTransport":"false"}}` {
		t.Errorf("statement %v", statement)
	}
}

// Each place that keeps events, data or settings, and the property that names
// its key.
var encrypted = map[string]func(properties map[string]any) any{
	"AWS::Events::EventBus": func(p map[string]any) any { return p["KmsKeyIdentifier"] },
	"AWS::Events::Archive":  func(p map[string]any) any { return p["KmsKeyIdentifier"] },
	"AWS::SQS::Queue":       func(p map[string]any) any { return p["KmsMasterKeyId"] },
	"AWS::Logs::LogGroup":   func(p map[string]any) any { return p["KmsKeyId"] },
	"AWS::Lambda::Function": func(p map[string]any) any { return p["KmsKeyArn"] },
	"AWS::DynamoDB::Table": func(p map[string]any) any {
		sse, _ := p["SSESpecification"].(map[string]any)
		return sse["KMSMasterKeyId"]
	},
}

func TestOneKeyEncryptsEverything(t *testing.T) {
	const theirs = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	existing := prod
	existing.Name, existing.EncryptionKey = "existing", theirs
	for _, c := range []struct {
		env         manifest.Environment
		bus, others string // the key in the bus stack, and in others
	}{
		{prod, "${Key.Arn}", "{{resolve:ssm:/penstock/prod/key/arn}}"},
		{existing, theirs, theirs},
		{dev, "null", "null"},
	} {
		count := 0
		for stack, tmpl := range shopIn(t, c.env) {
			want := c.others
			if strings.HasSuffix(stack, "-bus") {
				want = c.bus
			}
			for id, r := range tmpl.Resources {
				keyOf, keeps := encrypted[r.Type]
				if !keeps {
					continue
				}
				count++
				if got := text(keyOf(r.Properties)); got != want {
					t.Errorf("%s: %s %s has the key %s, want %s", stack, r.Type, id, got, want)
				}
				if r.Type == "AWS::SQS::Queue" && (r.Properties["SqsManagedSseEnabled"] == true) != (c.env.EncryptionKey == "") {
					t.Errorf("%s: %s: SQS's own key: %v", stack, id, r.Properties["SqsManagedSseEnabled"])
				}
			}
			if keys := len(tmpl.resources("AWS::KMS::Key")); (keys == 1) != (want == "${Key.Arn}") {
				t.Errorf("%s makes %d keys", stack, keys)
			}
		}
		if count < 15 {
			t.Errorf("%s: only %d places that keep something", c.env.Name, count)
		}
	}
}

func TestAKeysPolicyAdmitsTheServicesOnBehalfOfThisAccountAlone(t *testing.T) {
	key := shopIn(t, prod)["penstock-prod-bus"].resources("AWS::KMS::Key")[0]
	if key.Properties["EnableKeyRotation"] != true || key.DeletionPolicy != "Retain" {
		t.Errorf("rotated: %v, deletion policy %s", key.Properties["EnableKeyRotation"], key.DeletionPolicy)
	}
	admitted := map[string]bool{}
	for _, s := range statementsOf(key.Properties["KeyPolicy"]) {
		admitted[s.principal] = true
		if !strings.Contains(s.conditions, "${AWS::AccountId}") && !strings.Contains(s.principal, "${AWS::AccountId}") {
			t.Errorf("%v is allowed %v on behalf of anyone: %s", s.principal, s.actions, s.conditions)
		}
	}
	for _, service := range []string{"events.amazonaws.com", "cloudwatch.amazonaws.com", "logs.${AWS::Region}.amazonaws.com", "delivery.logs.amazonaws.com"} {
		if !admitted[fmt.Sprintf(`{"Service":%q}`, service)] {
			t.Errorf("%s may not use the key; there are %v", service, admitted)
		}
	}
}

func TestAnEncryptedBusHasADLQThatItAloneFills(t *testing.T) {
	bus := shopIn(t, prod)["penstock-prod-bus"]
	dlq := bus.queue(t, "penstock-prod-bus-dlq")
	if dlq.Properties["MessageRetentionPeriod"] != 14*24*60*60.0 {
		t.Errorf("kept for %v s", dlq.Properties["MessageRetentionPeriod"])
	}
	config := text(bus.named(t, "AWS::Events::EventBus", "Name", "penstock-prod").Properties["DeadLetterConfig"])
	if !strings.HasPrefix(config, `{"Arn":"${DLQ`) {
		t.Errorf("the bus's DLQ is %s", config)
	}
	policy := statementsOf(bus.resources("AWS::SQS::QueuePolicy")[0].Properties["PolicyDocument"])
	if got, want := policy[1].conditions, `{"ArnEquals":{"aws:SourceArn":"arn:${AWS::Partition}:events:`+region+`event-bus/penstock-prod"}}`; got != want {
		t.Errorf("condition %s, want %s", got, want)
	}
}

func TestOnlyAFunctionThatAsksForItIsInTheVPC(t *testing.T) {
	needsNode(t)
	project := fstest.MapFS{
		"functions/inside/function.json":  {Data: []byte(`{"name": "inside", "vpc": true}`)},
		"functions/outside/function.json": {Data: []byte(`{"name": "outside"}`)},
	}
	templates := parse(t, synthesize(t, project, prod).Templates)
	for name, want := range map[string]string{
		"inside":  `{"SecurityGroupIds":["sg-12345678"],"SubnetIds":["subnet-12345678"]}`,
		"outside": "null",
	} {
		stack := templates["penstock-prod-"+name]
		fn := stack.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-prod-"+name)
		if got := text(fn.Properties["VpcConfig"]); got != want {
			t.Errorf("%s: VPC %s, want %s", name, got, want)
		}
		interfaces := 0
		for _, s := range stack.role(t) {
			if slices.Contains(s.actions, "ec2:CreateNetworkInterface") {
				interfaces++
				if s.effect == "Deny" && !strings.Contains(s.conditions, "lambda:SourceFunctionArn") {
					t.Errorf("%s: Lambda itself is denied %v", name, s.actions)
				}
			}
		}
		if (interfaces == 2) != (name == "inside") || interfaces == 1 {
			t.Errorf("%s: %d statements on network interfaces", name, interfaces)
		}
	}
}

func TestTemplatesAreCloudFormationAlone(t *testing.T) {
	for _, env := range []manifest.Environment{dev, prod} {
		for stack, tmpl := range shopIn(t, env) {
			if strings.Contains(mustJSON(tmpl), "$jsii") {
				t.Errorf("%s has something of jsii's in it", stack)
			}
		}
	}
}
