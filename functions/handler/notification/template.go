// Package notification knows notification templates: each makes of an event a
// text for whoever is to be told of it. A function has its templates in the file
// notifications.json beside its manifest:
//
//	[
//	  {
//	    "name": "Large withdrawal",
//	    "event": "savings/SAVINGS_WITHDRAWAL",
//	    "condition": {"data": {"amount": [{"numeric": [">", 10000]}]}},
//	    "kind": "text",
//	    "body": "{data.amount} {data.currency} left account {data.accountId}."
//	  }
//	]
//
// The condition is an event pattern over the event's detail, as a subscription's
// filter is. The body holds placeholders: {data.accountId} stands for the value
// at that path of the detail, {data.lines[0].id} for one in a list, counted from
// 0.
//
// A value is escaped for the body's kind:
//
//   - text: as it is;
//   - json: inside a string escaped for it, elsewhere as JSON, with the quotes
//     that it needs: {"to": {data.name}, "text": "Dear {data.name}"};
//   - xml: escaped for text and attributes.
//
// A value that is missing becomes the empty string, and so does null, except that
// it stays null in JSON outside of strings. A list or an object is written as
// JSON.
//
// A brace before a letter begins a placeholder; two are one brace, as in
// {{note}, which becomes {note}. Any other brace is itself.
//
// The package depends on event patterns and the standard library.
package notification

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/events/pattern"
)

// FileName is the name of the file with a function's templates, in its folder.
const FileName = "notifications.json"

// What a template may hold.
const (
	MaxName = 255     // characters
	MaxBody = 1 << 16 // bytes, placeholders as they are written
)

// Kind is what a notification's body is.
type Kind string

const (
	Text Kind = "text"
	JSON Kind = "json"
	XML  Kind = "xml"
)

// Kinds are all kinds.
var Kinds = []Kind{Text, JSON, XML}

// ContentType is the kind's media type: text/plain, application/json or
// application/xml, in UTF-8.
func (k Kind) ContentType() string {
	switch k {
	case JSON:
		return "application/json; charset=UTF-8"
	case XML:
		return "application/xml; charset=UTF-8"
	}
	return "text/plain; charset=UTF-8"
}

// Template says when and how to tell of events of one type. One that [Parse]
// returned, or whose Compile returned no error, may be used by several goroutines.
type Template struct {
	// Name is unique in a project: 1 to 255 characters, without blanks around it
	// and without line breaks.
	Name string `json:"name"`
	// Event is the type that it is for, as "source/NAME".
	Event string `json:"event"`
	// Condition narrows the events: an event pattern over the detail. Empty: all
	// of the type.
	Condition json.RawMessage `json:"condition,omitempty"`
	// Kind is the body's, by which values are escaped.
	Kind Kind `json:"kind"`
	// Body is the text with placeholders: 1 byte to 64 KiB.
	Body string `json:"body"`
	// Active says whether it makes notifications; true if a file does not say.
	Active bool `json:"active"`

	condition *pattern.Pattern
	parts     []part
}

// UnmarshalJSON reads a template as a file has it. A field that is not known is
// an error.
func (t *Template) UnmarshalJSON(data []byte) error {
	type plain Template
	p := plain{Active: true}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return err
	}
	*t = Template(p)
	return nil
}

// Parse reads the file of a function's templates. The error joins every fault
// that can be found without the schemas of the events.
func Parse(file []byte) ([]*Template, error) {
	var templates []*Template
	if err := json.Unmarshal(file, &templates); err != nil {
		return nil, fmt.Errorf("want a list of notification templates: %w", err)
	}
	if templates == nil {
		return nil, errors.New("want a list of notification templates, not null")
	}
	var faults []error
	seen := map[string]bool{}
	for i, t := range templates {
		if t == nil {
			faults = append(faults, fmt.Errorf("notification %d is null", i+1))
			continue
		}
		about := fmt.Sprintf("notification %q", t.Name)
		if t.Name == "" {
			about = fmt.Sprintf("notification %d", i+1)
		} else if seen[t.Name] {
			faults = append(faults, fmt.Errorf("%s: another has the same name: rename one", about))
		}
		seen[t.Name] = true
		if err := t.Compile(); err != nil {
			for _, fault := range split(err) {
				faults = append(faults, fmt.Errorf("%s: %w", about, fault))
			}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return templates, nil
}

// Compile makes the template ready to be used, after it was changed. The error
// joins all that is wrong with it.
func (t *Template) Compile() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch n := utf8.RuneCountInString(t.Name); {
	case t.Name == "":
		fault(`it needs a "name"`)
	case strings.TrimSpace(t.Name) != t.Name:
		fault("its name has blanks around it")
	case strings.ContainsFunc(t.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }):
		fault("its name has a character that cannot be read")
	case n > MaxName:
		fault("its name has %d characters, %d at most", n, MaxName)
	}
	if source, name, ok := strings.Cut(t.Event, "/"); !ok || source == "" || name == "" {
		fault("event %q must be source/NAME, such as savings/SAVINGS_WITHDRAWAL", t.Event)
	}
	t.condition = nil
	if len(t.Condition) > 0 {
		var err error
		if t.Condition[0] != '{' {
			fault(`the condition must be an object, such as {"data": {"amount": [{"numeric": [">", 0]}]}} (got %s)`, t.Condition)
		} else if t.condition, err = pattern.Parse(t.Condition); err != nil {
			fault("the condition is not valid: %w", err)
		}
	}
	t.parts = nil
	switch {
	case t.Kind != Text && t.Kind != JSON && t.Kind != XML:
		fault("kind %q must be %s, %s or %s", t.Kind, Text, JSON, XML)
	case t.Body == "":
		fault(`it needs a "body"`)
	case len(t.Body) > MaxBody:
		fault("the body has %d bytes, %d at most", len(t.Body), MaxBody)
	case !utf8.ValidString(t.Body):
		fault("the body is not UTF-8")
	default:
		parts, err := parse(t.Body, t.Kind)
		if err == nil {
			err = wellFormed(parts, t.Kind)
		}
		if err != nil {
			fault("the body: %w", err)
		}
		t.parts = parts
	}
	return errors.Join(faults...)
}

// Paths are those of the body's placeholders, as they are written.
func (t *Template) Paths() []string {
	var paths []string
	for _, p := range t.parts {
		if p.path != nil {
			paths = append(paths, p.path.String())
		}
	}
	return paths
}

// Holds reports whether the template makes a notification of an event of its
// type: it is active, and its condition holds.
func (t *Template) Holds(d *Detail) bool {
	return t.Active && (t.condition == nil || t.condition.MatchEvent(d.event))
}

// split returns the faults that errors.Join made err of.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
