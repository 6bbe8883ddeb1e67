package expression

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

// condition reads a whole condition.
func (p *parser) condition() {
	n := p.or()
	p.mustBeCondition(n)
	if p.next().kind != endToken {
		p.syntaxError()
	}
	if p.redundant {
		fail("The expression has redundant parentheses;")
	}
	p.result.condition = n
}

func (p *parser) or() *node  { return p.logical("OR", p.and) }
func (p *parser) and() *node { return p.logical("AND", p.not) }

func (p *parser) logical(operator string, operand func() *node) *node {
	n := operand()
	for p.next().is(operator) {
		p.mustBeCondition(n)
		p.at++
		right := operand()
		p.mustBeCondition(right)
		n = p.operator(operator, n, right)
	}
	return n
}

func (p *parser) not() *node {
	if !p.next().is("NOT") {
		return p.comparison()
	}
	p.at++
	n := p.not()
	p.mustBeCondition(n)
	return p.operator("NOT", n)
}

func (p *parser) operator(text string, args ...*node) *node {
	p.operators++
	return &node{kind: operatorNode, text: text, args: args}
}

func (p *parser) comparison() *node {
	left := p.primary()
	t := p.next()
	switch {
	case t.is("=") || t.is("<>") || t.is("<") || t.is("<=") || t.is(">") || t.is(">="):
		p.mustBeOperand(left)
		p.at++
		return p.operator(t.text, left, p.comparisonOperand())
	case t.is("BETWEEN"):
		p.mustBeOperand(left)
		p.at++
		low := p.comparisonOperand()
		p.expect("AND")
		return p.operator("BETWEEN", left, low, p.comparisonOperand())
	case t.is("IN"):
		p.mustBeOperand(left)
		p.at++
		p.expect("(")
		n := p.operator("IN", left, p.comparisonOperand())
		for p.accept(",") {
			n.args = append(n.args, p.comparisonOperand())
		}
		p.expect(")")
		if len(n.args) > maxOperands {
			fail("The IN operator is provided with too many operands; number of operands: %d", len(n.args))
		}
		return n
	}
	return left
}

func (p *parser) comparisonOperand() *node {
	n := p.primary()
	p.mustBeOperand(n)
	return n
}

// primary reads an operand, or anything in parentheses.
func (p *parser) primary() *node {
	if !p.accept("(") {
		return p.operand(conditions, func() *node {
			n := p.primary()
			if n.kind == operatorNode {
				p.syntaxError()
			}
			return n
		})
	}
	n := p.or()
	p.expect(")")
	p.redundant = p.redundant || n.parens
	n.parens = true
	return n
}

// mustBeCondition refuses what is neither true nor false.
func (p *parser) mustBeCondition(n *node) {
	switch {
	case n.kind == pathNode || n.kind == valueNode:
		p.syntaxError()
	case n.kind == functionNode && functions[n.text].nests:
		misused(n)
	}
}

// mustBeOperand refuses what is no value.
func (p *parser) mustBeOperand(n *node) {
	if n.kind == operatorNode {
		p.syntaxError()
	}
	mustNest(n)
}

// Condition is a condition that can be evaluated on items.
type Condition struct {
	scope *Scope
	root  *node
}

// Condition takes a condition's text. parameter is what the request calls it:
// ConditionExpression or FilterExpression.
func (s *Scope) Condition(parameter, text string) (*Condition, error) {
	p, err := s.parse(conditions, parameter, text)
	if err != nil {
		return nil, err
	}
	if err := s.check(p.condition); err != nil {
		return nil, refuse(parameter, err)
	}
	return &Condition{s, p.condition}, nil
}

// check refuses operands that cannot be right whatever the item holds.
func (s *Scope) check(n *node) error {
	for _, a := range n.args {
		if err := s.check(a); err != nil {
			return err
		}
	}
	if n.kind == functionNode {
		if err := n.checkCount(); err != nil {
			return err
		}
	}
	if len(n.args) == 2 && n.args[0].kind == pathNode && n.args[1].kind == pathNode {
		if first := s.resolve(n.args[0].path); slices.Equal(first, s.resolve(n.args[1].path)) {
			return fmt.Errorf("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %v", n.text, first)
		}
	}
	switch n.text {
	case "attribute_exists", "attribute_not_exists":
		if n.args[0].kind != pathNode {
			return n.errNeedsPath()
		}
	case "attribute_type":
		return s.checkAttributeType(n)
	case "begins_with":
		return s.checkOperands(n, attribute.S, attribute.B)
	case "size":
		return s.checkOperands(n, attribute.S, attribute.B, attribute.SS, attribute.NS, attribute.BS, attribute.L, attribute.M)
	case "<", "<=", ">", ">=":
		return s.checkOperands(n, attribute.S, attribute.N, attribute.B)
	case "BETWEEN":
		if err := s.checkOperands(n, attribute.S, attribute.N, attribute.B); err != nil {
			return err
		}
		return s.checkBounds(n)
	}
	return nil
}

