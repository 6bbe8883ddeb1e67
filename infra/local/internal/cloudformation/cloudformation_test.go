package cloudformation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
)

var environment = cloudformation.Environment{AccountID: "000000000000", Region: "eu-central-1"}

// The properties that the golden cases' types support.
type (
	queue struct {
		QueueName     string
		DelaySeconds  int
		Encrypted     *bool `json:"SqsManagedSseEnabled"`
		RedrivePolicy *struct {
			DeadLetterTargetArn string `json:"deadLetterTargetArn"`
			MaxReceiveCount     int    `json:"maxReceiveCount"`
		}
		Tags []struct{ Key, Value string }
	}
	rule struct {
		Name         string
		EventPattern json.RawMessage
		State        string
		Targets      []struct{ Id, Arn string }
	}
)

// Validate refuses a value, as a resource type does that supports only some.
func (q *queue) Validate() error {
	if strings.HasSuffix(q.QueueName, ".fifo") {
		return fmt.Errorf("property QueueName: FIFO queue %q is not supported by the local environment", q.QueueName)
	}
	return nil
}

// types creates nothing, and writes down what it was asked to create.
func types(log *bytes.Buffer) cloudformation.Types {
	created := func(r cloudformation.Resource, ref string) cloudformation.Attributes {
		var properties bytes.Buffer
		encoder := json.NewEncoder(&properties)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(r.Properties); err != nil {
			panic(err)
		}
		fmt.Fprintf(log, "%s %s\n  %s", r.Type, r.LogicalID, properties.Bytes())
		if len(r.Metadata) > 0 {
			fmt.Fprintf(log, "  metadata %v\n", r.Metadata)
		}
		return cloudformation.Attributes{Ref: ref, Att: map[string]string{"Arn": "arn:test:" + r.LogicalID}}
	}
	return cloudformation.Types{
		"AWS::SQS::Queue": cloudformation.Provide(func(_ context.Context, r cloudformation.Resource, q queue) (cloudformation.Attributes, error) {
			return created(r, "https://sqs/"+q.QueueName), nil
		}),
		"AWS::Events::Rule": cloudformation.Provide(func(_ context.Context, r cloudformation.Resource, p rule) (cloudformation.Attributes, error) {
			return created(r, p.Name), nil
		}),
		"AWS::SSM::Parameter": cloudformation.Provide(func(_ context.Context, r cloudformation.Resource, p map[string]any) (cloudformation.Attributes, error) {
			return created(r, ""), nil
		}),
	}
}

// A golden case holds templates as <stack>.json, in the order in which they are deployed, and either want, what was created
// and put out, or error.
func TestGoldenCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden cases: %d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			var templates []*cloudformation.Template
			var faults []error
			want := map[string]string{}
			for _, f := range archive.Files {
				stack, isTemplate := strings.CutSuffix(f.Name, ".json")
				if !isTemplate {
					want[f.Name] = string(f.Data)
					continue
				}
				template, err := cloudformation.Parse(stack, f.Data)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				templates = append(templates, template)
			}
			err = errors.Join(faults...)
			var stacks []cloudformation.Stack
			if err == nil {
				stacks, err = cloudformation.Deploy(t.Context(), environment, types(&log), nil, templates...)
			}
			if err != nil {
				if got := err.Error() + "\n"; got != want["error"] {
					t.Errorf("got error:\n%s\nwant error:\n%s", got, want["error"])
				}
				if got := log.String(); got != want["created before"] {
					t.Errorf("created before the error:\n%s\nwant:\n%s", got, want["created before"])
				}
				return
			}
			for _, s := range stacks {
				for _, o := range s.Outputs {
					fmt.Fprintf(&log, "output %s.%s = %s\n", s.Name, o.Name, o.Value)
					if o.Export != "" {
						fmt.Fprintf(&log, "  exported as %s\n", o.Export)
					}
				}
			}
			if got := log.String(); got != want["want"] {
				t.Errorf("got:\n%s\nwant:\n%s", got, want["want"])
			}
		})
	}
}

func parse(t *testing.T, stack, template string) *cloudformation.Template {
	t.Helper()
	parsed, err := cloudformation.Parse(stack, []byte(template))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got error:\n%v\nwant error:\n%s", err, want)
	}
}

const parameterised = `{
	"Parameters": {"Name": {"Type": "String"}, "Delay": {"Type": "Number", "Default": 5}},
	"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}, "DelaySeconds": {"Ref": "Delay"}}}}}`

func TestAParameterTakesTheSuppliedValueOrItsDefault(t *testing.T) {
	env := environment
	env.Parameters = map[string]string{"Name": "orders"}
	var log bytes.Buffer
	if _, err := cloudformation.Deploy(t.Context(), env, types(&log), nil, parse(t, "shop", parameterised)); err != nil {
		t.Fatal(err)
	}
	if got, want := log.String(), "AWS::SQS::Queue Queue\n  {\"DelaySeconds\":5,\"QueueName\":\"orders\"}\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAParameterWithoutAnyValueIsAnError(t *testing.T) {
	err := cloudformation.Check(environment, types(nil), parse(t, "shop", parameterised))
	wantError(t, err, `stack shop: parameter "Name" has neither a default nor a value`)
}

func TestASuppliedParameterThatNoTemplateHasIsAnError(t *testing.T) {
	env := environment
	env.Parameters = map[string]string{"Name": "orders", "Nmae": "orders"}
	err := cloudformation.Check(env, types(nil), parse(t, "shop", parameterised))
	wantError(t, err, `parameter "Nmae" has a value, but no template has a parameter of the name`)
}

