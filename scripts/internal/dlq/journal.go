package dlq

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Journal is what a redrive knows of itself after it was killed: which messages
// it has sent and not deleted yet. It is a small file, replaced as a whole. What
// it misses, since the machine lost its power, is sent twice, and never lost. Two
// redrives of one DLQ at a time may each forget what the other has sent, which
// comes to the same.
type Journal struct {
	path string
	was  journal // when it was opened
	now  journal
	sent map[string]state // of messages that may still be in the DLQ, by id
}

type state int

const (
	perhaps state = iota + 1 // the call had begun
	sent                     // SQS has taken it
)

type journal struct {
	Began time.Time `json:"began"`
	// Moved is how many messages are in the queue and no longer in the DLQ.
	Moved int `json:"moved"`
	// Sending may be in the queue, and Sent are; both may be in the DLQ, too.
	Sending []string `json:"sending"`
	Sent    []string `json:"sent"`
}

// OpenJournal opens the journal of a DLQ in a folder, or begins it.
func OpenJournal(dir, queue string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the journal of the redrive: %w", err)
	}
	j := &Journal{path: filepath.Join(dir, queue+".json"), sent: map[string]state{}}
	text, err := os.ReadFile(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		j.now.Began = time.Now().UTC()
		return j, nil
	case err != nil:
		return nil, fmt.Errorf("the journal of the redrive: %w", err)
	}
	if err := json.Unmarshal(text, &j.was); err != nil {
		return nil, fmt.Errorf("the journal of the redrive, %s: %w: without it, what an interrupted redrive has sent and not deleted is sent again: remove the file to go on", j.path, err)
	}
	j.now = journal{Began: j.was.Began, Moved: j.was.Moved}
	for _, id := range j.was.Sending {
		j.sent[id] = perhaps
	}
	for _, id := range j.was.Sent {
		j.sent[id] = sent
	}
	return j, nil
}

// Interrupted returns when an earlier redrive began that did not end, and how
// many messages it had sent; zero if there is none.
func (j *Journal) Interrupted() (began time.Time, moved int) {
	if j.was.Moved+len(j.was.Sent)+len(j.was.Sending) == 0 {
		return time.Time{}, 0
	}
	return j.was.Began, j.was.Moved + len(j.was.Sent)
}

// sentBefore reports whether a message was sent, and perhapsBefore whether that is
// possible.
func (j *Journal) sentBefore(id string) bool { return j.sent[id] == sent }

func (j *Journal) perhapsBefore(id string) bool { return j.sent[id] == perhaps }

// begin notes that messages are about to be sent.
func (j *Journal) begin(ids []string) error {
	for _, id := range ids {
		j.sent[id] = perhaps
	}
	return j.write()
}

// took notes that SQS has taken messages.
func (j *Journal) took(ids []string) error {
	for _, id := range ids {
		j.sent[id] = sent
	}
	return j.write()
}

// gone notes that messages are no longer in the DLQ: those that were sent, and
// were deleted by now. It is written with what comes next.
func (j *Journal) gone(ids []string) {
	for _, id := range ids {
		if j.sent[id] == sent {
			delete(j.sent, id)
			j.now.Moved++
		}
	}
}

func (j *Journal) write() error {
	j.now.Sending, j.now.Sent = []string{}, []string{}
	for id, s := range j.sent {
		if s == sent {
			j.now.Sent = append(j.now.Sent, id)
		} else {
			j.now.Sending = append(j.now.Sending, id)
		}
	}
	text, err := json.Marshal(j.now)
	if err != nil {
		return err
	}
	next := j.path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("the journal of the redrive: %w", err)
	}
	return os.Rename(next, j.path)
}

// Close ends the journal. One of a redrive that has done all is no longer needed.
func (j *Journal) Close(done bool) error {
	if !done {
		return j.write()
	}
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
