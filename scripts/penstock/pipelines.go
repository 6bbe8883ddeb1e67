package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/pipeline"
	pipelinecalls "github.com/penstock-dev/penstock/functions/pipeline/invoke"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newPipelines(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pipelines",
		Short: "The functions that are pipelines: trying one",
		Long:  "The functions that are pipelines: their function.json has stages instead of code.",
	}
	cmd.AddCommand(newPipelinesTry(common))
	return cmd
}

type tryFlags struct {
	common    *cli.Flags
	input     string
	eventType string
	stubs     []string
	call      bool
}

func newPipelinesTry(common *cli.Flags) *cobra.Command {
	f := tryFlags{common: common}
	cmd := &cobra.Command{
		Use:   "try NAME",
		Short: "Run a pipeline on documents, and show what would become of them",
		Long: `Run the pipeline of a manifest here, as it is saved, and print of each document
what comes out, what would be published, what would go to the DLQ and why.
Nothing is published, and nothing reaches a queue.

The document is made of the sample of the event type that the pipeline receives, or
of each JSON object in the file of --input (- is stdin): an event's data, its detail
with "metadata" and "data", or a whole event as it is in a queue or a DLQ.

Nothing is called unless you say so. A function of an externalFunction stage
answers what --stub says: a file with its response, or with {"errorType": …,
"errorMessage": …} for the error that it ends with. With --call, those without a stub
are called in the environment, as who you are: not with the pipeline's own role.

The exit status is 1 if a document would go to the DLQ or come back.`,
		Example: `  penstock pipelines try trade-allocation --stub portfolio-shares=shares.json
  penstock pipelines try trade-allocation --call --env dev --input trades.json
  penstock events sample TRADE_EXECUTED | penstock pipelines try trade-allocation --call --input -`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completePipelines,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.input, "input", "", "a `file` with the documents, JSON (- is stdin); the sample of the event type if not given")
	flags.StringVar(&f.eventType, "type", "", "the event's `type`; not needed for a pipeline that receives only one")
	flags.StringArrayVar(&f.stubs, "stub", nil, "what a function answers, `function=file` (may be repeated)")
	flags.BoolVar(&f.call, "call", false, "call the functions that have no stub")
	_ = cmd.RegisterFlagCompletionFunc("type", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeTypes(cmd, nil, toComplete)
	})
	return cmd
}

// completePipelines completes a command's one argument with the pipelines.
func completePipelines(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, directive := completeFunctions(nil, args, "")
	return slices.DeleteFunc(names, func(name string) bool {
		name, _, _ = strings.Cut(name, "\t")
		function, err := findPipeline(name)
		return err != nil || function.Kind() != manifest.KindPipeline
	}), directive
}

func (f *tryFlags) run(cmd *cobra.Command, name string) error {
	ctx := cmd.Context()
	target, err := f.common.Target(ctx)
	if err != nil {
		return err
	}
	function, err := findPipeline(name)
	if err != nil {
		return err
	}
	stages, err := function.ParsePipeline()
	if err != nil {
		return err
	}
	types, err := eventtypes.Load(os.DirFS(target.Root))
	if err != nil {
		return err
	}
	documents, err := f.documents(cmd.InOrStdin(), function)
	if err != nil {
		return err
	}
	invoker, err := f.invoker(target, function, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if len(invoker.called) > 0 {
		if err := target.Guard(ctx); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "calling %s\n", strings.Join(invoker.called, ", "))
	}
	results := stages.RunBatch(ctx, documents, pipeline.Effects{Processor: name, Invoker: invoker, Schemas: types})
	tried := make([]triedDocument, len(results))
	sound := true
	for i := range results {
		tried[i] = tell(&results[i])
		sound = sound && (results[i].Outcome == pipeline.Passed || results[i].Outcome == pipeline.Discarded)
	}
	if f.common.JSON() {
		err = cli.JSON(cmd.OutOrStdout(), tried)
	} else {
		err = printTried(cmd.OutOrStdout(), tried)
	}
	if err == nil && !sound {
		return cli.ErrTold
	}
	return err
}

