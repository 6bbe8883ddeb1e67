package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
)

// editFlags say how to change events before they are moved.
type editFlags struct {
	dataFlags
	editor bool
	newID  bool
}

func (f *editFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "a field of the event's data to change first, `path=value`, as in amount=100 (may be repeated)")
	flags.StringVar(&f.file, "data", "", "a `file` with data for the event, instead of what it has (- is stdin); with one --id")
	flags.BoolVar(&f.editor, "edit", false, "change the event's data in $VISUAL or $EDITOR; with one --id")
	flags.BoolVar(&f.newID, "new-id", false, "give each event another id: its function has not handled it yet, even if it has handled the old one")
}

// check finds what cannot be meant.
func (f *editFlags) check(filter dlq.Filter) error {
	switch {
	case (f.editor || f.file != "") && len(filter.IDs) != 1:
		return cli.Misusef("--edit and --data are for one event: say which with --id")
	case f.editor && (f.file != "" || len(f.set) > 0):
		return cli.Misusef("--edit goes with neither --set nor --data: change it all in the editor")
	case f.editor && editor() == "":
		return cli.Misusef("--edit: neither VISUAL nor EDITOR says which editor to use")
	}
	return nil
}

func editor() string {
	if e := os.Getenv("VISUAL"); e != "" {
		return e
	}
	return os.Getenv("EDITOR")
}

// changer returns what changes messages as the flags say; nil if they say nothing.
func (f *editFlags) changer(cmd *cobra.Command) (func(*dlq.Message) error, error) {
	if len(f.set) == 0 && f.file == "" && !f.editor && !f.newID {
		return nil, nil
	}
	var given json.RawMessage
	if f.file != "" {
		var err error
		if given, err = readInput("data", f.file, cmd.InOrStdin()); err != nil {
			return nil, err
		}
		if !json.Valid(given) {
			return nil, cli.Misusef("--data %s is not JSON", f.file)
		}
	}
	c := changer{editFlags: f, cmd: cmd, given: given, types: map[events.Type]*eventType{}}
	return c.change, nil
}

// changer changes messages.
type changer struct {
	*editFlags
	cmd   *cobra.Command
	given json.RawMessage // instead of the data
	types map[events.Type]*eventType
	// What was written in the editor is for all messages of the event: a DLQ may
	// have it twice.
	edited json.RawMessage
}

func (c *changer) change(m *dlq.Message) error {
	if !m.IsEvent() {
		return errors.New("the message holds no event that could be changed")
	}
	id := ""
	if c.newID {
		// Once and for all: a redrive that is interrupted may move it twice.
		id = events.DeriveID(m.SentAt, m.ID, m.Type, 0)
	}
	data, err := c.data(m)
	if err != nil {
		return err
	}
	return m.SetData(data, id)
}

// data is the message's data as it is to be.
func (c *changer) data(m *dlq.Message) (json.RawMessage, error) {
	if len(c.set) == 0 && c.given == nil && !c.editor {
		return m.Data, nil
	}
	t := c.types[m.Type]
	if t == nil {
		var err error
		if t, err = findType(m.TypeName()); err != nil {
			return nil, err
		}
		c.types[m.Type] = t
	}
	if c.editor {
		return c.inEditor(m, t)
	}
	data := m.Data
	if c.given != nil {
		data = c.given
	}
	data, err := eventtypes.Edit(data, t.sample, c.set, t.open)
	if err != nil {
		return nil, err
	}
	return data, c.valid(t, data)
}

// valid checks data by its type's schema. Where a person wrote all of it, a field
// that the schema does not name is wrong, too.
func (c *changer) valid(t *eventType, data json.RawMessage) error {
	err := t.types.Validate(t.Type, data)
	if c.editor || c.given != nil {
		err = t.types.ValidateStrict(t.Type, data)
	}
	if violated, ok := errors.AsType[*schema.Error](err); ok {
		return describeMisfit(violated)
	}
	return err
}

// inEditor has a person change the data. What cannot be used is kept in its file.
func (c *changer) inEditor(m *dlq.Message, t *eventType) (json.RawMessage, error) {
	if c.edited != nil {
		return c.edited, nil
	}
	var text bytes.Buffer
	if err := json.Indent(&text, m.Data, "", "  "); err != nil {
		return nil, err
	}
	text.WriteByte('\n')
	file, err := os.CreateTemp("", "penstock-"+m.Type.Name+"-*.json") // for its owner alone
	if err != nil {
		return nil, err
	}
	_, err = file.Write(text.Bytes())
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	run := exec.Command("sh", "-c", editor()+` "$1"`, "sh", file.Name()) // as git and crontab do: an editor may have arguments
	run.Stdin, run.Stdout, run.Stderr = c.cmd.InOrStdin(), c.cmd.ErrOrStderr(), c.cmd.ErrOrStderr()
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("the editor: %w (what it left is in %s)", err, file.Name())
	}
	edited, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, err
	}
	if bytes.Equal(edited, text.Bytes()) {
		_ = os.Remove(file.Name())
		return nil, errors.New("nothing was changed in the editor: without --edit it is moved as it is")
	}
	data, err := eventtypes.Edit(edited, t.sample, nil, t.open) // one JSON object
	if err == nil {
		err = c.valid(t, data)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n(the edit is in %s: mend it, and say --data %s instead of --edit)", err, file.Name(), file.Name())
	}
	c.edited = data
	return data, os.Remove(file.Name())
}
