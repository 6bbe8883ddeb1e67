package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// iamFlags say how dev treats permissions, and where it reports which of them
// were never used.
type iamFlags struct {
	mode   string
	report string
}

var iamModes = []string{"enforce", "warn", "off"}

func (f *iamFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.mode, "iam", "enforce", "what becomes of a call without permission: enforce refuses it as AWS does, warn logs it, off does not look")
	flags.StringVar(&f.report, "iam-report", "", "at the end, write to `FILE` (- is standard output) which grants of the roles were used; JSON with --output json, or if the file's name ends in .json")
	_ = cmd.RegisterFlagCompletionFunc("iam", cobra.FixedCompletions(iamModes, cobra.ShellCompDirectiveNoFileComp))
}

func (f *iamFlags) check() error {
	if !slices.Contains(iamModes, f.mode) {
		return cli.Misusef("--iam %q: want %s", f.mode, strings.Join(iamModes, ", "))
	}
	if f.report != "" && f.mode == "off" {
		return cli.Misusef("--iam-report: with --iam off, nothing is known of what was used")
	}
	return nil
}

// tell says in a line how many grants were never used.
func (f *iamFlags) tell(env *local.Environment, progress io.Writer) {
	if f.mode != "off" {
		fmt.Fprint(progress, unusedInShort(env.Grants()))
	}
}

// write writes the report, if one is asked for.
func (f *iamFlags) write(env *local.Environment, out io.Writer, asJSON bool) error {
	asJSON = asJSON || strings.HasSuffix(f.report, ".json")
	switch f.report {
	case "":
		return nil
	case "-":
		return writeGrants(out, env.Grants(), asJSON)
	}
	file, err := os.Create(f.report)
	if err != nil {
		return fmt.Errorf("--iam-report: %w", err)
	}
	return errors.Join(writeGrants(file, env.Grants(), asJSON), file.Close())
}

// unusedInShort is a line that counts the grants that were never used, by role;
// empty if all were.
func unusedInShort(grants []local.Grant) string {
	var roles []string
	unused := map[string]int{}
	total := 0
	for _, g := range grants {
		if g.Used {
			continue
		}
		if unused[g.Role] == 0 {
			roles = append(roles, g.Role)
		}
		unused[g.Role]++
		total++
	}
	if total == 0 {
		return ""
	}
	for i, role := range roles {
		roles[i] = fmt.Sprintf("%s %d", role, unused[role])
	}
	return fmt.Sprintf("permissions: %d of %d grants were never used since --reset: %s (--iam-report - lists them)\n", total, len(grants), strings.Join(roles, ", "))
}

// writeGrants writes the grants, those that were never used first.
func writeGrants(out io.Writer, grants []local.Grant, asJSON bool) error {
	slices.SortStableFunc(grants, func(a, b local.Grant) int {
		switch {
		case a.Used == b.Used:
			return 0
		case a.Used:
			return 1
		}
		return -1
	})
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(grants)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USED\tROLE\tPOLICY\tSTATEMENT\tACTION\tRESOURCE\tCONDITIONS")
	for _, g := range grants {
		used := "never"
		if g.Used {
			used = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", used, g.Role, g.Policy, g.Statement, g.Action, g.Resource, strings.Join(g.Conditions, "; "))
	}
	return w.Flush()
}
