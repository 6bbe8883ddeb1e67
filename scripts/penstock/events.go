package main

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
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
	cmd.AddCommand(newEventsList(common), newEventsShow(common), newEventsSample(), newEventsPublish(common), newEventsGenerate(common), newEventsCheck(common))
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
		Long:    "List the project's event types with their numbers, the subscriptions that receive\neach, and the functions that publish it. (Applications publish too; no file says\nwhich.)",
		Example: "  penstock events list\n  penstock events list --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := loadDeclared()
			if err != nil {
				return err
			}
			type item struct {
				Type        events.Type `json:"type"`
				Code        int         `json:"code,omitempty"`
				Description string      `json:"description,omitempty"`
				Subscribers []receiver  `json:"subscribers"`
				Publishers  []string    `json:"publishers"`
			}
			items := []item{}
			var rows [][]string
			for _, t := range d.types.Types() {
				info, err := d.types.Info(t)
				if err != nil {
					return err
				}
				i := item{t, info.Code, info.Description, d.subscribers(t), d.publishers(t)}
				items = append(items, i)
				rows = append(rows, []string{t.String(), code(info), list(i.Subscribers), list(i.Publishers), summary(info)})
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), items)
			}
			return cli.Table(cmd.OutOrStdout(), []string{"TYPE", "CODE", "SUBSCRIBED BY", "PUBLISHED BY", "DESCRIPTION"}, rows)
		},
	}
}

// code is a type's number for a table's cell.
func code(info schema.Info) string {
	if info.Code == 0 {
		return "-"
	}
	return strconv.Itoa(info.Code)
}

// summary is the first sentence of a type's description.
func summary(info schema.Info) string {
	first, _, _ := strings.Cut(info.Description, ". ")
	return strings.TrimSuffix(first, ".")
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
		Short:             "Show what a type's fields are, and who subscribes to it and publishes it",
		Long:              "Show an event type: the fields of its data and what each may be, by the type's\nschema, and the functions that receive and publish it.\n\nA field without a mark may be left out. [] stands for each element of a list and *\nfor each key of a map; --set takes an index and a key.",
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
			info, err := d.types.Info(t)
			if err != nil {
				return err
			}
			fields, err := d.types.Fields(t)
			if err != nil {
				return err
			}
			subscribers, publishers := d.subscribers(t), d.publishers(t)
			file := path.Join(schema.Dir, schema.File(t))
			out := cmd.OutOrStdout()
			if common.JSON() {
				return cli.JSON(out, struct {
					Type        events.Type    `json:"type"`
					Code        int            `json:"code,omitempty"`
					Description string         `json:"description,omitempty"`
					Schema      string         `json:"schema"`
					Sample      string         `json:"sample"`
					Fields      []schema.Field `json:"fields"`
					Subscribers []receiver     `json:"subscribers"`
					Publishers  []string       `json:"publishers"`
				}{t, info.Code, info.Description, file, eventtypes.SampleFile(t), fields, subscribers, publishers})
			}
			fmt.Fprintln(out, t)
			if info.Description != "" {
				fmt.Fprintln(out, info.Description)
			}
			fmt.Fprintf(out, "\ncode           %s\nsubscribed by  %s\npublished by   %s\nschema         %s\nsample         %s\n\n",
				code(info), list(subscribers), list(publishers), file, eventtypes.SampleFile(t))
			var rows [][]string
			for _, f := range fields {
				required := ""
				if f.Required {
					required = "required"
				}
				rows = append(rows, []string{f.Path, f.Wanted(), required, f.Description})
			}
			return cli.Table(out, []string{"FIELD", "VALUE", "", "DESCRIPTION"}, rows)
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
			t, err := findType(args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(t.sample)
			return err
		},
	}
}

// eventType is a type of the project, with all that is known of it.
type eventType struct {
	events.Type
	types  *eventtypes.Types
	code   int
	sample []byte
	fields []schema.Field
}

// findType finds the type of the project that a person means.
func findType(name string) (*eventType, error) {
	root, err := project.Root()
	if err != nil {
		return nil, err
	}
	types, err := eventtypes.Load(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	found, err := types.Find(name)
	if err != nil {
		return nil, err
	}
	t := &eventType{Type: found, types: types}
	info, err := types.Info(found)
	if err != nil {
		return nil, err
	}
	t.code = info.Code
	if t.fields, err = types.Fields(found); err != nil {
		return nil, err
	}
	t.sample, err = types.Sample(found)
	return t, err
}

// open reports whether the object at a path takes any key.
func (t *eventType) open(path string) bool {
	return slices.ContainsFunc(t.fields, func(f schema.Field) bool { return f.Path == path && f.Open })
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
		for _, t := range types.Types() {
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
	t, err := findType(typeName)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, f := range t.fields {
		at := strings.ReplaceAll(f.Path, "[]", "[0]")
		if strings.Contains(at, "*") {
			continue
		}
		out = append(out, cobra.CompletionWithDesc(at+"=", f.Wanted()))
		for _, value := range f.Enum {
			if !strings.HasPrefix(f.Type, "list") {
				out = append(out, at+"="+value)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
