package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// token is a number, a name, a text in quotes, or an operator or bracket.
var token = regexp.MustCompile(`^(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+|[A-Za-z][A-Za-z0-9_]*|"[^"]*"|'[^']*'|==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]])`)

// maxDepth bounds how deeply brackets and minus signs nest.
const maxDepth = 100

// Parse reads an expression; its error says where it is wrong.
func Parse(source string) (*Expression, error) {
	p := &parser{}
	rest := strings.TrimSpace(source)
	for rest != "" {
		t := token.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("expression %q: unexpected %q", source, rest)
		}
		p.tokens = append(p.tokens, t)
		rest = strings.TrimSpace(rest[len(t):])
	}
	root, err := p.binary(0)
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("unexpected %q", p.peek())
	}
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return &Expression{source, root}, nil
}

type parser struct {
	tokens []string
	depth  int
}

// peek returns the next token; empty at the end.
func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) next() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) expect(want string) error {
	if got := p.next(); got != want {
		return fmt.Errorf("want %q, got %q", want, got)
	}
	return nil
}

// precedence lists the operators that bind alike, the loosest first.
var precedence = [][]string{{"OR"}, {"AND"}, {"==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"*", "/"}}

// binary reads operators of a level and those that bind more tightly.
func (p *parser) binary(level int) (node, error) {
	if level == len(precedence) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		operator := p.peek()
		switch operator {
		case "&&":
			operator = "AND"
		case "||":
			operator = "OR"
		}
		if !slices.Contains(precedence[level], operator) {
			return left, nil
		}
		p.next()
		var right node
		if right, err = p.binary(level + 1); err == nil {
			left = binary{operator, left, right}
		}
	}
	return nil, err
}

func (p *parser) unary() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("it nests more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.peek() == "-" {
		p.next()
		of, err := p.unary()
		return negation{of}, err
	}
	base, err := p.primary()
	if err != nil || p.peek() != "^" {
		return base, err
	}
	p.next()
	exponent, err := p.unary()
	return binary{"^", base, exponent}, err
}

func (p *parser) primary() (node, error) {
	t := p.next()
	switch {
	case t == "":
		return nil, fmt.Errorf("it ends too early")
	case t == "(":
		inner, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	case t == "[":
		elements, err := p.list("]")
		return array(elements), err
	case t[0] == '"' || t[0] == '\'':
		return text(t[1 : len(t)-1]), nil
	case t[0] == '.' || t[0] >= '0' && t[0] <= '9':
		x, err := strconv.ParseFloat(t, 64)
		return number(x), err
	case p.peek() == "(" && isName(t):
		p.next()
		if _, known := functions[t]; !known {
			return nil, fmt.Errorf("function %s is not supported by the local environment", t)
		}
		args, err := p.list(")")
		return call{t, args}, err
	case isName(t):
		return identifier(t), nil
	}
	return nil, fmt.Errorf("unexpected %q", t)
}

func isName(t string) bool { return t[0] >= 'a' && t[0] <= 'z' || t[0] >= 'A' && t[0] <= 'Z' }

// list reads elements between commas, and the bracket that ends them.
func (p *parser) list(end string) ([]node, error) {
	var out []node
	if p.peek() == end {
		p.next()
		return out, nil
	}
	for {
		element, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
		if p.peek() != "," {
			return out, p.expect(end)
		}
		p.next()
	}
}
