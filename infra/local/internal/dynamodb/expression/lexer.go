package expression

import (
	"fmt"
	"slices"
	"strings"
)

// tokenKind tells tokens apart that are not known by their text.
type tokenKind int

const (
	symbolToken  tokenKind = iota // an operator or a delimiter
	wordToken                     // a keyword, an attribute's name or a function's
	nameToken                     // #placeholder
	valueToken                    // :placeholder
	numberToken                   // digits
	unknownToken                  // a character that the language does not have
	endToken
)

type token struct {
	kind       tokenKind
	text       string
	start, end int // where it stands in the expression
}

// is reports whether the token is the given symbol, or keyword in any case.
func (t token) is(text string) bool {
	return (t.kind == symbolToken || t.kind == wordToken) && strings.EqualFold(t.text, text)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }

// lex splits an expression into tokens, the last of which is an endToken.
func lex(text string) []token {
	tokens := make([]token, 0, 16)
	for i := 0; i < len(text); {
		c := text[i]
		kind, end := unknownToken, i+1
		run := func(in func(byte) bool) {
			for end < len(text) && in(text[end]) {
				end++
			}
		}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case isLetter(c):
			kind = wordToken
			run(isWord)
		case isDigit(c):
			kind = numberToken
			run(isDigit)
		case c == '#' || c == ':':
			if run(isWord); end > i+1 {
				kind = nameToken
				if c == ':' {
					kind = valueToken
				}
			}
		case c == '<' || c == '>':
			kind = symbolToken
			if end < len(text) && (text[end] == '=' || c == '<' && text[end] == '>') {
				end++
			}
		case strings.IndexByte("=()[].,+-", c) >= 0:
			kind = symbolToken
		}
		tokens = append(tokens, token{kind, text[i:end], i, end})
		i = end
	}
	return append(tokens, token{kind: endToken, text: "<EOF>", start: len(text), end: len(text)})
}

// parser reads tokens one after the other. Its methods panic with a
// parseError, which parse recovers.
type parser struct {
	text      string
	tokens    []token
	at        int
	keywords  []string // words of the grammar, which no attribute's name can be
	operators int
	redundant bool // whether there are parentheses around parentheses
	result    parsed
}

var keywords = map[grammar][]string{
	conditions: {"AND", "OR", "NOT", "BETWEEN", "IN"},
	updates:    sections,
}

type parseError struct{ error }

func fail(format string, args ...any) { panic(parseError{fmt.Errorf(format, args...)}) }

// parse reads an expression's text.
func parse(g grammar, text string) (result *parsed, err error) {
	defer func() {
		if r := recover(); r != nil {
			failure, ok := r.(parseError)
			if !ok {
				panic(r)
			}
			result, err = nil, failure.error
		}
	}()
	if len(text) > maxBytes {
		fail("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	}
	p := &parser{text: text, tokens: lex(text), keywords: keywords[g]}
	if len(p.tokens) == 1 {
		fail("The expression can not be empty;")
	}
	switch g {
	case conditions:
		p.condition()
	case updates:
		p.update()
	case projections:
		p.projection()
	}
	if p.operators > maxOperators {
		fail("The expression contains too many operators; operator count: %d", p.operators)
	}
	return &p.result, nil
}

func (p *parser) next() token { return p.tokens[p.at] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != endToken {
		p.at++
	}
	return t
}

// accept takes the next token if it is the given symbol or keyword.
func (p *parser) accept(text string) bool {
	if !p.next().is(text) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.syntaxError()
	}
}

// syntaxError refuses the next token, showing its neighbours.
func (p *parser) syntaxError() {
	t := p.next()
	from, to := t.start, t.end
	if p.at > 0 {
		from = p.tokens[p.at-1].start
	}
	if t.kind != endToken {
		to = p.tokens[p.at+1].end
	}
	fail("Syntax error; token: %q, near: %q", t.text, p.text[from:to])
}

// path reads a document path.
func (p *parser) path() path {
	out := path{p.name()}
	for {
		switch {
		case p.accept("."):
			out = append(out, p.name())
		case p.accept("["):
			if p.next().kind != numberToken {
				p.syntaxError()
			}
			out = append(out, element{index: index(p.take().text)})
			p.expect("]")
		default:
			return out
		}
	}
}

func (p *parser) name() element {
	t := p.next()
	switch t.kind {
	case nameToken:
		p.result.names = addOnce(p.result.names, t.text)
	case wordToken:
		if slices.ContainsFunc(p.keywords, t.is) {
			p.syntaxError()
		}
		if isReserved(t.text) {
			fail("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
	default:
		p.syntaxError()
	}
	p.at++
	return element{name: t.text}
}

// index reads a list index; one that no list can have is as good as any other.
func index(digits string) int {
	n := 0
	for i := range len(digits) {
		n = min(n*10+int(digits[i]-'0'), 1<<30)
	}
	return n
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
