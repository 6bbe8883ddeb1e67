package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

const valueHelp = `The value comes from exactly one place: standard input (on a terminal it is
asked for, and not shown), --value-file, or --value. One newline that ends
standard input or a file is not part of the value.`

// valueFlags say where a secret's value comes from.
type valueFlags struct {
	value string
	file  string
}

func (f *valueFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "value-file", "", "read the value from a `file` (- is standard input)")
	cmd.Flags().StringVar(&f.value, "value", "", "the value itself; it stays in your shell's history, and others on this machine may see it")
	_ = cmd.MarkFlagFilename("value-file")
}

// read reads the value. Its errors never hold it.
func (f *valueFlags) read(cmd *cobra.Command, name string) (string, error) {
	var text, from string
	switch given := cmd.Flags().Changed; {
	case given("value") && given("value-file"):
		return "", cli.Misusef("--value and --value-file exclude each other: say where the value is once")
	case given("value"):
		text, from = f.value, "--value"
	case given("value-file") && f.file != "-":
		file, err := os.Open(f.file)
		if err != nil {
			return "", cli.Misusef("--value-file: %w", err)
		}
		defer file.Close()
		from = "--value-file " + f.file
		if text, err = readValue(file); err != nil {
			return "", fmt.Errorf("%s: %w", from, err)
		}
	default:
		var err error
		from = "standard input"
		if text, err = readStdin(cmd, name); err != nil {
			return "", fmt.Errorf("%s: %w", from, err)
		}
	}
	switch {
	case text == "":
		return "", cli.Misusef("%s holds no value: a secret has at least one byte", from)
	case len(text) > maxSecretValue:
		return "", cli.Misusef("%s holds more than the %d bytes that a secret takes", from, maxSecretValue)
	case !utf8.ValidString(text):
		return "", cli.Misusef("%s is not text in UTF-8: encode it first, as in `base64`", from)
	}
	return text, nil
}

// readStdin reads the value from standard input, and asks for it where that is
// a terminal.
func readStdin(cmd *cobra.Command, name string) (string, error) {
	in := cmd.InOrStdin()
	if !cli.IsTerminal(in) {
		return readValue(in)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Value of %s (it is not shown): ", name)
	defer fmt.Fprintln(cmd.ErrOrStderr())
	return readPassword(cmd.Context(), int(in.(*os.File).Fd()))
}

// readPassword reads a line that is not shown. When ctx ends first, as by
// Ctrl-C, the terminal shows again what is typed.
func readPassword(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type line struct {
		text []byte
		err  error
	}
	lines := make(chan line, 1)
	go func() { // a read of a terminal cannot be interrupted: it ends with the program
		text, err := term.ReadPassword(terminal)
		lines <- line{text, err}
	}()
	select {
	case got := <-lines:
		return string(got.text), got.err
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted: nothing was changed"), term.Restore(terminal, before))
	}
}

// readValue reads a value and takes one newline off its end. It reads no
// further than it must to know that a value is too large.
func readValue(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxSecretValue+int64(len("\r\n"))+1))
	if cut, ended := bytes.CutSuffix(text, []byte("\n")); ended {
		text = bytes.TrimSuffix(cut, []byte("\r"))
	}
	return string(text), err
}
