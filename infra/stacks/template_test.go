package stacks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// shop is a project that uses everything a manifest has.
var shop = fstest.MapFS{
	"infra/tables.json": {Data: []byte(`{"accounts": {"partitionKey": "id"}, "fee-ledger": {"partitionKey": "account", "sortKey": "id"}}`)},
	"functions/fee/function.json": {Data: []byte(`{
		"name": "fee", "description": "Charges fees", "memoryMB": 512, "timeoutSeconds": 40, "maxConcurrency": 7,
		"secrets": ["core-api-token"],
		"publishes": ["savings/FEE_CHARGED", "savings/FEE_WAIVED"],
		"tables": {"accounts": "read", "fee-ledger": "readWrite"},
		"variables": {"FEE_PERCENT": "0.5"},
		"subscriptions": [
			{"name": "withdrawals", "event": "savings/SAVINGS_WITHDRAWAL", "filter": {"data": {"note": [null, {"exists": false}], "amount": [{"numeric": [">", 0.01]}]}},
			 "batchSize": 1000, "batchWindowSeconds": 20, "maxReceiveCount": 3, "retry": {"baseSeconds": 10, "capSeconds": 120}, "enabled": false},
			{"name": "deposits", "event": "savings/SAVINGS_DEPOSIT", "batchSize": 10, "batchWindowSeconds": 0, "enabled": true, "breaker": {"off": true}},
			{"name": "trades", "event": "trading/TRADE_ALLOCATED", "breaker": {"failedPercent": 20, "minimumEvents": 3, "minutes": 2, "ofMinutes": 4, "probeAfterMinutes": 15}}
		]}`)},
	"functions/rates/function.json": {Data: []byte(`{"name": "rates", "pipeline": [
			{"externalFunction": {"functionName": "plain", "as": "plain"}},
			{"externalFunction": {"functionName": "plain", "execution": "async"}},
			{"externalFunction": {"functionName": "rates-of-others:live", "as": "rate"}},
			{"externalFunction": {"functionName": "210987654321:function:quotes", "as": "quote"}},
			{"externalFunction": {"functionName": "arn:aws:lambda:eu-west-1:210987654321:function:quotes", "as": "quote"}},
			{"externalFunction": {"connectionName": "far", "functionName": "plain", "as": "far"}},
			{"externalFunction": {"connectionName": "core", "functionName": "plain", "as": "core"}},
			{"externalFunction": {"connectionName": "core", "functionName": "booking"}}
		],
		"publishes": ["trading/TRADE_ALLOCATED", "savings/FEE_WAIVED", "savings/FEE_CHARGED"],
		"subscriptions": [{"name": "deposits", "event": "savings/SAVINGS_DEPOSIT"}]}`)},
	"functions/hook/function.json": {Data: []byte(`{"name": "hook", "http": {"url": "https://hooks.example.com/in", "secret": "hook-signing"},
		"subscriptions": [{"name": "deposits", "event": "savings/SAVINGS_DEPOSIT"}]}`)},
	"functions/plain/function.json": {Data: []byte(`{"name": "plain", "idempotency": true}`)},
	"functions/printer/function.json": {Data: []byte(`{"name": "printer", "topics": ["payment.*", "refund"], "namespace": "billing",
		"async": {"retries": 1, "maxAgeSeconds": 3600}}`)},

	"schemas/savings/FEE_CHARGED.schema.json":        {Data: []byte(`{"type": "object"}`)},
	"schemas/savings/FEE_WAIVED.schema.json":         {Data: []byte(`{"type": "object"}`)},
	"schemas/savings/SAVINGS_WITHDRAWAL.schema.json": {Data: []byte(`{"type": "object", "properties": {"amount": {"type": "number"}, "note": {"type": ["string", "null"]}}}`)},
	"schemas/savings/SAVINGS_DEPOSIT.schema.json":    {Data: []byte(`{"type": "object"}`)},
	"schemas/trading/TRADE_ALLOCATED.schema.json":    {Data: []byte(`{"type": "object"}`)},
}

// dev and prod are the shop's environments, one with no protection at all and
// one with all there is.
var (
	dev  = manifest.Environment{Name: "dev", LogRetentionDays: 7, Connections: connections}
	prod = manifest.Environment{
		Name: "prod", LogRetentionDays: 365, RemovalProtection: true, TerminationProtection: true, PointInTimeRecovery: true,
		BusLogLevel: manifest.LogTrace, ArchiveRetentionDays: 90, EncryptionKey: manifest.CreateKey,
		AlarmEmails:   []string{"oncall@example.com"},
		CallbackHosts: []string{"hooks.example.com", "*.shop.example"},
		Tags:          map[string]string{"team": "payments"},
		StorageAPI:    true, SessionMinutes: 20, OIDCIssuers: []manifest.OIDCIssuer{{Issuer: "https://accounts.example.com", Audience: "shop", Prefix: "staff:"}},
		UserPool:    &manifest.UserPool{SelfSignUp: true, MFA: manifest.MFARequired},
		Connections: connections,
		VPC:         &manifest.VPC{SubnetIDs: []string{"subnet-12345678"}, SecurityGroupIDs: []string{"sg-12345678"}},
	}
)

var connections = map[string]manifest.Connection{
	"core":   {RoleARN: "arn:aws:iam::123456789012:role/caller", ExternalID: "shop"},
	"far":    {Region: "ap-south-1"},
	"unused": {RoleARN: "arn:aws:iam::123456789012:role/other"},
}

