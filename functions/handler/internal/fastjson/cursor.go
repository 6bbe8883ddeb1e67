package fastjson

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// cursor is a place in a text. Its methods move it past what they read, and
// report whether they found just that; where one has not, the fast path is over.
type cursor struct {
	text    string
	at      int
	depth   int
	scratch []byte      // the value of a string with escapes, or a copy
	seen    [128]string // strings of long texts, see keep
}

// cursors are for the next texts: what they have seen may come again.
var cursors = sync.Pool{New: func() any { return new(cursor) }}

// maxDepth is how deep values may nest here; encoding/json allows ten times as
// much.
const maxDepth = 1000

// peek returns the next byte, 0 at the end.
func (c *cursor) peek() byte {
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

// space skips white space.
func (c *cursor) space() {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return
		}
	}
}

// byte reads one byte.
func (c *cursor) byte(b byte) bool {
	if c.at < len(c.text) && c.text[c.at] == b {
		c.at++
		return true
	}
	return false
}

// word reads a literal: null, true or false.
func (c *cursor) word(w string) bool {
	if strings.HasPrefix(c.text[c.at:], w) {
		c.at += len(w)
		return true
	}
	return false
}

// list reads what stands between two brackets, separated by commas; element
// reads one.
func (c *cursor) list(open, end byte, element func() bool) bool {
	if !c.byte(open) || c.depth == maxDepth {
		return false
	}
	c.depth++
	c.space()
	if !c.byte(end) {
		for {
			if !element() {
				return false
			}
			c.space()
			if c.byte(end) {
				break
			}
			if !c.byte(',') {
				return false
			}
			c.space()
		}
	}
	c.depth--
	return true
}

// colon reads what stands between a key and its value.
func (c *cursor) colon() bool {
	c.space()
	if !c.byte(':') {
		return false
	}
	c.space()
	return true
}

// Strings are read eight bytes at a time: a word's first byte is its lowest.
const (
	each word = 0x0101010101010101 // a 1 in every byte
	high word = 0x8080808080808080
)

type word = uint64

// load returns the eight bytes of s from i on.
func load(s string, i int) word {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// plain counts the first bytes of a word that stand for themselves in a string:
// all but quotes, backslashes and control characters. What is not ASCII does.
func plain(w word) int {
	quote, backslash := w^each*'"', w^each*'\\'
	// The lowest high bit that remains is in the first byte that is one of
	// them; those above it mean nothing.
	found := (quote - each) &^ quote
	found |= (backslash - each) &^ backslash
	found |= (w - each*' ') &^ w
	return bits.TrailingZeros64(found&high) / 8
}

// ordinary returns the index of the first byte from i on that plain does not
// count, the length of the text if there is none.
func (c *cursor) ordinary(i int) int {
	for ; i+8 <= len(c.text); i += 8 {
		if n := plain(load(c.text, i)); n < 8 {
			return i + n
		}
	}
	for i < len(c.text) && c.text[i] >= ' ' && c.text[i] != '"' && c.text[i] != '\\' {
		i++
	}
	return i
}

// literal reads a string and returns what stands between its quotes, and whether
// that has escapes.
func (c *cursor) literal() (raw string, escaped, ok bool) {
	if !c.byte('"') {
		return "", false, false
	}
	for i := c.ordinary(c.at); i < len(c.text); i = c.ordinary(i) {
		switch c.text[i] {
		case '"':
			raw = c.text[c.at:i]
			c.at = i + 1
			return raw, escaped, true
		case '\\':
			escaped = true
			n := escape(c.text[i:])
			if n == 0 {
				return "", false, false
			}
			i += n
		default:
			return "", false, false
		}
	}
	return "", false, false
}

// escape returns the length of the escape that s begins with, 0 if it is none.
func escape(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(s[2:]); ok {
			return 6
		}
	}
	return 0
}

