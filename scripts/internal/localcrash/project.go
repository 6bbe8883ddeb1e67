package localcrash

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// scratch is a project of the campaign's own. It has the bus, the tables and
// the function withdrawal-fee of the real one, and a stack with what the
// campaign needs besides. Its templates are in one of two variants, so that a
// start on the data of another finds something to change.
type scratch struct {
	dir       string
	names     names.Names
	base      *snapshots.Snapshot
	functions string // the import path of the real project's folder
}

// What the campaign's own stack has, besides the environment's names.
const (
	itemsTable  = "crash-items"
	queueName   = "crash-messages"
	deadLetters = "crash-messages-dlq"
	eventsQueue = "crash-events"

	function = "withdrawal-fee"
	// hidden is for how long a received message is hidden, in s, at least.
	hidden = 3
	// receives is how often a message of the campaign's queue may be received.
	receives = 4
)

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// newScratch writes a project into dir, made of the one at root.
func newScratch(root, dir string) (*scratch, error) {
	root, err := filepath.Abs(root) // the scratch's go.mod names it
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	module := moduleLine.FindSubmatch(own)
	if module == nil {
		return nil, fmt.Errorf("%s/go.mod names no module", root)
	}
	base, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		return nil, err
	}
	s := &scratch{dir: dir, names: names.New(base.App, base.Env), base: base, functions: string(module[1])}
	files := map[string][]byte{
		// It uses the real one's packages, in the versions that that has.
		"go.mod": fmt.Appendf(moduleLine.ReplaceAll(own, []byte("module crash.example/scratch")), "\nrequire %[1]s v0.0.0\n\nreplace %[1]s => %[2]s\n", module[1], root),
	}
	for _, file := range []string{"cdk.json", "go.sum", "infra/environments.json", "infra/tables.json"} {
		if files[file], err = os.ReadFile(filepath.Join(root, file)); err != nil {
			return nil, err
		}
	}
	if err := s.write(files); err != nil {
		return nil, err
	}
	return s, s.deploy(0)
}

func (s *scratch) write(files map[string][]byte) error {
	for name, data := range files {
		to := filepath.Join(s.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// deploy makes the project's templates those of a variant, 0 or 1.
func (s *scratch) deploy(variant int) error {
	inputs, err := snapshots.Inputs(os.DirFS(s.dir))
	if err != nil {
		return err
	}
	own := s.base.App + "-" + s.base.Env + "-crash"
	out := &snapshots.Snapshot{App: s.base.App, Env: s.base.Env, Inputs: inputs, Templates: map[string]json.RawMessage{}}
	for _, stack := range s.base.Stacks {
		if !slices.Contains([]string{"bus", "data", function}, strings.TrimPrefix(stack, s.base.App+"-"+s.base.Env+"-")) {
			continue
		}
		out.Stacks = append(out.Stacks, stack)
		if out.Templates[stack], err = s.edit(s.base.Templates[stack], variant); err != nil {
			return fmt.Errorf("stack %s: %w", stack, err)
		}
	}
	out.Stacks = append(out.Stacks, own)
	if out.Templates[own], err = s.stack(variant); err != nil {
		return err
	}
	files, err := out.Files()
	if err != nil {
		return err
	}
	return s.write(files)
}

// edit makes a template of the real project one of this: functions come from
// the real module, what a killed function had in flight comes back soon, and a
// message is never given up for having been in flight at a kill too often.
func (s *scratch) edit(template []byte, variant int) ([]byte, error) {
	var t struct {
		Description string `json:",omitempty"`
		Parameters  any    `json:",omitempty"`
		Resources   map[string]map[string]any
		Outputs     any `json:",omitempty"`
	}
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, err
	}
	for _, r := range t.Resources {
		properties, _ := r["Properties"].(map[string]any)
		switch r["Type"] {
		case "AWS::Lambda::Function":
			metadata, _ := r["Metadata"].(map[string]any)
			code, ok := metadata[names.CodeMetadata].(string)
			if !ok {
				return nil, fmt.Errorf("a function without %s", names.CodeMetadata)
			}
			if strings.HasPrefix(names.Package(code), "./") {
				metadata[names.CodeMetadata] = s.functions + "/" + code
			}
			if properties["FunctionName"] == s.names.Function(function) {
				properties["Timeout"] = 5
			}
			properties["MemorySize"] = []int{256, 512}[variant]
		case "AWS::SQS::Queue":
			if redrive, ok := properties["RedrivePolicy"].(map[string]any); ok {
				properties["VisibilityTimeout"] = 6
				redrive["maxReceiveCount"] = 1000
			}
		case "AWS::Lambda::EventSourceMapping":
			if _, stream := properties["StartingPosition"]; !stream {
				properties["BatchSize"] = []int{500, 100}[variant]
			}
		}
	}
	return json.Marshal(t)
}

// stack is the campaign's own.
func (s *scratch) stack(variant int) ([]byte, error) {
	type object = map[string]any
	arn := func(id string) object { return object{"Fn::GetAtt": []string{id, "Arn"}} }
	resources := object{
		"Items": object{"Type": "AWS::DynamoDB::Table", "Properties": object{
			"TableName": itemsTable, "BillingMode": "PAY_PER_REQUEST",
			"AttributeDefinitions":    []object{{"AttributeName": "pk", "AttributeType": "S"}},
			"KeySchema":               []object{{"AttributeName": "pk", "KeyType": "HASH"}},
			"TimeToLiveSpecification": object{"AttributeName": "expires", "Enabled": true},
		}},
		"Dead": object{"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": deadLetters, "VisibilityTimeout": hidden}},
		"Messages": object{"Type": "AWS::SQS::Queue", "Properties": object{
			"QueueName": queueName, "VisibilityTimeout": hidden + variant,
			"RedrivePolicy": object{"deadLetterTargetArn": arn("Dead"), "maxReceiveCount": receives},
		}},
		"Events": object{"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": eventsQueue, "VisibilityTimeout": hidden}},
		"Rule": object{"Type": "AWS::Events::Rule", "Properties": object{
			"Name": "crash-events", "EventBusName": s.names.Bus(), "EventPattern": object{"source": []any{"savings"}},
			"Targets": []object{{"Id": "queue", "Arn": arn("Events")}},
		}},
		"Policy": object{"Type": "AWS::SQS::QueuePolicy", "Properties": object{
			"Queues": []object{{"Ref": "Events"}},
			"PolicyDocument": object{"Version": "2012-10-17", "Statement": []object{{
				"Effect": "Allow", "Principal": object{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn("Events"),
				"Condition": object{"ArnEquals": object{"aws:SourceArn": arn("Rule")}},
			}}},
		}},
	}
	if variant == 1 { // what is created and removed again
		resources["ExtraQueue"] = object{"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": "crash-extra"}}
		resources["ExtraRule"] = object{"Type": "AWS::Events::Rule", "Properties": object{
			"Name": "crash-extra", "EventBusName": s.names.Bus(), "EventPattern": object{"source": []any{"nobody"}},
			"Targets": []object{{"Id": "queue", "Arn": arn("ExtraQueue")}},
		}}
		resources["ExtraTable"] = object{"Type": "AWS::DynamoDB::Table", "Properties": object{
			"TableName": "crash-extra", "BillingMode": "PAY_PER_REQUEST",
			"AttributeDefinitions": []object{{"AttributeName": "pk", "AttributeType": "S"}},
			"KeySchema":            []object{{"AttributeName": "pk", "KeyType": "HASH"}},
		}}
	}
	return json.Marshal(object{"Resources": resources})
}
