package outboxtables

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// Row is one event in the outbox.
type Row struct {
	Seq              int64
	ID, Type, Detail string
	EnqueuedAt       time.Time
}

// Key names the row's message, as outbox.Key does.
func (r Row) Key() string { return r.Type + "#" + r.ID }

// Message makes a message of a row.
func (r Row) Message() (outbox.Message, error) {
	t, err := events.ParseType(r.Type)
	if err == nil && r.ID == "" {
		err = fmt.Errorf("event of %s without an id", t)
	}
	if err != nil {
		return outbox.Message{Key: r.Key()}, err
	}
	return outbox.Message{Key: r.Key(), Entries: []events.Entry{{ID: r.ID, Type: t, Detail: []byte(r.Detail)}}}, nil
}

// Claimed are the rows of a claim.
type Claimed struct {
	rows       []Row
	messages   []outbox.Message
	unreadable []outbox.Refusal
}

// Claim makes messages of rows.
func Claim(rows []Row) Claimed {
	c := Claimed{rows: rows}
	for _, r := range rows {
		m, err := r.Message()
		if err != nil {
			c.unreadable = append(c.unreadable, outbox.Refusal{Message: m, Reason: err.Error()})
			continue
		}
		c.messages = append(c.messages, m)
	}
	return c
}

// Messages implements part of outbox.Claim.
func (c *Claimed) Messages() []outbox.Message { return c.messages }

// Unreadable implements part of outbox.Claim.
func (c *Claimed) Unreadable() []outbox.Refusal { return slices.Clip(c.unreadable) }

// Len is the number of rows.
func (c *Claimed) Len() int { return len(c.rows) }

// Aside is a row that is set aside.
type Aside struct {
	Row
	Reason string
}

// Split divides the rows by what became of them: those that were sent, those to
// set aside (one for each key), and those that stay.
func (c *Claimed) Split(sent []string, refused []outbox.Refusal) (gone []Row, aside []Aside, kept []Row) {
	done := make(map[string]bool, len(sent))
	for _, key := range sent {
		done[key] = true
	}
	reasons := make(map[string]string, len(refused))
	for _, r := range refused {
		reasons[r.Key] = Reason(r.Reason)
	}
	seen := map[string]bool{}
	for _, r := range c.rows {
		key := r.Key()
		reason, isRefused := reasons[key]
		switch {
		case done[key]:
			gone = append(gone, r)
		case !isRefused:
			kept = append(kept, r)
		case !seen[key]:
			seen[key] = true
			aside = append(aside, Aside{r, reason})
		default:
			gone = append(gone, r)
		}
	}
	return gone, aside, kept
}

// maxReasonBytes is how much of a reason is kept.
const maxReasonBytes = 2 << 10

// Reason cuts a reason to what is kept of it, and to what a text column takes.
func Reason(reason string) string {
	if len(reason) > maxReasonBytes {
		reason = reason[:maxReasonBytes] + " …"
	}
	out := []rune(nil)
	for _, r := range reason { // an invalid byte is U+FFFD
		if r != 0 {
			out = append(out, r)
		}
	}
	return string(out)
}