// findPipeline finds a function that is a pipeline, by its short name.
func findPipeline(name string) (manifest.Function, error) {
	root, err := project.Root()
	if err != nil {
		return manifest.Function{}, err
	}
	function, err := findFunction(root, name)
	if err == nil && function.Kind() != manifest.KindPipeline {
		err = cli.Misusef(`function %q is no pipeline: its manifest has no "pipeline" (penstock functions invoke calls it)`, name)
	}
	return function, err
}

// documents are those that the flags name.
func (f *tryFlags) documents(in io.Reader, function manifest.Function) ([]pipeline.Document, error) {
	asked := invokeFlags{common: f.common, eventType: f.eventType}
	subscription, t, err := asked.subscription(function)
	if err != nil {
		return nil, err
	}
	data := t.sample
	if f.input != "" {
		if data, err = readInput("input", f.input, in); err != nil {
			return nil, err
		}
	}
	var documents []pipeline.Document
	for decoder := json.NewDecoder(bytes.NewReader(data)); ; {
		var one json.RawMessage
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, cli.Misusef("--input %s: document %d is not JSON: %w", f.input, len(documents)+1, err)
		}
		d, err := documentOf(one, t)
		if err != nil {
			return nil, cli.Misusef("--input %s: document %d: %w", f.input, len(documents)+1, err)
		}
		d.Source.Subscription = subscription.Name
		d.Source.Key = function.Name + "/" + subscription.Name + "/" + d.Source.ID
		documents = append(documents, d)
	}
	if len(documents) == 0 {
		return nil, cli.Misusef("--input %s has no document", f.input)
	}
	return documents, nil
}

// documentOf makes a document of an event as people have it at hand: whole, its
// detail, or its data, which gets metadata of its own.
func documentOf(given json.RawMessage, t *eventType) (d pipeline.Document, err error) {
	var event struct {
		Detail   json.RawMessage
		Metadata *events.Metadata
		Data     json.RawMessage
	}
	if err := json.Unmarshal(given, &event); err != nil {
		return d, fmt.Errorf("want an object: %w", err)
	}
	if event.Detail != nil {
		return documentOf(event.Detail, t)
	}
	if event.Metadata == nil || event.Data == nil {
		stamped := events.Stamp(context.Background(), eventtypes.Raw{Type: t.Type, Code: t.code, Data: given})
		entry, err := stamped.Entry()
		return pipeline.Document{JSON: entry.Detail, Source: sourceOf(stamped.Metadata, t)}, err
	}
	return pipeline.Document{JSON: given, Source: sourceOf(*event.Metadata, t)}, nil
}

func sourceOf(m events.Metadata, t *eventType) pipeline.Source {
	return pipeline.Source{ID: m.ID, Type: t.Type, OccurredAt: m.OccurredAt}
}

// tryInvoker answers with stubs, and calls what has none.
type tryInvoker struct {
	stubs  map[string][]byte // by function
	real   pipeline.Invoker
	called []string // the functions that have no stub
}

