package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newFunctions(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "functions",
		Short: "The project's functions: what they receive, building, deploying, their logs, calling one",
		Long: `The project's functions: what they receive, building, deploying and deleting them,
their logs, and calling one by hand.

A NAME is the short one, that of the function's folder: withdrawal-fee.`,
	}
	cmd.AddCommand(newFunctionsList(common), newFunctionsGenerate(common), newFunctionsCreateHTTP(common), newFunctionsRotateSecret(common), newFunctionsBuild(common), newFunctionsDeploy(common),
		newFunctionsDelete(common), newFunctionsLogs(common), newFunctionsInvoke(common))
	return cmd
}

// loadFunctions reads the project's manifests, and adds the programs of
// Penstock's own that run beside them.
func loadFunctions(root string) ([]manifest.Function, error) {
	functions, err := manifest.Load(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	for _, program := range slices.Concat(names.Programs, names.OptionalPrograms) {
		functions = append(functions, manifest.Function{Name: program})
	}
	slices.SortFunc(functions, func(a, b manifest.Function) int { return cmp.Compare(a.Name, b.Name) })
	return functions, nil
}

// findFunction finds a function by its short name.
func findFunction(root, name string) (manifest.Function, error) {
	functions, err := loadFunctions(root)
	if err != nil {
		return manifest.Function{}, err
	}
	var known []string
	for _, f := range functions {
		if f.Name == name {
			return f, nil
		}
		known = append(known, f.Name)
	}
	return manifest.Function{}, cli.Unknown("function", name, known)
}

// completeFunctions completes a command's one argument with the project's
// functions.
func completeFunctions(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	root, err := project.Root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	functions, err := loadFunctions(root)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, f := range functions {
		out = append(out, cobra.CompletionWithDesc(f.Name, f.Description))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// listedFunction is a function as `functions list` prints it.
type listedFunction struct {
	Name         string               `json:"name"`
	Description  string               `json:"description,omitempty"`
	Deployed     bool                 `json:"deployed"`
	LastModified string               `json:"lastModified,omitempty"` // RFC 3339
	Receives     []listedSubscription `json:"receives"`
	// Topics are what connectors invoke it for, as its manifest says.
	Topics    []string `json:"topics,omitempty"`
	Namespace string   `json:"namespace,omitempty"`
}

// listedSubscription is what a function receives: a subscription, the changes of a
// table, or, if it is a program of Penstock's own, the messages of a queue. A state, batch size and window are those of the mapping,
// which may differ from the manifest's; a subscription that is not deployed
// has the state "not deployed".
type listedSubscription struct {
	Subscription  string `json:"subscription,omitempty"`
	Event         string `json:"event,omitempty"`
	Table         string `json:"table,omitempty"`
	Queue         string `json:"queue,omitempty"`
	State         string `json:"state"`
	BatchSize     int32  `json:"batchSize,omitempty"`
	WindowSeconds int32  `json:"windowSeconds"`
	// MaxConcurrency is 0 where there is no limit.
	MaxConcurrency int32 `json:"maxConcurrency,omitempty"`
}

const notDeployed = "not deployed"

func newFunctionsList(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the functions, what they receive, and whether they are paused",
		Long: `List the project's functions as they are in the environment: the state, batch
size and window of each subscription's mapping, and when the function was last
changed. A mapping that is disabled is paused: its events go on queueing.`,
		Example: "  penstock functions list\n  penstock functions list --env prod --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := common.Target(cmd.Context())
			if err != nil {
				return err
			}
			functions, err := listFunctions(cmd.Context(), target)
			if err != nil {
				return target.Explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), functions)
			}
			var rows [][]string
			for _, f := range functions {
				modified := cmp.Or(f.LastModified, notDeployed)
				if len(f.Topics) > 0 {
					rows = append(rows, []string{f.Name, "-", messagesAbout(f.Topics), "-", "-", "-", modified})
				} else if len(f.Receives) == 0 {
					rows = append(rows, []string{f.Name, "-", "-", "-", "-", "-", modified})
				}
				for _, r := range f.Receives {
					event, batch, window := r.what(), "-", "-"
					if r.State != notDeployed {
						batch, window = fmt.Sprint(r.BatchSize), fmt.Sprintf("%d s", r.WindowSeconds)
					}
					rows = append(rows, []string{f.Name, cmp.Or(r.Subscription, "-"), event, r.State, batch, window, modified})
				}
			}
			return cli.Table(cmd.OutOrStdout(), []string{"FUNCTION", "SUBSCRIPTION", "RECEIVES", "STATE", "BATCH", "WINDOW", "LAST MODIFIED"}, rows)
		},
	}
}

