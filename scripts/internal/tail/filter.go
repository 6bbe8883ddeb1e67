package tail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Filter says which events to show, as a person says it. The zero value means
// all of them.
type Filter struct {
	// Pattern is an event pattern: the JSON of it if it begins with a brace,
	// "-" for standard input, or else the path of a file (an @ before it is
	// taken off). It says all: Sources and Types must be empty.
	Pattern string
	// Sources are event sources, of which an event's must be one.
	Sources []string
	// Types are event types, "NAME" or "source/NAME", of which an event's must
	// be one.
	Types []string
}

// everything is the pattern that each event matches; an empty one is not
// allowed.
const everything = `{"source":[{"prefix":""}]}`

// maxPattern is the longest event pattern, in characters ("Amazon EventBridge
// quotas").
const maxPattern = 2048

// EventPattern makes an event pattern of the filter, and checks it. Each error
// is a misuse.
func (f Filter) EventPattern(stdin io.Reader) (string, error) {
	if f.Pattern == "" {
		return f.compose()
	}
	if len(f.Sources)+len(f.Types) > 0 {
		return "", cli.Misusef("--pattern says all there is to match: put the sources and types of --source and --type into it")
	}
	text, origin, err := f.read(stdin)
	if err != nil {
		return "", cli.Misusef("--pattern: %w", err)
	}
	if _, err := pattern.Parse(text); err != nil {
		return "", cli.Misusef("--pattern%s: %w", origin, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return "", cli.Misusef("--pattern%s: %w", origin, err)
	}
	return checkLength(compact.String())
}

// read returns the text of Pattern, and where it is from unless it was typed.
func (f Filter) read(stdin io.Reader) (text []byte, origin string, err error) {
	given := strings.TrimSpace(f.Pattern)
	switch {
	case strings.HasPrefix(given, "{"):
		return []byte(given), "", nil
	case given == "-":
		text, err = io.ReadAll(stdin)
		return text, " (standard input)", err
	}
	name := strings.TrimPrefix(given, "@")
	text, err = os.ReadFile(name)
	if err != nil {
		err = fmt.Errorf("%w (an event pattern begins with a brace; anything else is the path of a file)", err)
	}
	return text, " (" + name + ")", err
}

// choice is one object of a pattern: the events of some sources and names, of
// any where there are none.
type choice struct {
	Sources []string `json:"source,omitempty"`
	Names   []string `json:"detail-type,omitempty"`
}

// compose makes a pattern of Sources and Types.
func (f Filter) compose() (string, error) {
	if slices.Contains(f.Sources, "") || slices.Contains(f.Types, "") {
		return "", cli.Misusef("--source and --type take a name, not an empty text")
	}
	if len(f.Sources)+len(f.Types) == 0 {
		return everything, nil
	}
	var choices []choice
	var bare []string
	for _, t := range unique(f.Types) {
		source, name, qualified := strings.Cut(t, "/")
		switch {
		case !qualified:
			bare = append(bare, t)
			continue
		case source == "" || name == "":
			return "", cli.Misusef("--type %q: want NAME or source/NAME", t)
		case len(f.Sources) > 0 && !slices.Contains(f.Sources, source):
			return "", cli.Misusef("--type %s is not of --source %s: nothing could match both", t, strings.Join(f.Sources, ", "))
		}
		if i := slices.IndexFunc(choices, func(c choice) bool { return c.Sources[0] == source }); i >= 0 {
			choices[i].Names = append(choices[i].Names, name)
		} else {
			choices = append(choices, choice{[]string{source}, []string{name}})
		}
	}
	if len(bare) > 0 || len(choices) == 0 {
		choices = append(choices, choice{unique(f.Sources), bare})
	}
	var whole any = choices[0]
	if len(choices) > 1 {
		whole = map[string][]choice{"$or": choices}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(whole); err != nil {
		return "", err
	}
	return checkLength(strings.TrimSpace(out.String()))
}

func unique(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func checkLength(p string) (string, error) {
	if n := utf8.RuneCountInString(p); n > maxPattern {
		return "", cli.Misusef("the event pattern has %d characters, and EventBridge takes %d: match less closely", n, maxPattern)
	}
	return p, nil
}
