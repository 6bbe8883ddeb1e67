package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newEvents(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "The project's event types, and publishing one by hand",
		Long: `The project's event types, and publishing one by hand.

A TYPE is written source/NAME, as in savings/SAVINGS_WITHDRAWAL; the NAME alone
will do where only one source has it. Types are known from the files under
schemas/, which ` + "`go generate ./...`" + ` makes.`,
	}
	cmd.AddCommand(newEventsList(common), newEventsShow(common), newEventsSample(), newEventsPublish(common))
	return cmd
}

// declared is what a project's files say of its events: the types, and which
// functions use them.
type declared struct {
	types     *eventtypes.Types
	functions []manifest.Function
}

func loadDeclared() (*declared, error) {
	root, err := project.Root()
	if err != nil {
		return nil, err
	}
	files := os.DirFS(root)
	types, err := eventtypes.Load(files)
	if err != nil {
		return nil, err
	}
	functions, err := manifest.Load(files)
	return &declared{types, functions}, err
}

// receiver is a subscription, as the commands print it.
type receiver struct {
	Function     string `json:"function"`
	Subscription string `json:"subscription"`
}

func (r receiver) String() string { return r.Function + "/" + r.Subscription }

// subscribers are the subscriptions that receive a type.
func (d *declared) subscribers(t events.Type) []receiver {
	out := []receiver{}
	for _, f := range d.functions {
		for _, s := range f.Subscriptions {
			if s.Event == t.String() {
				out = append(out, receiver{f.Name, s.Name})
			}
		}
	}
	return out
}

// publishers are the functions that may publish a type.
func (d *declared) publishers(t events.Type) []string {
	out := []string{}
	for _, f := range d.functions {
		if slices.Contains(f.Publishes, t.String()) {
			out = append(out, f.Name)
		}
	}
	return out
}

func newEventsList(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the event types, who subscribes to them and who publishes them",
		Long:    "List the project's event types, the subscriptions that receive each, and the\nfunctions that publish it. (Applications publish too; no file says which.)",
		Example: "  penstock events list\n  penstock events list --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := loadDeclared()
			if err != nil {
				return err
			}
			type item struct {
				Type        events.Type `json:"type"`
				Subscribers []receiver  `json:"subscribers"`
				Publishers  []string    `json:"publishers"`
			}
			items := []item{}
			var rows [][]string
			for _, t := range d.types.All() {
				i := item{t, d.subscribers(t), d.publishers(t)}
				items = append(items, i)
				rows = append(rows, []string{t.String(), list(i.Subscribers), list(i.Publishers)})
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), items)
			}
			return cli.Table(cmd.OutOrStdout(), []string{"TYPE", "SUBSCRIBED BY", "PUBLISHED BY"}, rows)
		},
	}
}

// list writes values for a table's cell.
func list[T any](values []T) string {
	if len(values) == 0 {
		return "-"
	}
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = fmt.Sprint(v)
	}
	return strings.Join(text, ", ")
}

func newEventsShow(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:               "show TYPE",
		Short:             "Show a type's fields, and who subscribes to it and publishes it",
		Long:              "Show an event type: the fields of its data with the sample's values, which are\nthe paths that --set takes, and the functions that receive and publish it.",
		Example:           "  penstock events show savings/SAVINGS_WITHDRAWAL\n  penstock events show SAVINGS_WITHDRAWAL --output json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := loadDeclared()
			if err != nil {
				return err
			}
			t, err := d.types.Find(args[0])
			if err != nil {
				return err
			}
			sample, err := d.types.Sample(t)
			if err != nil {
				return err
			}
			subscribers, publishers := d.subscribers(t), d.publishers(t)
			fields := eventtypes.Fields(sample)
			out := cmd.OutOrStdout()
			if common.JSON() {
				return cli.JSON(out, struct {
					Type        events.Type        `json:"type"`
					Sample      string             `json:"sample"`
					Fields      []eventtypes.Field `json:"fields"`
					Subscribers []receiver         `json:"subscribers"`
					Publishers  []string           `json:"publishers"`
				}{t, eventtypes.SampleFile(t), fields, subscribers, publishers})
			}
			fmt.Fprintf(out, "%s\n\nsubscribed by  %s\npublished by   %s\nsample         %s\n\n", t, list(subscribers), list(publishers), eventtypes.SampleFile(t))
			var rows [][]string
			for _, f := range fields {
				rows = append(rows, []string{f.Path, f.Kind, string(f.Sample)})
			}
			return cli.Table(out, []string{"FIELD", "KIND", "SAMPLE"}, rows)
		},
	}
}

func newEventsSample() *cobra.Command {
	return &cobra.Command{
		Use:               "sample TYPE",
		Short:             "Print the data of a sample event",
		Long:              "Print the data of a sample event of a type, which has a value for every field:\nthe file under schemas/ as it is. Edit it, and publish it with --data.",
		Example:           "  penstock events sample SAVINGS_WITHDRAWAL > withdrawal.json\n  penstock events publish SAVINGS_WITHDRAWAL --data withdrawal.json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, sample, err := findSample(args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(sample)
			return err
		},
	}
}

// findSample finds a type of the project, and its sample.
func findSample(name string) (events.Type, []byte, error) {
	root, err := project.Root()
	if err != nil {
		return events.Type{}, nil, err
	}
	types, err := eventtypes.Load(os.DirFS(root))
	if err != nil {
		return events.Type{}, nil, err
	}
	t, err := types.Find(name)
	if err != nil {
		return events.Type{}, nil, err
	}
	sample, err := types.Sample(t)
	return t, sample, err
}

// completeTypes completes a command's one argument with the project's types.
func completeTypes(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	root, err := project.Root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	types, err := eventtypes.Load(os.DirFS(root))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := types.Names()
	if toComplete != "" && !strings.Contains(toComplete, "/") {
		for _, t := range types.All() {
			if strings.HasPrefix(t.Name, toComplete) {
				names = append(names, t.Name)
			}
		}
	}
	slices.SortFunc(names, cmp.Compare)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completePaths completes --set with the paths of the type that is known by
// then.
func completePaths(typeName string) ([]string, cobra.ShellCompDirective) {
	_, sample, err := findSample(typeName)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, f := range eventtypes.Fields(sample) {
		out = append(out, f.Path+"=")
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