// messagesAbout says what connectors send a function.
func messagesAbout(topics []string) string { return "messages about " + strings.Join(topics, ", ") }

func listFunctions(ctx context.Context, target *cli.Target) ([]listedFunction, error) {
	functions, err := loadFunctions(target.Root)
	if err != nil {
		return nil, err
	}
	client := lambda.NewFromConfig(target.AWS)
	out := make([]listedFunction, len(functions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, f := range functions {
		group.Go(func() (err error) {
			out[i], err = listFunction(ctx, client, target.Names, f)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(out, func(f listedFunction) bool { return !f.Deployed && slices.Contains(names.OptionalPrograms, f.Name) }), nil
}

func listFunction(ctx context.Context, client *lambda.Client, n names.Names, f manifest.Function) (listedFunction, error) {
	out := listedFunction{Name: f.Name, Description: f.Description, Receives: []listedSubscription{}, Topics: f.Topics, Namespace: f.Namespace}
	name := n.Function(f.Name)
	configuration, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	var missing *types.ResourceNotFoundException
	if err != nil && !errors.As(err, &missing) {
		return out, err
	}
	mappings := map[string]types.EventSourceMappingConfiguration{} // by the source's ARN
	if err == nil {
		out.Deployed = true
		// Lambda's own form is no RFC 3339: its zone has no colon.
		if at, err := time.Parse("2006-01-02T15:04:05.000-0700", aws.ToString(configuration.LastModified)); err == nil {
			out.LastModified = at.UTC().Format(time.RFC3339)
		}
		pages := lambda.NewListEventSourceMappingsPaginator(client, &lambda.ListEventSourceMappingsInput{FunctionName: &name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return out, err
			}
			for _, m := range page.EventSourceMappings {
				mappings[aws.ToString(m.EventSourceArn)] = m
			}
		}
	}
	for _, s := range f.Subscriptions {
		listed := listedSubscription{Subscription: s.Name, Event: s.Event, State: notDeployed}
		for arn, m := range mappings {
			if strings.HasSuffix(arn, ":"+n.Queue(f.Name, s.Name)) {
				listed.state(m)
			}
		}
		out.Receives = append(out.Receives, listed)
	}
	for _, arn := range sorted(mappings) {
		if _, table, ok := strings.Cut(arn, ":table/"+n.Table("")); ok {
			table, _, _ = strings.Cut(table, "/")
			listed := listedSubscription{Table: table}
			listed.state(mappings[arn])
			out.Receives = append(out.Receives, listed)
		}
		if _, queue, ok := strings.Cut(arn, ":sqs:"); ok && len(f.Subscriptions) == 0 {
			queue = queue[strings.LastIndex(queue, ":")+1:]
			listed := listedSubscription{Queue: strings.TrimPrefix(queue, n.Bus()+"-")}
			listed.state(mappings[arn])
			out.Receives = append(out.Receives, listed)
		}
	}
	return out, nil
}

func (s *listedSubscription) what() string {
	switch {
	case s.Table != "":
		return "changes of table " + s.Table
	case s.Queue != "":
		return "messages of queue " + s.Queue
	}
	return s.Event
}

func (s *listedSubscription) state(m types.EventSourceMappingConfiguration) {
	s.State = strings.ToLower(aws.ToString(m.State))
	s.BatchSize = aws.ToInt32(m.BatchSize)
	s.WindowSeconds = aws.ToInt32(m.MaximumBatchingWindowInSeconds)
	if m.ScalingConfig != nil {
		s.MaxConcurrency = aws.ToInt32(m.ScalingConfig.MaximumConcurrency)
	}
}