// template is a CloudFormation template, as far as tests look at it.
type template struct {
	Resources map[string]resource
}

type resource struct {
	Type           string
	Properties     map[string]any
	Metadata       map[string]any
	DependsOn      []string
	DeletionPolicy string
}

var synthesized = struct {
	sync.Mutex
	shops map[string]map[string]template // by environment, then by stack
}{shops: map[string]map[string]template{}}

// shopIn returns the templates of the shop in an environment, by stack. They
// are synthesized once.
func shopIn(t *testing.T, env manifest.Environment) map[string]template {
	t.Helper()
	needsNode(t)
	synthesized.Lock()
	defer synthesized.Unlock()
	if synthesized.shops[env.Name] == nil {
		synthesized.shops[env.Name] = parse(t, synthesize(t, shop, env).Templates)
	}
	return synthesized.shops[env.Name]
}

func parse(t *testing.T, texts map[string]json.RawMessage) map[string]template {
	t.Helper()
	templates := map[string]template{}
	for stack, text := range texts {
		var parsed template
		if err := json.Unmarshal(text, &parsed); err != nil {
			t.Fatalf("%s: %v", stack, err)
		}
		templates[stack] = parsed
	}
	return templates
}

// named returns the one resource of a type that has a name, the value of its
// property nameKey.
func (tmpl template) named(t *testing.T, resourceType, nameKey, name string) resource {
	t.Helper()
	for _, r := range tmpl.Resources {
		if r.Type == resourceType && r.Properties[nameKey] == name {
			return r
		}
	}
	t.Fatalf("no %s %q", resourceType, name)
	return resource{}
}

func (tmpl template) queue(t *testing.T, name string) resource {
	t.Helper()
	return tmpl.named(t, "AWS::SQS::Queue", "QueueName", name)
}

// mapping returns the event source mapping of a queue.
func (tmpl template) mapping(t *testing.T, queue string) resource {
	t.Helper()
	for _, r := range tmpl.Resources {
		if r.Type != "AWS::Lambda::EventSourceMapping" {
			continue
		}
		id, _ := strings.CutSuffix(strings.TrimPrefix(text(r.Properties["EventSourceArn"]), "${"), ".Arn}")
		if tmpl.Resources[id].Properties["QueueName"] == queue {
			return r
		}
	}
	t.Fatalf("no mapping of queue %q", queue)
	return resource{}
}

// A statement of a policy, with its lists flattened and its ARNs as text.
type statement struct {
	effect     string
	principal  string
	actions    []string
	resources  []string
	conditions string // JSON
}

// statements returns those of all policies in a template: roles' and queues'.
func (tmpl template) statements() []statement {
	var all []statement
	for _, r := range tmpl.Resources {
		if document, ok := r.Properties["PolicyDocument"]; ok {
			all = append(all, statementsOf(document)...)
		}
		for _, policy := range list(r.Properties["Policies"]) {
			all = append(all, statementsOf(policy.(map[string]any)["PolicyDocument"])...)
		}
	}
	return all
}

// role returns the statements of the policy of the template's one role.
func (tmpl template) role(t *testing.T) []statement {
	t.Helper()
	for _, r := range tmpl.Resources {
		if r.Type == "AWS::IAM::Role" {
			return statementsOf(list(r.Properties["Policies"])[0].(map[string]any)["PolicyDocument"])
		}
	}
	t.Fatal("no role")
	return nil
}

func statementsOf(document any) []statement {
	var all []statement
	for _, s := range list(document.(map[string]any)["Statement"]) {
		fields := s.(map[string]any)
		st := statement{effect: fields["Effect"].(string)}
		for _, action := range list(fields["Action"]) {
			st.actions = append(st.actions, action.(string))
		}
		for _, r := range list(fields["Resource"]) {
			st.resources = append(st.resources, text(r))
		}
		if fields["Principal"] != nil {
			st.principal = text(fields["Principal"])
		}
		if fields["Condition"] != nil {
			st.conditions = text(fields["Condition"])
		}
		all = append(all, st)
	}
	return all
}

// list makes one value a list of one, as policies allow.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// text writes a value of a template with its references in braces: an ARN is
// arn:${AWS::Partition}:sqs:…, other objects and lists are JSON.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if ref, ok := v["Ref"]; ok {
			return fmt.Sprintf("${%s}", ref)
		}
		if att, ok := v["Fn::GetAtt"].([]any); ok {
			return fmt.Sprintf("${%s.%s}", att[0], att[1])
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range join[1].([]any) {
				parts = append(parts, text(part))
			}
			return strings.Join(parts, join[0].(string))
		}
		flat := map[string]any{}
		for key, value := range v {
			flat[key] = flatten(value)
		}
		return mustJSON(flat)
	case []any:
		return mustJSON(flatten(v))
	}
	return mustJSON(v)
}

// flatten replaces the references within a value.
func flatten(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if s := text(v); !strings.HasPrefix(s, "{") {
			return s
		}
		flat := map[string]any{}
		for key, value := range v {
			flat[key] = flatten(value)
		}
		return flat
	case []any:
		var flat []any
		for _, value := range v {
			flat = append(flat, flatten(value))
		}
		return flat
	}
	return v
}

func mustJSON(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(out.String())
}