// string reads a string and returns its value.
func (c *cursor) string() (string, bool) {
	if !c.byte('"') {
		return "", false
	}
	end := c.ordinary(c.at)
	if end == len(c.text) {
		return "", false
	}
	if c.text[end] != '"' {
		return c.unescape(end)
	}
	s := c.text[c.at:end]
	c.at = end + 1
	if !utf8.ValidString(s) {
		return "", false // encoding/json replaces what is not UTF-8
	}
	return c.keep(s), true
}

// unescape reads the rest of a string whose first escape is at index i. A
// surrogate without its other half is left to encoding/json.
func (c *cursor) unescape(i int) (string, bool) {
	out := append(c.scratch[:0], c.text[c.at:i]...)
	defer func() { c.scratch = out }()
	for i < len(c.text) {
		if i+8 <= len(c.text) {
			// The whole word is written, over the end of what is good of it.
			w := load(c.text, i)
			p := plain(w)
			out = binary.LittleEndian.AppendUint64(out, w)
			out = out[:len(out)-8+p]
			if i += p; p == 8 {
				continue
			}
		}
		switch b := c.text[i]; {
		case b == '"':
			c.at = i + 1
			return string(out), utf8.Valid(out)
		case b < ' ':
			return "", false
		case b != '\\':
			out = append(out, b)
			i++
			continue
		}
		n := escape(c.text[i:])
		if n == 0 {
			return "", false
		}
		b := c.text[i+1]
		switch b {
		case 'b':
			b = '\b'
		case 'f':
			b = '\f'
		case 'n':
			b = '\n'
		case 'r':
			b = '\r'
		case 't':
			b = '\t'
		case 'u':
			r, _ := hex4(c.text[i+2:])
			if utf16.IsSurrogate(r) {
				if !strings.HasPrefix(c.text[i+n:], `\u`) {
					return "", false
				}
				second, _ := hex4(c.text[i+n+2:])
				if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
					return "", false
				}
				n += 6
			}
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		out = append(out, b)
		i += n
	}
	return "", false
}

// hex4 reads four hexadecimal digits.
func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		b := s[i]
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(b)
	}
	return r, true
}

// shared is how long a text may be for its strings to be parts of it.
const shared = 4 << 10

// keep returns a part of the text for use in a value. A long text must not stay
// in memory for one short string of it; most strings in one come again and
// again.
func (c *cursor) keep(s string) string {
	if len(c.text) <= shared || s == "" {
		return s
	}
	if len(s) > 128 {
		return strings.Clone(s)
	}
	slot := &c.seen[(len(s)+int(s[len(s)-1])*31+int(s[0])*7)%len(c.seen)]
	if *slot != s {
		*slot = strings.Clone(s)
	}
	return *slot
}

// number reads a number and returns its text, and whether it is a whole number
// without an exponent.
func (c *cursor) number() (literal string, whole, ok bool) {
	start := c.at
	c.byte('-')
	if !c.byte('0') && !c.digits() {
		return "", false, false
	}
	whole = true
	if c.byte('.') {
		whole = false
		if !c.digits() {
			return "", false, false
		}
	}
	if c.byte('e') || c.byte('E') {
		whole = false
		_ = c.byte('+') || c.byte('-')
		if !c.digits() {
			return "", false, false
		}
	}
	return c.text[start:c.at], whole, true
}

// digits reads one digit or more.
func (c *cursor) digits() bool {
	start := c.at
	for c.at < len(c.text) && '0' <= c.text[c.at] && c.text[c.at] <= '9' {
		c.at++
	}
	return c.at > start
}

// skip reads any value.
func (c *cursor) skip() bool {
	switch c.peek() {
	case '"':
		_, _, ok := c.literal()
		return ok
	case '{':
		return c.list('{', '}', func() bool {
			_, _, ok := c.literal()
			return ok && c.colon() && c.skip()
		})
	case '[':
		return c.list('[', ']', c.skip)
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	}
	_, _, ok := c.number()
	return ok
}
