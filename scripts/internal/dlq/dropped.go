package dlq

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// dropped is a message in a file of dropped ones: a line of JSON.
type dropped struct {
	DroppedAt   time.Time            `json:"droppedAt"`
	DLQ         string               `json:"dlq"` // the queue's name
	Queue       Kind                 `json:"queue"`
	MessageID   string               `json:"messageId"`
	SentAt      time.Time            `json:"sentAt"`
	Received    int                  `json:"received"`
	Attributes  map[string]attribute `json:"attributes"`
	GroupID     string               `json:"groupId,omitempty"`
	TraceHeader string               `json:"traceHeader,omitempty"`
	Body        string               `json:"body"`
}

// attribute is an attribute of a message. Bytes are in Base64.
type attribute struct {
	Type  string  `json:"type"`
	Text  *string `json:"text,omitempty"`
	Bytes []byte  `json:"bytes,omitempty"`
}

// Drop removes messages from a DLQ, and keeps them in a file. It is used once, and
// by one goroutine.
type Drop struct {
	// Picker picks the messages.
	Picker
	// Keep has what is dropped: a message is in it, and it is on disk, before the
	// message is deleted.
	Keep *KeepFile
	// DryRun removes nothing: Would gathers what would be removed.
	DryRun bool

	// Would is what a dry run would remove, without attributes and bodies.
	Would []Failure
}

// Visit drops what it is to drop: a [Visit] for [Queue.Walk].
func (d *Drop) Visit(ctx context.Context, batch []*Message) ([]*Message, error) {
	picked, err := d.Pick(ctx, batch)
	if err != nil {
		return nil, err
	}
	if d.DryRun {
		d.Would = append(d.Would, d.summaries(picked)...)
		return nil, nil
	}
	if err := d.Keep.add(picked); err != nil {
		return nil, err
	}
	return picked, nil
}

// KeepFile is a file of dropped messages: JSON Lines, for its owner alone.
type KeepFile struct {
	Path string

	file *os.File
}

// NewKeepFile returns a file for what is dropped, which must not exist yet. It is
// made once there is something for it.
func NewKeepFile(path string) (*KeepFile, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return &KeepFile{Path: path}, nil
}

func (k *KeepFile) add(messages []*Message) (err error) {
	if len(messages) == 0 {
		return nil
	}
	if k.file == nil {
		if err := os.MkdirAll(filepath.Dir(k.Path), 0o700); err != nil {
			return err
		}
		if k.file, err = os.OpenFile(k.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return err
		}
		if err := syncFolder(filepath.Dir(k.Path)); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	out := bufio.NewWriter(k.file)
	for _, m := range messages {
		attributes := map[string]attribute{}
		for name, a := range m.Attributes {
			attributes[name] = attribute{aws.ToString(a.DataType), a.StringValue, a.BinaryValue}
		}
		line := encode(dropped{now, m.DLQ, m.Queue, m.ID, m.SentAt, m.Received, attributes, m.GroupID, m.TraceHeader, m.Body})
		out.Write(line)
		out.WriteByte('\n')
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return k.file.Sync()
}

// syncFolder has a file that is new in a folder be there after a loss of power.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Close closes the file.
func (k *KeepFile) Close() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}

// Restoring reads a file of dropped messages, to bring them back. Beside it, in a
// file with ".restored" behind its name, it notes which were: an interrupted
// restoring goes on where it ended, and a second one does nothing.
type Restoring struct {
	// Before is how many messages of the file were brought back before.
	Before int

	path  string
	queue map[string]bool // names
	file  *os.File
	lines *bufio.Reader
	line  int
	done  *os.File
	known map[string]bool
}

// Restored is the path of the file that tells what of a file was brought back.
func Restored(path string) string { return path + ".restored" }

// OpenRestoring opens a file of messages that were dropped of the DLQs given, by
// name. With dryRun nothing is noted.
func OpenRestoring(path string, dryRun bool, queues ...string) (*Restoring, error) {
	r := &Restoring{path: path, queue: map[string]bool{}, known: map[string]bool{}}
	for _, name := range queues {
		r.queue[name] = true
	}
	text, err := os.ReadFile(Restored(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if id, whole := strings.CutSuffix(line, "\n"); whole {
			r.known[id] = true
		}
	}
	if r.file, err = os.Open(path); err != nil {
		return nil, err
	}
	r.lines = bufio.NewReaderSize(r.file, 64<<10)
	if !dryRun {
		if r.done, err = os.OpenFile(Restored(path), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return nil, errors.Join(err, r.file.Close())
		}
	}
	return r, nil
}

// Next returns up to n messages that were not brought back yet; none at the end.
func (r *Restoring) Next(n int) (batch []*Message, err error) {
	for len(batch) < n {
		text, err := r.lines.ReadBytes('\n')
		if len(text) == 0 && errors.Is(err, io.EOF) {
			return batch, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		r.line++
		var d dropped
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w: it is no message that `penstock dlq drop` has kept", r.path, r.line, err)
		}
		switch {
		case d.MessageID == "" || d.Body == "":
			return nil, fmt.Errorf("%s, line %d: it is no message that `penstock dlq drop` has kept", r.path, r.line)
		case !r.queue[d.DLQ]:
			return nil, fmt.Errorf("%s, line %d: the message was dropped of %s, which is another subscription's", r.path, r.line, d.DLQ)
		case r.known[d.MessageID]:
			r.Before++
			continue
		}
		m := &Message{
			DLQ: d.DLQ, Queue: d.Queue, ID: d.MessageID, Body: d.Body, Attributes: map[string]types.MessageAttributeValue{},
			SentAt: d.SentAt, Received: d.Received, GroupID: d.GroupID, TraceHeader: d.TraceHeader,
		}
		for name, a := range d.Attributes {
			m.Attributes[name] = types.MessageAttributeValue{DataType: &a.Type, StringValue: a.Text, BinaryValue: a.Bytes}
		}
		m.readEvent()
		batch = append(batch, m)
	}
	return batch, nil
}

// Done notes that messages were brought back.
func (r *Restoring) Done(messages []*Message) error {
	var text []byte
	for _, m := range messages {
		text = append(append(text, m.ID...), '\n')
	}
	_, err := r.done.Write(text)
	return err
}

// Close closes the files.
func (r *Restoring) Close() error {
	err := r.file.Close()
	if r.done != nil {
		err = errors.Join(err, r.done.Close())
	}
	return err
}
