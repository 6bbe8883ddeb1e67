package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// prepare makes a program's commands treat mistakes alike, once all are added:
// an unknown command, flag or argument is a Misuse that offers the nearest.
func prepare(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	// Cobra adds these two when it runs; here they are treated like the others.
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Misusef("%w%s (see `%s --help`)", err, nearestFlag(cmd, err), cmd.CommandPath())
	})
	checkArgs(root)
}

// checkArgs makes wrong arguments of a command and its subcommands a Misuse.
func checkArgs(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		checkArgs(sub)
	}
	switch {
	case cmd.Name() == "help":
		topics := cmd.Root()
		help := cmd.Run
		cmd.Run = nil
		cmd.RunE = func(c *cobra.Command, args []string) error {
			at := topics
			for _, arg := range args {
				next := slices.IndexFunc(at.Commands(), func(sub *cobra.Command) bool { return sub.Name() == arg || sub.HasAlias(arg) })
				if next < 0 {
					return unknownCommand(at, arg)
				}
				at = at.Commands()[next]
			}
			help(c, args)
			return nil
		}
	case cmd.HasAvailableSubCommands():
		// A group of commands: alone it tells of them.
		cmd.Args = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		}
		if !cmd.Runnable() {
			cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	case cmd.Args != nil:
		check := cmd.Args
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return Misusef("%w%s (see `%s --help`)", err, wanted(c), c.CommandPath())
			}
			return nil
		}
	}
}

// wanted tells the arguments of a command that has some.
func wanted(cmd *cobra.Command) string {
	name, args, ok := strings.Cut(cmd.Use, " ")
	if !ok || !cmd.HasParent() {
		return ""
	}
	return fmt.Sprintf(": want `%s %s %s`", cmd.Parent().CommandPath(), name, args)
}

func unknownCommand(parent *cobra.Command, name string) error {
	var known []string
	for _, sub := range parent.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			known = append(known, sub.Name())
		}
	}
	return Misusef("unknown command %q for %q%s (see `%s --help`)", name, parent.CommandPath(), didYouMean(Nearest(name, known)), parent.CommandPath())
}

// nearestFlag completes the error about an unknown flag.
func nearestFlag(cmd *cobra.Command, err error) string {
	var unknown interface{ GetSpecifiedName() string }
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 { // one letter is near to every other
		return ""
	}
	if !strings.HasPrefix(err.Error(), "unknown") {
		return ""
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	return didYouMean(Nearest("--"+unknown.GetSpecifiedName(), known))
}

func didYouMean(near []string) string {
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", strings.Join(near, " or "))
}
