// Package reference renders a command's help as Markdown: a page for each of its
// groups of commands, and an index.
//
// It says nothing of its own: what --help prints is the one source, and a page is
// what it prints for a group and for every command below it.
package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Index is the name of the page that leads to the others.
const Index = "README.md"

// Pages returns the pages of a command by their names. The command's own help is on
// the page Index; cobra's commands help and completion have no page.
func Pages(root *cobra.Command) map[string][]byte {
	pages := map[string][]byte{}
	var index strings.Builder
	begin(&index, root)
	for _, group := range root.Groups() {
		fmt.Fprintf(&index, "\n## %s\n\n| command | |\n| --- | --- |\n", strings.TrimSuffix(group.Title, ":"))
		for _, c := range commands(root) {
			if c.GroupID != group.ID {
				continue
			}
			file := c.Name() + ".md"
			for _, each := range append(runnable(c), below(c)...) {
				fmt.Fprintf(&index, "| [`%s`](%s#%s) | %s |\n", each.CommandPath(), file, strings.ReplaceAll(each.CommandPath(), " ", "-"), cell(each.Short))
			}
			var page strings.Builder
			begin(&page, c)
			for _, each := range below(c) {
				fmt.Fprintf(&page, "\n## %s\n", each.CommandPath())
				body(&page, each)
			}
			pages[file] = []byte(page.String())
		}
	}
	pages[Index] = []byte(index.String())
	return pages
}

// commands are those of a command that its help tells of, but for cobra's own.
func commands(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool {
		return !sub.IsAvailableCommand() || sub.Name() == "completion" || sub.Name() == "help"
	})
}

// below are all commands below one, in the order in which its help has them.
func below(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range commands(c) {
		all = append(append(all, sub), below(sub)...)
	}
	return all
}

// runnable is the command itself if it is more than a group.
func runnable(c *cobra.Command) []*cobra.Command {
	if c.HasSubCommands() && !c.Flags().HasFlags() {
		return nil
	}
	return []*cobra.Command{c}
}

func begin(page *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(page, "<!-- This page is what --help prints. go generate ./... writes it: do not edit. -->\n\n# %s\n", c.CommandPath())
	body(page, c)
}

func body(page *strings.Builder, c *cobra.Command) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.Contains("\n"+paragraph, "\n  ") { // it is laid out
			block(page, paragraph)
			continue
		}
		fmt.Fprintf(page, "\n%s\n", escape(paragraph))
	}
	if c.Runnable() && !(c.HasSubCommands() && len(runnable(c)) == 0) {
		block(page, c.UseLine())
	}
	if c.Example != "" {
		block(page, unindent(c.Example))
	}
	if !c.HasParent() {
		fmt.Fprintf(page, "\nEvery command has these flags:\n")
		block(page, unindent(c.PersistentFlags().FlagUsages()))
	} else if usage := c.NonInheritedFlags().FlagUsages(); usage != "" {
		block(page, unindent(usage))
	}
}

func block(page *strings.Builder, text string) {
	fmt.Fprintf(page, "\n```\n%s\n```\n", strings.TrimRight(text, "\n"))
}

// unindent removes the two spaces that cobra has before examples and flags.
func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\n"+text, "\n  ", "\n"), "\n")
}

// escape keeps Markdown from reading signs into a text that is plain, but for what
// it has in backticks.
func escape(text string) string {
	parts := strings.Split(text, "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.NewReplacer("<", `\<`, ">", `\>`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`).Replace(parts[i])
	}
	return strings.Join(parts, "`")
}

func cell(text string) string { return strings.ReplaceAll(escape(text), "|", `\|`) }
