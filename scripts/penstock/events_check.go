package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/compat"
	"github.com/penstock-dev/penstock/scripts/internal/gittree"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newEventsCheck(common *cli.Flags) *cobra.Command {
	var against string
	cmd := &cobra.Command{
		Use:   "check --against REVISION",
		Short: "Find what a change of the event types breaks",
		Long: `Compare the schemas of the project with those of another version of it, and name
each change with its path. A change is

  breaking  a field removed, a type narrowed or changed, optional made required,
            an enum value removed, a limit tightened, a type gone: what reads or
            publishes the events of before does not do for those of now
  note      required made optional, null or an enum value allowed, a limit
            loosened, a required field added: code that was written before may be
            taken by surprise
  addition  a field or a type added

and the exit status 1 if one is breaking. The way to break a type on purpose is
a new type, named NAME.v2, beside it.

REVISION is whatever git understands (a branch, a tag, a commit), and is read
without a checkout; or else a folder that holds another copy of the project.`,
		Example: "  penstock events check --against origin/main\n  penstock events check --against v1.4.0 --output json\n  penstock events check --against ../released",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if against == "" {
				return cli.Misusef("say what to compare with: --against takes a git revision or a folder")
			}
			root, err := project.Root()
			if err != nil {
				return err
			}
			changes, err := changesSince(cmd.Context(), root, against)
			if err != nil {
				return err
			}
			if err := printChanges(cmd, common, changes, against); err != nil {
				return err
			}
			return breaks(changes, against)
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "git revision, or folder, of the version to compare with")
	return cmd
}

// changesSince compares the schemas of the project at root with those of
// another version.
func changesSince(ctx context.Context, root, against string) ([]compat.Change, error) {
	old, err := schemasOf(ctx, root, against)
	if err != nil {
		return nil, err
	}
	now, err := schemaFolder(root)
	if err != nil {
		return nil, err
	}
	before, err := schema.Load(old)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", against, err)
	}
	after, err := schema.Load(now)
	if err != nil {
		return nil, err
	}
	return compat.Compare(before, after)
}

// schemasOf finds the schemas of a version: those of a folder, if it is one,
// and else of a git revision.
func schemasOf(ctx context.Context, root, version string) (fs.FS, error) {
	if info, err := os.Stat(version); err == nil && info.IsDir() {
		return schemaFolder(version)
	}
	files, err := gittree.FS(ctx, root, version, schema.Dir)
	if err != nil {
		return nil, cli.Misusef("--against %s: there is no such folder, and as a git revision: %w", version, err)
	}
	return files, nil
}

// schemaFolder is the schemas folder of the project in a folder.
func schemaFolder(dir string) (fs.FS, error) {
	folder := filepath.Join(dir, schema.Dir)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir():
		return nil, cli.Misusef("%s has no folder %s: name a folder that holds a project", dir, schema.Dir)
	case err != nil:
		return nil, err
	}
	return os.DirFS(folder), nil
}

func printChanges(cmd *cobra.Command, common *cli.Flags, changes []compat.Change, against string) error {
	out := cmd.OutOrStdout()
	if common.JSON() {
		if changes == nil {
			changes = []compat.Change{}
		}
		return cli.JSON(out, changes)
	}
	var rows [][]string
	for _, level := range []compat.Level{compat.Breaking, compat.Note, compat.Addition} {
		for _, c := range changes {
			if c.Level == level {
				path := c.Path
				if path == "" {
					path = "-"
				}
				rows = append(rows, []string{string(c.Level), c.Type.String(), path, c.What})
			}
		}
	}
	if len(rows) > 0 {
		if err := cli.Table(out, []string{"CHANGE", "TYPE", "PATH", "WHAT"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	_, err := fmt.Fprintf(out, "Compared with %s: %d breaking, %d to note, %d additive.\n", against,
		count(changes, compat.Breaking), count(changes, compat.Note), count(changes, compat.Addition))
	return err
}

func count(changes []compat.Change, level compat.Level) int {
	n := 0
	for _, c := range changes {
		if c.Level == level {
			n++
		}
	}
	return n
}

// breaks is the error of changes that break something: the way out for each
// type.
func breaks(changes []compat.Change, against string) error {
	var mends []string
	mended := map[events.Type]bool{}
	for _, c := range changes {
		if c.Level == compat.Breaking && !mended[c.Type] {
			mended[c.Type] = true
			mends = append(mends, fmt.Sprintf("%s as %s", c.Type, compat.Successor(c.Type).Name))
		}
	}
	if len(mends) == 0 {
		return nil
	}
	return fmt.Errorf("the events of %s break: keep each type as it was, and publish what is new as a type of its own: %s", against, strings.Join(mends, ", "))
}
