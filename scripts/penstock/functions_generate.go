package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
	"github.com/penstock-dev/penstock/scripts/internal/scaffold"
)

func newFunctionsGenerate(common *cli.Flags) *cobra.Command {
	var o scaffold.FunctionOptions
	cmd := &cobra.Command{
		Use:   "generate --template KIND --functionName NAME",
		Short: "Write a new function, complete and tested",
		Long: `Write a new function: its code, a test, its manifest (function.json), and a
README that tells how to set it up. It builds, and its test passes, as it is:
change it into what you need.

The template streaming-events is a function that receives events in batches; the
sample charges a fee for each withdrawal from a deposit account.

The name is letters, digits and hyphens, and not that of another function; it is
the folder's name too. The function joins the Go module that the folder is in.
Where there is none, --module makes one.

Nothing is written over. A name that is taken, and a folder that is not empty, are
refused, and then nothing is changed; --update adds to a function the files that it
lacks, and leaves the others alone.`,
		Example: `  penstock functions generate -t streaming-events -n deposit-bonus
  penstock functions generate -t streaming-events -d functions/deposit-bonus -n deposit-bonus --update`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return generateFunction(cmd, common, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.Template, "template", "t", "", "`kind` of function, required: streaming-events")
	f.StringVarP(&o.Dir, "functionDirectory", "d", "", "`folder` to make (default functions/NAME, in the project)")
	f.StringVarP(&o.Name, "functionName", "n", "", "`name` of the function, required: letters, digits and hyphens")
	f.StringVar(&o.Module, "module", "", "make a Go module of this `path`, where there is none")
	f.BoolVar(&o.Update, "update", false, "take the name of a function that is there, and make the files that it lacks")
	_ = cmd.RegisterFlagCompletionFunc("template", cobra.FixedCompletions(scaffold.FunctionTemplates(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("functionName", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("module", cobra.NoFileCompletions)
	_ = cmd.MarkFlagDirname("functionDirectory")
	return cmd
}

func generateFunction(cmd *cobra.Command, common *cli.Flags, o scaffold.FunctionOptions) error {
	if o.Template == "" || o.Name == "" {
		return cli.Misusef("which function? Want --template (%s) and --functionName", strings.Join(scaffold.FunctionTemplates(), ", "))
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(manifest.FunctionsDir, o.Name)
		if root, err := project.Root(); err == nil {
			o.Dir = filepath.Join(root, o.Dir)
		} else if !errors.Is(err, project.ErrNone) {
			return err
		}
	}
	w, err := scaffold.Function(o)
	var invalid *scaffold.InvalidError
	if errors.As(err, &invalid) {
		return cli.Misuse{Err: err}
	}
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if common.JSON() {
		return cli.JSON(out, struct {
			Name         string   `json:"name"`
			Folder       string   `json:"folder"`
			Project      string   `json:"project,omitempty"`
			Module       string   `json:"module,omitempty"`
			Made         []string `json:"made"`
			Kept         []string `json:"kept"`
			Needs        []string `json:"needs"`
			MissingTypes []string `json:"missingTypes"`
		}{o.Name, w.Dir, w.Project, w.Module, array(w.Made), array(w.Kept), array(w.Needs), array(w.MissingTypes)})
	}
	for _, file := range w.Made {
		fmt.Fprintf(out, "made  %s\n", fromHere(file))
	}
	for _, file := range w.Kept {
		fmt.Fprintf(out, "kept  %s\n", fromHere(file))
	}
	if w.Module == "" {
		fmt.Fprintf(out, "\n%s is in no Go module: make one as below, or begin again with --module PATH.", fromHere(w.Dir))
	}
	fmt.Fprint(out, "\nNext:\n")
	at := w.Project
	if at == "" {
		at = w.Dir
	}
	if here, err := os.Getwd(); err == nil && here != at {
		fmt.Fprintf(out, "  cd %s\n", fromHere(at))
	}
	for _, command := range w.Needs {
		fmt.Fprintf(out, "  %s\n", command)
	}
	if len(w.MissingTypes) > 0 {
		fmt.Fprint(out, "  add to the catalogue of event types, which lacks them:\n")
		for _, name := range w.MissingTypes {
			fmt.Fprintf(out, "      events.Describe[%s](),\n", name)
		}
		fmt.Fprint(out, "  go generate ./...\n")
	}
	if w.Project == "" {
		fmt.Fprintf(out, "  go test .\n  and move it to functions/%s of a project, to run it: see its README.md\n", o.Name)
		return nil
	}
	_, err = fmt.Fprintf(out, "  go test ./functions/%s\n  %s dev\n  %[2]s events publish savings/SAVINGS_WITHDRAWAL --set amount=100\n", o.Name, w.Command())
	return err
}

// fromHere is a path as it is from the working directory, where that is shorter.
func fromHere(file string) string {
	here, err := os.Getwd()
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(here, file); err == nil && len(rel) < len(file) {
		return rel
	}
	return file
}

// array is a list that is never null in JSON.
func array(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