// checkOperands refuses values of any other than the allowed types.
func (s *Scope) checkOperands(n *node, allowed ...attribute.Kind) error {
	for _, a := range n.args {
		if v := s.valueOf(a); v != nil && !slices.Contains(allowed, v.Kind) {
			return n.errOperand(v.Kind)
		}
	}
	return nil
}

func (s *Scope) checkAttributeType(n *node) error {
	v := s.valueOf(n.args[1])
	switch {
	case v == nil:
		return fmt.Errorf("Incorrect operand type for operator or function; operator or function: %s, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}", n.text)
	case v.Kind != attribute.S:
		return n.errOperand(v.Kind)
	case attribute.KindOf(v.Text) == 0:
		return fmt.Errorf("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", v.Text)
	}
	return nil
}

func (s *Scope) checkBounds(n *node) error {
	low, high := s.valueOf(n.args[1]), s.valueOf(n.args[2])
	if low == nil || high == nil {
		return nil
	}
	problem := ""
	switch order, comparable := low.Compare(*high); {
	case !comparable:
		problem = "requires same data type for lower and upper bounds"
	case order > 0:
		problem = "requires upper bound to be greater than or equal to lower bound"
	default:
		return nil
	}
	return fmt.Errorf("The BETWEEN operator %s; lower bound operand: AttributeValue: {%v:%s}, upper bound operand: AttributeValue: {%v:%s}",
		problem, low.Kind, low.Text, high.Kind, high.Text)
}

// TopLevel returns the names of the attributes that the condition looks at.
func (c *Condition) TopLevel() []string {
	var names []string
	var visit func(*node)
	visit = func(n *node) {
		if n.kind == pathNode {
			names = append(names, c.scope.resolve(n.path[:1])[0].name)
		}
		for _, a := range n.args {
			visit(a)
		}
	}
	visit(c.root)
	return names
}

// Holds evaluates the condition on an item; nil is one that does not exist.
func (c *Condition) Holds(item attribute.Map) bool { return c.holds(c.root, item) }

func (c *Condition) holds(n *node, item attribute.Map) bool {
	switch n.text {
	case "AND":
		return c.holds(n.args[0], item) && c.holds(n.args[1], item)
	case "OR":
		return c.holds(n.args[0], item) || c.holds(n.args[1], item)
	case "NOT":
		return !c.holds(n.args[0], item)
	}
	first := c.value(n.args[0], item)
	switch n.text {
	case "attribute_exists":
		return first != nil
	case "attribute_not_exists":
		return first == nil
	}
	second := c.value(n.args[1], item)
	if n.text == "<>" {
		return first == nil || second == nil || !first.Equal(*second)
	}
	if n.text == "IN" {
		return first != nil && slices.ContainsFunc(n.args[1:], func(a *node) bool {
			v := c.value(a, item)
			return v != nil && v.Equal(*first)
		})
	}
	if first == nil || second == nil {
		return false
	}
	switch n.text {
	case "=":
		return first.Equal(*second)
	case "attribute_type":
		return first.Kind.String() == second.Text
	case "begins_with":
		return first.Kind == second.Kind && (first.Kind == attribute.S || first.Kind == attribute.B) && strings.HasPrefix(first.Text, second.Text)
	case "contains":
		return contains(first, second)
	case "BETWEEN":
		third := c.value(n.args[2], item)
		return third != nil && ordered(">=", first, second) && ordered("<=", first, third)
	}
	return ordered(n.text, first, second)
}

// ordered evaluates a comparison. Values that have no order compare as false.
func ordered(operator string, v, w *attribute.Value) bool {
	order, ok := v.Compare(*w)
	if !ok {
		return false
	}
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func contains(v, w *attribute.Value) bool {
	switch v.Kind {
	case attribute.S, attribute.B:
		return v.Kind == w.Kind && strings.Contains(v.Text, w.Text)
	}
	return slices.ContainsFunc(v.List, w.Equal)
}

// value evaluates an operand; nil if there is no such value.
func (c *Condition) value(n *node, item attribute.Map) *attribute.Value {
	switch n.kind {
	case valueNode:
		return c.scope.values.Get(n.text)
	case pathNode:
		return c.scope.resolve(n.path).get(item)
	}
	v := c.value(n.args[0], item) // size is the only function that is an operand
	if v == nil {
		return nil
	}
	size := 0
	switch v.Kind {
	case attribute.S:
		size = utf8.RuneCountInString(v.Text)
	case attribute.B:
		size = len(v.Text)
	case attribute.SS, attribute.NS, attribute.BS, attribute.L:
		size = len(v.List)
	case attribute.M:
		size = len(v.Map)
	default:
		return nil
	}
	number := attribute.Number(size)
	return &number
}
