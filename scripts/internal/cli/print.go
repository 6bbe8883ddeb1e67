package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/penstock-dev/penstock/events/schema"
)

// JSON prints v for programs: indented, and ended by a newline.
func JSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// Table prints rows for people, under a header, in columns.
func Table(out io.Writer, header []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// IsTerminal reports whether a person is at the other end of a stream.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Confirm asks a yes-or-no question, unless yes says that it is answered
// already. Without a terminal to ask at it refuses; it gives up when ctx ends.
func Confirm(ctx context.Context, in io.Reader, out io.Writer, yes bool, question string) error {
	if yes {
		return nil
	}
	if !IsTerminal(in) {
		return Refusedf("%s There is no terminal to ask at: say -y to go on", question)
	}
	fmt.Fprintf(out, "%s [y/N] ", question)
	answered := make(chan string, 1)
	go func() { // a read from a terminal cannot be interrupted; the program is about to end
		answer, _ := bufio.NewReader(in).ReadString('\n')
		answered <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case answer := <-answered:
		if answer == "y" || answer == "yes" {
			return nil
		}
	case <-ctx.Done():
		fmt.Fprintln(out)
	}
	return Refusedf("not confirmed: nothing was changed")
}

// Nearest returns up to three of the known names that are most like name, for
// an error about an unknown one.
func Nearest(name string, known []string) []string { return schema.Nearest(name, known) }

// Unknown makes the misuse of an unknown name: the nearest names, or else all
// of them.
func Unknown(what, name string, known []string) error {
	near := Nearest(name, known)
	switch {
	case len(known) == 0:
		return Misusef("no %s %q: there are none", what, name)
	case len(near) > 0:
		return Misusef("no %s %q: did you mean %s?", what, name, strings.Join(near, " or "))
	}
	return Misusef("no %s %q: there are %s", what, name, strings.Join(known, ", "))
}
