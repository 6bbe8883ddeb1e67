package tail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// JSONLines returns a Show that prints events for programs: the whole event as
// the bus delivers it, one a line, each written at once.
func JSONLines(out io.Writer) func(Event) error {
	return func(e Event) error {
		_, err := out.Write(append(e.JSON, '\n'))
		return err
	}
}

// Printer prints events for people: one line each.
//
//	15:04:05.123  savings/SAVINGS_WITHDRAWAL  …c3d4e5f6  accountId=A-1 amount=201
//
// That is the local time at which it occurred, its type, the end of its id (the
// beginning is a time, and the same for minutes) and its data. Nested data is
// shown by its size. What would disturb a terminal is quoted.
type Printer struct {
	Out io.Writer
	// Color sets the parts apart by colours; a type keeps its own.
	Color bool
	// Verbose prints under each line the whole detail, indented.
	Verbose bool
	// Width, if set, returns how many characters a line has room for; 0 means
	// any number.
	Width func() int
	// Zone is that of the times; nil means the machine's.
	Zone *time.Location

	typeWidth int // grows with the longest type so far, so that columns stay
}

const (
	minTypeWidth = 24
	shortID      = 8
	maxValue     = 40 // characters of a value on the line
)

// Show prints an event.
func (p *Printer) Show(e Event) error {
	zone := p.Zone
	if zone == nil {
		zone = time.Local
	}
	kind := printable(e.Source + "/" + e.Name)
	p.typeWidth = max(p.typeWidth, minTypeWidth, utf8.RuneCountInString(kind))
	id := printable(e.ID)
	if len(id) > shortID {
		id = "…" + id[len(id)-shortID:]
	}
	l := line{color: p.Color}
	if p.Width != nil {
		l.room = p.Width()
	}
	l.add(faint, e.At.In(zone).Format("15:04:05.000"))
	l.add("", "  ")
	l.add(typeColor(kind), kind)
	l.add("", strings.Repeat(" ", p.typeWidth-utf8.RuneCountInString(kind)+2))
	l.add(faint, id)
	for i, f := range fields(e.Data) {
		if i == 0 {
			l.add("", " ")
		}
		l.add("", " ")
		if f.name != "" {
			l.add(faint, f.name+"=")
		}
		l.add("", f.value)
	}
	out := append(l.text, '\n')
	if p.Verbose {
		var detail bytes.Buffer
		if err := json.Indent(&detail, e.Detail, "    ", "  "); err != nil {
			return err
		}
		out = append(append(append(out, "    "...), escape(detail.Bytes())...), '\n')
	}
	_, err := p.Out.Write(out)
	return err
}

// Colours, as terminals take them ("ECMA-48", SGR).
const (
	faint = "2"
	reset = "0"
)

// typeColor is always the same for a type: cyan, green, yellow, blue, magenta
// or one of their bright forms, never red, which means an error elsewhere.
func typeColor(kind string) string {
	colors := [...]string{"36", "32", "33", "34", "35", "96", "92", "93", "94", "95"}
	h := fnv.New32a()
	_, _ = h.Write([]byte(kind))
	return colors[h.Sum32()%uint32(len(colors))]
}

// line is a line under construction. What finds no room in it is cut.
type line struct {
	text  []byte
	color bool
	room  int // 0: any
	used  int
	full  bool
}

func (l *line) add(color, text string) {
	if l.full {
		return
	}
	if n := utf8.RuneCountInString(text); l.room > 0 && l.used+n > l.room {
		text = string([]rune(text)[:max(0, l.room-l.used-1)]) + "…"
		l.full = true
	}
	l.used += utf8.RuneCountInString(text)
	if !l.color || color == "" {
		l.text = append(l.text, text...)
		return
	}
	l.text = fmt.Appendf(l.text, "\x1b[%sm%s\x1b[%sm", color, text, reset)
}

type field struct{ name, value string }

// fields are the fields of an event's data, in their order: values first,
// then what is nested.
func fields(data json.RawMessage) []field {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return []field{{"", value(data)}}
	}
	var plain, nested []field
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			break
		}
		var v json.RawMessage
		if decoder.Decode(&v) != nil {
			break
		}
		f := field{printable(fmt.Sprint(name)), value(v)}
		if v[0] == '{' || v[0] == '[' {
			nested = append(nested, f)
		} else {
			plain = append(plain, f)
		}
	}
	return append(plain, nested...)
}

// value is a JSON value in little room.
func value(v json.RawMessage) string {
	v = bytes.TrimSpace(v)
	if len(v) == 0 {
		return ""
	}
	switch v[0] {
	case '{':
		var members map[string]json.RawMessage
		_ = json.Unmarshal(v, &members)
		return "{" + strconv.Itoa(len(members)) + "}"
	case '[':
		var elements []json.RawMessage
		_ = json.Unmarshal(v, &elements)
		return "[" + strconv.Itoa(len(elements)) + "]"
	case '"':
		var s string
		_ = json.Unmarshal(v, &s)
		if r := []rune(s); len(r) > maxValue {
			s = string(r[:maxValue-1]) + "…"
		}
		if s == "" || strings.ContainsAny(s, " =\"{[") {
			return quote(s)
		}
		return printable(s)
	}
	return string(v)
}

// printable quotes a text that a terminal would not simply print.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return quote(s)
	}
	return s
}

func quote(s string) string { return strconv.Quote(s) }

// escape replaces in indented JSON what JSON allows in a text and a terminal
// would obey: everything below a space is escaped by JSON already.
func escape(text []byte) []byte {
	var out []byte
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError {
			out = append(out, text[:n]...)
		} else {
			out = fmt.Appendf(out, "\\u%04x", r)
		}
		text = text[n:]
	}
	return out
}
