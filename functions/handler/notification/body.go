package notification

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// part is a part of a body: text as it is, or a placeholder.
type part struct {
	text   string
	path   path // of a placeholder
	quoted bool // the placeholder is inside a JSON string
}

// path leads to a value: names of fields, and indexes of lists.
type path []step

type step struct {
	name  string // empty for an index
	index int
}

func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.name == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isName(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' || c == '-' }

// parse finds the placeholders of a body.
func parse(body string, kind Kind) ([]part, error) {
	var (
		parts   []part
		text    strings.Builder
		quoted  bool // inside a JSON string
		escaped bool // behind a backslash there
	)
	for i := 0; i < len(body); {
		c := body[i]
		next := byte(0)
		if i+1 < len(body) {
			next = body[i+1]
		}
		switch {
		case c == '{' && next == '{':
			text.WriteByte('{')
			escaped = false
			i += 2
			continue
		case c == '{' && isLetter(next):
			end := strings.IndexByte(body[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("%s has no closing brace (for a brace as it is, write {{)", excerpt(body[i:]))
			}
			p, err := parsePath(body[i+1 : i+end])
			if err != nil {
				return nil, fmt.Errorf("%s: %w (for a brace as it is, write {{)", excerpt(body[i:i+end+1]), err)
			}
			if escaped {
				return nil, fmt.Errorf(`%s stands behind a backslash, which would escape its value's first character`, excerpt(body[i:i+end+1]))
			}
			parts = append(parts, part{text: text.String()}, part{path: p, quoted: quoted})
			text.Reset()
			i += end + 1
			continue
		case kind == JSON && escaped:
			escaped = false
		case kind == JSON && quoted && c == '\\':
			escaped = true
		case kind == JSON && c == '"':
			quoted = !quoted
		}
		text.WriteByte(c)
		i++
	}
	return append(parts, part{text: text.String()}), nil
}

func excerpt(s string) string {
	const shown = 60
	if len(s) > shown {
		s = strings.ToValidUTF8(s[:shown], "") + "…"
	}
	return strconv.Quote(s)
}

// parsePath reads what is between the braces of a placeholder.
func parsePath(text string) (path, error) {
	var p path
	malformed := errors.New("a path is names with dots between them and [0] behind a list, as in {data.lines[0].id}")
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '[' && i > 0:
			end := strings.IndexByte(text[i:], ']')
			if end < 0 {
				return nil, malformed
			}
			digits := text[i+1 : i+end]
			n, err := strconv.Atoi(digits)
			if err != nil || strconv.Itoa(n) != digits || n < 0 {
				return nil, malformed
			}
			p = append(p, step{index: n})
			i += end + 1
		case i == 0 || c == '.':
			start := i
			if i > 0 {
				start++
			}
			end := start
			for end < len(text) && isName(text[end]) {
				end++
			}
			if end == start {
				return nil, malformed
			}
			p = append(p, step{name: text[start:end]})
			i = end
		default:
			return nil, malformed
		}
	}
	switch {
	case len(p) == 0:
		return nil, malformed
	case p[0].name != "data" && p[0].name != "metadata":
		return nil, errors.New("a path begins with data. or metadata.")
	}
	return p, nil
}

// wellFormed checks that what a body becomes is of its kind, whatever the values
// are.
func wellFormed(parts []part, kind Kind) error {
	switch kind {
	case JSON:
		// The empty string and a number stand for all values: one needs quotes,
		// and nowhere but at a value's place may both be.
		for _, value := range []string{"", "0"} {
			var b strings.Builder
			for _, p := range parts {
				switch {
				case p.path == nil:
					b.WriteString(p.text)
				case p.quoted || value != "":
					b.WriteString(value)
				default:
					b.WriteString(`""`)
				}
			}
			var decoded any
			if err := json.Unmarshal([]byte(b.String()), &decoded); err != nil {
				return fmt.Errorf("it does not become JSON: %w", err)
			}
		}
	case XML:
		return wellFormedXML(parts)
	}
	return nil
}

// wellFormedXML puts a mark in each placeholder's place that reads as itself only
// where escaped text does, which is in text and attributes.
func wellFormedXML(parts []part) error {
	var b strings.Builder
	marks := map[string]path{}
	for i, p := range parts {
		b.WriteString(p.text)
		if p.path != nil {
			marks[fmt.Sprintf("\uf8ff%d\uf8ff", i)] = p.path
			fmt.Fprintf(&b, "&#xf8ff;%d&#xf8ff;", i)
		}
	}
	if strings.ContainsRune(strings.ReplaceAll(b.String(), "&#xf8ff;", ""), '\uf8ff') {
		return errors.New("it holds the character U+F8FF, which is nobody's")
	}
	found := map[string]bool{}
	look := func(s string) {
		for mark := range marks {
			if strings.Contains(s, mark) {
				found[mark] = true
			}
		}
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	depth, roots := 0, 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("it does not become XML: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			for _, a := range token.Attr {
				look(a.Value)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth > 0 {
				look(string(token))
			} else if strings.TrimSpace(string(token)) != "" {
				return errors.New("it does not become XML: there is text outside of the root element")
			}
		}
	}
	if roots != 1 {
		return fmt.Errorf("it does not become XML: it has %d root elements", roots)
	}
	for mark, p := range marks {
		if !found[mark] {
			return fmt.Errorf("{%s} can be only in text and in attributes", p)
		}
	}
	return nil
}
