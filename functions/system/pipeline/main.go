// Command pipeline runs the functions that are pipelines: those whose manifest
// has "pipeline" in place of a program. Each runs as a function of its own, under
// its own name, with a role that follows from its manifest.
//
// The manifest, and the schemas of the event types that it publishes, are in its
// zip at the paths that they have in the project. Every event goes through the
// stages as a document, its detail: {"metadata": …, "data": …}. Then
//
//   - what it has emitted is published, if it passed or was discarded, all events
//     of a batch together. They have the same ids whenever the same event is
//     delivered again;
//   - one that cannot be processed goes to the DLQ at once: the message as it was
//     received, with the reason, the stage and the document as attributes (package
//     queue);
//   - one that failed comes back, as any function's event does.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/pipeline"
	"github.com/penstock-dev/penstock/functions/pipeline/invoke"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	p, err := newProcessor(os.DirFS(os.Getenv("LAMBDA_TASK_ROOT")), os.Getenv, cfg)
	if err != nil {
		log.Fatal(err)
	}
	handler.Start(handler.Records(p))
}

// newProcessor reads what the deployment has put into the zip and the variables.
func newProcessor(zip fs.FS, getenv func(string) string, cfg aws.Config) (*processor, error) {
	name := getenv("PENSTOCK_FUNCTION")
	file := path.Join("functions", name, "function.json")
	data, err := fs.ReadFile(zip, file)
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Pipeline  json.RawMessage `json:"pipeline"`
		Publishes []events.Type   `json:"publishes"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	stages, err := pipeline.Parse(manifest.Pipeline, manifest.Publishes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	calls := invoke.Config{AWS: cfg, Session: getenv("AWS_LAMBDA_FUNCTION_NAME")}
	for variable, into := range map[string]any{"PENSTOCK_FUNCTIONS": &calls.Functions, "PENSTOCK_CONNECTIONS": &calls.Connections} {
		if value := getenv(variable); value != "" {
			if err := json.Unmarshal([]byte(value), into); err != nil {
				return nil, fmt.Errorf("%s is %q, which the deployment makes of the manifest: %w", variable, value, err)
			}
		}
	}
	p := &processor{
		stages:  stages,
		effects: pipeline.Effects{Processor: name, Invoker: invoke.New(calls)},
		bus:     eventbus.New(eventbridge.NewFromConfig(cfg), getenv("PENSTOCK_BUS")),
	}
	p.effects.Schemas, p.codes, err = published(zip, stages.Emits())
	return p, err
}

// published are the schemas of event types, and the numbers of those that have
// one.
func published(zip fs.FS, types []events.Type) (*schema.Set, map[events.Type]int, error) {
	set, err := schema.LoadProject(zip)
	if err != nil {
		return nil, nil, err
	}
	codes := map[events.Type]int{}
	for _, t := range types {
		info, err := set.Info(t)
		if err != nil {
			return nil, nil, err
		}
		codes[t] = info.Code
	}
	return set, codes, nil
}
