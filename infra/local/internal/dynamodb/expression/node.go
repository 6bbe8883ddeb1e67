package expression

import "fmt"

// nodeKind is what a node of a condition or of a SET value is.
type nodeKind int

const (
	pathNode     nodeKind = iota
	valueNode             // a :placeholder
	functionNode          // a call
	operatorNode          // AND, OR, NOT, a comparison, BETWEEN, IN, + or -
)

// node is a part of a condition, or of the value of SET.
type node struct {
	kind   nodeKind
	text   string // the placeholder, the function's name or the operator
	path   path
	args   []*node
	parens bool // it stood in parentheses
}

// functions are the functions of all expressions.
var functions = map[string]struct {
	operands int
	in       grammar
	nests    bool // it yields a value, which another function or an operator can take
}{
	"attribute_exists":     {1, conditions, false},
	"attribute_not_exists": {1, conditions, false},
	"attribute_type":       {2, conditions, false},
	"begins_with":          {2, conditions, false},
	"contains":             {2, conditions, false},
	"size":                 {1, conditions, true},
	"if_not_exists":        {2, updates, true},
	"list_append":          {2, updates, false},
}

// operand reads a path, a value or a call. argument reads an argument of one.
func (p *parser) operand(g grammar, argument func() *node) *node {
	t := p.next()
	switch {
	case t.kind == valueToken:
		p.at++
		p.result.values = addOnce(p.result.values, t.text)
		return &node{kind: valueNode, text: t.text}
	case t.kind == wordToken && p.tokens[p.at+1].is("("):
		return p.call(g, argument)
	}
	return &node{kind: pathNode, path: p.path()}
}

func (p *parser) call(g grammar, argument func() *node) *node {
	n := &node{kind: functionNode, text: p.take().text}
	function, known := functions[n.text]
	if !known {
		fail("Invalid function name; function: %s", n.text)
	}
	if function.in != g {
		misused(n)
	}
	p.expect("(")
	for {
		a := argument()
		mustNest(a)
		n.args = append(n.args, a)
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return n
}

func misused(n *node) {
	fail("The function is not allowed to be used this way in an expression; function: %s", n.text)
}

// mustNest refuses a function that cannot be an operand.
func mustNest(n *node) {
	if n.kind == functionNode && !functions[n.text].nests {
		misused(n)
	}
}

// checkCount refuses a call with too few or too many operands.
func (n *node) checkCount() error {
	if want := functions[n.text].operands; len(n.args) != want {
		return fmt.Errorf("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", n.text, len(n.args))
	}
	return nil
}

func (n *node) errOperand(kind fmt.Stringer) error {
	return fmt.Errorf("Incorrect operand type for operator or function; operator or function: %s, operand type: %v", n.text, kind)
}

func (n *node) errNeedsPath() error {
	return fmt.Errorf("Operator or function requires a document path; operator or function: %s", n.text)
}
