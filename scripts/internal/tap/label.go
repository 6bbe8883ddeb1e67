package tap

import (
	"encoding/json"
	"strings"
	"time"
)

// Label says whose a tap is, and until when.
type Label struct {
	Owner   string // user@host
	Process string // of the one that made it
	Bus     string
	Expires time.Time
}

// What the tags are called.
const (
	tagOwner   = "penstock:owner"
	tagProcess = "penstock:process"
	tagBus     = "penstock:bus"
	tagExpires = "penstock:expires"
)

// NewLabel is the label of what this process makes now, and nobody wants after age.
func NewLabel(bus string, age time.Duration) Label {
	me := self()
	return Label{Owner: me.owner, Process: me.process, Bus: bus, Expires: time.Now().Add(age).UTC().Truncate(time.Second)}
}

func (l Label) tags() map[string]string {
	return map[string]string{tagOwner: l.Owner, tagProcess: l.Process, tagBus: l.Bus, tagExpires: l.Expires.Format(time.RFC3339)}
}

// describe is the label as one line. People read it, and readDescription.
func (l Label) describe() string {
	text, err := json.Marshal(l.tags())
	if err != nil {
		panic(err) // strings only
	}
	return descriptionPrefix + string(text)
}

const descriptionPrefix = "A temporary rule of penstock: "

// readTags reads a label from tags. What has not all of them is not a tap's.
func readTags(tags map[string]string) (Label, bool) {
	l := Label{Owner: tags[tagOwner], Process: tags[tagProcess], Bus: tags[tagBus]}
	var err error
	l.Expires, err = time.Parse(time.RFC3339, tags[tagExpires])
	return l, err == nil && l.Owner != "" && l.Process != "" && l.Bus != ""
}

// readDescription reads a label from a rule's description.
func readDescription(text string) (Label, bool) {
	text, ok := strings.CutPrefix(text, descriptionPrefix)
	if !ok {
		return Label{}, false
	}
	var tags map[string]string
	if json.Unmarshal([]byte(text), &tags) != nil {
		return Label{}, false
	}
	return readTags(tags)
}

// Due reports whether what bears the label is to be removed, and why: nobody can
// want it any more.
func (l Label) Due() (reason string, due bool) { return l.due(self(), time.Now(), alive) }

func (l Label) due(me identity, now time.Time, alive func(process string) bool) (reason string, due bool) {
	switch {
	case l.Expired(now):
		return "expired", true
	case l.Owner == me.owner && !alive(l.Process):
		return "its process is gone", true
	}
	return "", false
}

// Expired reports whether the label's time is over.
func (l Label) Expired(now time.Time) bool { return now.After(l.Expires) }