// invoker reads the stubs, and refuses to call what it was not told to.
func (f *tryFlags) invoker(target *cli.Target, function manifest.Function, in io.Reader) (*tryInvoker, error) {
	t := &tryInvoker{stubs: map[string][]byte{}}
	config := pipelinecalls.Config{AWS: target.AWS, Functions: map[string]string{}, Connections: map[string]pipelinecalls.Connection{}, Session: "penstock-pipelines-try"}
	var known []string
	for _, c := range function.Calls {
		known = append(known, c.Function)
		if c.Sibling != "" {
			config.Functions[c.Sibling] = target.Names.Function(c.Sibling)
		}
		if connection, ok := target.Env.Connections[c.Connection]; ok {
			config.Connections[c.Connection] = pipelinecalls.Connection(connection)
		}
	}
	for _, stub := range f.stubs {
		called, file, ok := strings.Cut(stub, "=")
		if !ok {
			return nil, cli.Misusef("--stub %q: want function=file", stub)
		}
		if !slices.Contains(known, called) {
			return nil, cli.Unknown("function that the pipeline calls,", called, known)
		}
		answer, err := readInput("stub", file, in)
		if err != nil {
			return nil, err
		}
		t.stubs[called] = answer
	}
	for _, c := range function.Calls {
		if _, stubbed := t.stubs[c.Function]; stubbed || slices.Contains(t.called, c.Function) {
			continue
		}
		if !f.call {
			return nil, cli.Misusef("%s calls %s: say what it answers, with --stub %s=FILE, or call it in environment %q, with --call", c.Path, c.Function, c.Function, target.Env.Name)
		}
		t.called = append(t.called, c.Function)
	}
	t.real = pipelinecalls.New(config)
	return t, nil
}

// Invoke implements [pipeline.Invoker].
func (t *tryInvoker) Invoke(ctx context.Context, c pipeline.Call) ([]byte, error) {
	answer, stubbed := t.stubs[c.Function]
	if !stubbed {
		return t.real.Invoke(ctx, c)
	}
	var failed struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(answer, &failed); err == nil && failed.ErrorMessage != "" {
		return nil, &pipeline.FunctionError{Type: failed.ErrorType, Message: failed.ErrorMessage}
	}
	if c.Async {
		return nil, nil
	}
	return bytes.TrimSpace(answer), nil
}

// triedDocument is what became of a document, as it is printed.
type triedDocument struct {
	Outcome    pipeline.Outcome     `json:"outcome"`
	Document   json.RawMessage      `json:"document,omitempty"`
	Stage      string               `json:"stage,omitempty"`
	Published  []triedEvent         `json:"published,omitempty"`
	Ignored    []string             `json:"ignored,omitempty"`
	DeadLetter *pipeline.DeadLetter `json:"deadLetter,omitempty"`
	Error      string               `json:"error,omitempty"`
}

type triedEvent struct {
	ID   string          `json:"id"`
	Type events.Type     `json:"type"`
	Data json.RawMessage `json:"data"`
}

func tell(r *pipeline.Result) triedDocument {
	d := triedDocument{Outcome: r.Outcome, Document: r.Document, Stage: r.Stage, DeadLetter: r.DeadLetter}
	for _, e := range r.Emitted {
		d.Published = append(d.Published, triedEvent{e.ID, e.Type, e.Data})
	}
	for _, err := range r.Ignored {
		d.Ignored = append(d.Ignored, err.Error())
	}
	if r.Err != nil {
		d.Error = r.Err.Error()
	}
	return d
}

// printTried prints documents for people.
func printTried(out io.Writer, tried []triedDocument) error {
	var text bytes.Buffer
	show := func(data []byte) {
		_ = json.Indent(&text, data, "", "  ") // it is JSON
		text.WriteByte('\n')
	}
	for i, d := range tried {
		if i > 0 {
			text.WriteByte('\n')
		}
		for _, ignored := range d.Ignored {
			fmt.Fprintf(&text, "ignored: %s\n", ignored)
		}
		switch d.Outcome {
		case pipeline.Passed:
			text.WriteString("passed:\n")
			show(d.Document)
		case pipeline.Discarded:
			fmt.Fprintf(&text, "discarded by %s\n", d.Stage)
		case pipeline.Dead:
			fmt.Fprintf(&text, "would go to the DLQ, because of %s: %s\n", d.DeadLetter.Operator, d.DeadLetter.Reason)
			show(d.DeadLetter.Document)
		case pipeline.Failed:
			fmt.Fprintf(&text, "would come back: %s\n", d.Error)
		}
		for _, e := range d.Published {
			fmt.Fprintf(&text, "would publish %s %s:\n", e.Type, e.ID)
			show(e.Data)
		}
	}
	_, err := out.Write(text.Bytes())
	return err
}
