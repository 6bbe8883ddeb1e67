package notification

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/penstock-dev/penstock/events/pattern"
)

// Detail is an event's detail, {"metadata": …, "data": …}, read once for any
// number of templates. It is safe for concurrent use.
type Detail struct {
	event pattern.Event
	value any
}

// ReadDetail reads a detail's JSON.
func ReadDetail(data []byte) (*Detail, error) {
	event, err := pattern.Decode(data)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // as it is spelled
	detail := &Detail{event: event}
	if err := d.Decode(&detail.value); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	return detail, nil
}

// Render returns the body for an event.
func (t *Template) Render(d *Detail) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.path == nil {
			b.WriteString(p.text)
			continue
		}
		value, ok := p.path.of(d.value)
		switch {
		case t.Kind == JSON && !p.quoted && !ok:
			b.WriteString(`""`)
		case t.Kind == JSON && !p.quoted:
			b.Write(asJSON(value))
		case t.Kind == JSON:
			text := asJSON(asText(value))
			b.Write(text[1 : len(text)-1])
		case t.Kind == XML:
			// It fails only if its writer does.
			_ = xml.EscapeText(&b, []byte(asText(value)))
		default:
			b.WriteString(asText(value))
		}
	}
	return b.String()
}

// of finds the value in a decoded detail.
func (p path) of(value any) (any, bool) {
	for _, s := range p {
		switch v := value.(type) {
		case map[string]any:
			found, ok := v[s.name]
			if !ok || s.name == "" {
				return nil, false
			}
			value = found
		case []any:
			if s.name != "" || s.index >= len(v) {
				return nil, false
			}
			value = v[s.index]
		default:
			return nil, false
		}
	}
	return value, true
}

// asText is a value in words: a string is itself, null is nothing.
func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return string(asJSON(value))
}

func asJSON(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err) // it was decoded from JSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