func TestAResourceThatCannotBeCreatedEndsTheDeployment(t *testing.T) {
	full := errors.New("the disk is full")
	var created []string
	types := cloudformation.Types{"T": cloudformation.Provide(
		func(_ context.Context, r cloudformation.Resource, _ map[string]any) (cloudformation.Attributes, error) {
			if r.LogicalID == "B" {
				return cloudformation.Attributes{}, full
			}
			created = append(created, r.LogicalID)
			return cloudformation.Attributes{}, nil
		})}
	template := parse(t, "shop", `{"Resources": {"A": {"Type": "T"}, "B": {"Type": "T"}, "C": {"Type": "T"}}}`)
	stacks, err := cloudformation.Deploy(t.Context(), environment, types, nil, template)
	wantError(t, err, `creating T "B" (stack shop): the disk is full`)
	if !errors.Is(err, full) || stacks != nil || !slices.Equal(created, []string{"A"}) {
		t.Errorf("created %v, stacks %v, error %v", created, stacks, err)
	}
}

func TestACancelledDeploymentCreatesNothingMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	created := 0
	types := cloudformation.Types{"T": cloudformation.Provide(
		func(context.Context, cloudformation.Resource, map[string]any) (cloudformation.Attributes, error) {
			created++
			cancel()
			return cloudformation.Attributes{}, nil
		})}
	template := parse(t, "shop", `{"Resources": {"A": {"Type": "T"}, "B": {"Type": "T"}}}`)
	_, err := cloudformation.Deploy(ctx, environment, types, nil, template)
	if !errors.Is(err, context.Canceled) || created != 1 {
		t.Errorf("created %d, error %v", created, err)
	}
}

func TestAStackTellsWhatWasDeployed(t *testing.T) {
	template := parse(t, "shop", `{
		"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "orders"}, "DeletionPolicy": "Retain"}},
		"Outputs": {"Url": {"Description": "where orders go", "Value": {"Ref": "Queue"}, "Export": {"Name": "orders-url"}}}}`)
	var ids []string
	for range 2 {
		stacks, err := cloudformation.Deploy(t.Context(), environment, types(new(bytes.Buffer)), nil, template)
		if err != nil {
			t.Fatal(err)
		}
		s := stacks[0]
		ids = append(ids, s.ID)
		r := s.Resources[0]
		if r.Ref != "https://sqs/orders" || r.Att["Arn"] != "arn:test:Queue" || r.DeletionPolicy != "Retain" {
			t.Errorf("resource: %+v", r)
		}
		want := cloudformation.Output{Name: "Url", Description: "where orders go", Value: "https://sqs/orders", Export: "orders-url"}
		if s.Outputs[0] != want {
			t.Errorf("output: %+v, want %+v", s.Outputs[0], want)
		}
	}
	if ids[0] != ids[1] || !strings.HasPrefix(ids[0], "arn:aws:cloudformation:eu-central-1:000000000000:stack/shop/") {
		t.Errorf("stack ids: %q", ids)
	}
}

// Whatever the local environment is asked to run comes from these templates, so nothing in them may be beyond this package.
func TestTheSynthesizedTemplatesOfTheLocalEnvironmentDeploy(t *testing.T) {
	files, err := filepath.Glob("../../../snapshots/local/*.template.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("templates: %d files, error %v", len(files), err)
	}
	accept := cloudformation.Types{}
	anything := cloudformation.Provide(func(_ context.Context, r cloudformation.Resource, _ map[string]any) (cloudformation.Attributes, error) {
		arn := "arn:aws:any:eu-central-1:000000000000:" + r.LogicalID
		return cloudformation.Attributes{Ref: r.LogicalID, Att: map[string]string{"Arn": arn, "StreamArn": arn + "/stream", "Id": r.LogicalID, "ApiEndpoint": "http://" + r.LogicalID}}, nil
	})
	var templates []*cloudformation.Template
	want := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var raw struct {
			Resources map[string]struct{ Type string }
		}
		if err := json.Unmarshal(data, &raw); err != nil {
			t.Fatal(err)
		}
		for _, r := range raw.Resources {
			accept[r.Type] = anything
			want++
		}
		templates = append(templates, parse(t, strings.TrimSuffix(filepath.Base(file), ".template.json"), string(data)))
	}
	stacks, err := cloudformation.Deploy(t.Context(), environment, accept, nil, templates...)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, s := range stacks {
		got += len(s.Resources)
	}
	if got != want {
		t.Errorf("deployed %d of %d resources", got, want)
	}
}

// FuzzParse checks that no template panics, neither when it is parsed nor when it is checked and deployed.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.txtar", "../../../snapshots/*/*.template.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(file) == ".json" {
				f.Add(data)
				continue
			}
			for _, part := range txtar.Parse(data).Files {
				f.Add(part.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		template, err := cloudformation.Parse("stack", data)
		if (template == nil) == (err == nil) {
			t.Fatalf("template %v, error %v", template, err)
		}
		if err != nil {
			return
		}
		checked := cloudformation.Check(environment, types(nil), template)
		if _, err := cloudformation.Deploy(t.Context(), environment, types(new(bytes.Buffer)), nil, template); checked != nil && err == nil {
			t.Fatalf("deployed in spite of %v", checked)
		}
	})
}
