package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
	"github.com/penstock-dev/penstock/scripts/internal/scaffold"
)

func newEventsGenerate(common *cli.Flags) *cobra.Command {
	var o scaffold.Options
	cmd := &cobra.Command{
		Use:   "generate SOURCE NAME",
		Short: "Write the beginning of a new event type",
		Long: `Write the beginning of a new event type into the project, ready to fill in: its
struct, its sample, and its place in the catalogue; and a package for the source
if that is new.

SOURCE is the module that announces the event, as in savings; NAME is the event,
as in SAVINGS_DEPOSIT. A breaking change of a type is a new one, whose NAME ends
in .v2 and so on.

The packages of event types are beside that of the catalogue, one a source.
Nothing is written over: what exists already is refused, and then nothing is
changed.`,
		Example: "  penstock events generate savings SAVINGS_DEPOSIT\n  penstock events generate shop ORDER_PLACED --go-type Order",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return sources(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Type = events.Type{Source: args[0], Name: args[1]}
			return generateEvent(cmd, common, o)
		},
	}
	cmd.Flags().StringVar(&o.GoType, "go-type", "", "`name` of the struct; derived from NAME if not given")
	cmd.Flags().StringVar(&o.Catalogue, "catalogue", scaffold.Catalogue, "`file` with the call of events.NewCatalogue, in the project")
	return cmd
}

func generateEvent(cmd *cobra.Command, common *cli.Flags, o scaffold.Options) error {
	if err := o.Type.Validate(); err != nil {
		return cli.Misuse{Err: err}
	}
	root, err := project.Root()
	if err != nil {
		return err
	}
	o.Catalogue = filepath.ToSlash(filepath.Clean(o.Catalogue))
	if !filepath.IsLocal(o.Catalogue) {
		return cli.Misusef("--catalogue %s: want a file in the project, by its path from %s", o.Catalogue, root)
	}
	written, err := scaffold.Event(root, o)
	var taken *scaffold.ExistsError
	switch {
	case errors.As(err, &taken) && taken.Go:
		return cli.Misusef("%w: --go-type gives the struct another name", err)
	case errors.As(err, &taken):
		return cli.Misusef("%w: a breaking change of a type is a new one, NAME.v2", err)
	case err != nil:
		return err
	}
	out := cmd.OutOrStdout()
	if common.JSON() {
		return cli.JSON(out, struct {
			Type   events.Type     `json:"type"`
			GoType string          `json:"goType"`
			Files  []scaffold.File `json:"files"`
		}{o.Type, written.GoType, written.Files})
	}
	for _, f := range written.Files {
		verb := "changed"
		if f.New {
			verb = "made   "
		}
		fmt.Fprintf(out, "%s  %s\n", verb, f.Path)
	}
	_, err = fmt.Fprintf(out, `
%s is %s. Next:
  fill in its comment, its fields and its sample, in %s
  go generate ./...
  go test ./%s
`, o.Type, written.GoType, written.Struct.Path, filepath.ToSlash(filepath.Dir(o.Catalogue)))
	return err
}

// sources are those of the project's event types.
func sources() []string {
	root, err := project.Root()
	if err != nil {
		return nil
	}
	types, err := schema.LoadProject(os.DirFS(root))
	if err != nil {
		return nil
	}
	var names []string
	for _, t := range types.Types() {
		names = append(names, t.Source)
	}
	return slices.Compact(names) // they are sorted
}
