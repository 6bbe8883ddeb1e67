package expression

import (
	"fmt"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

// sections are the parts of an update, each of which it has once at most.
var sections = []string{"SET", "REMOVE", "ADD", "DELETE"}

// action is one change of an update.
type action struct {
	section string
	path    path
	value   *node // what SET sets, ADD adds or DELETE takes out
}

// update reads a whole update.
func (p *parser) update() {
	seen := map[string]bool{}
	for p.next().kind != endToken {
		i := slices.IndexFunc(sections, p.next().is)
		if i < 0 {
			p.syntaxError()
		}
		section := sections[i]
		p.at++
		if seen[section] {
			fail("The %q section can only be used once in an update expression;", section)
		}
		seen[section] = true
		for {
			p.result.actions = append(p.result.actions, p.action(section))
			if !p.accept(",") {
				break
			}
		}
	}
}

func (p *parser) action(section string) action {
	a := action{section: section, path: p.path()}
	switch section {
	case "SET":
		p.expect("=")
		a.value = p.sum()
	case "ADD", "DELETE":
		if p.next().kind != valueToken {
			p.syntaxError()
		}
		a.value = p.operand(updates, nil)
	}
	return a
}

// sum reads an operand, or two that are added or subtracted.
func (p *parser) sum() *node {
	left := p.term()
	if !p.next().is("+") && !p.next().is("-") {
		return left
	}
	p.mustBeTerm(left)
	operator := p.take().text
	right := p.term()
	p.mustBeTerm(right)
	return p.operator(operator, left, right)
}

func (p *parser) term() *node {
	if !p.accept("(") {
		return p.operand(updates, func() *node {
			n := p.term()
			p.mustBeTerm(n)
			return n
		})
	}
	n := p.sum()
	p.expect(")")
	return n
}

// mustBeTerm refuses a sum as an operand.
func (p *parser) mustBeTerm(n *node) {
	if n.kind == operatorNode {
		p.syntaxError()
	}
}

// Update is an update that can be applied to items.
type Update struct {
	scope   *Scope
	actions []action
	paths   []path // of the actions, resolved
}

// Update takes an UpdateExpression's text.
func (s *Scope) Update(text string) (*Update, error) {
	const parameter = "UpdateExpression"
	p, err := s.parse(updates, parameter, text)
	if err != nil {
		return nil, err
	}
	u := &Update{scope: s, actions: p.actions, paths: make([]path, len(p.actions))}
	for i, a := range u.actions {
		u.paths[i] = s.resolve(a.path)
	}
	if err := distinct(u.paths); err != nil {
		return nil, refuse(parameter, err)
	}
	for _, a := range u.actions {
		if err := s.checkAction(a); err != nil {
			return nil, refuse(parameter, err)
		}
	}
	return u, nil
}

func (s *Scope) checkAction(a action) error {
	switch a.section {
	case "SET":
		return s.checkTerm(a.value)
	case "ADD", "DELETE":
		kind := s.valueOf(a.value).Kind
		if kind.Element() == 0 && !(a.section == "ADD" && kind == attribute.N) {
			return fmt.Errorf("Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: ALLOWED_FOR_%s_OPERAND",
				a.section, kindWords[kind], a.section)
		}
	}
	return nil
}

// kindWords are what DynamoDB calls the types in errors of ADD and DELETE.
var kindWords = map[attribute.Kind]string{
	attribute.S: "STRING", attribute.N: "NUMBER", attribute.B: "BINARY", attribute.BOOL: "BOOLEAN",
	attribute.NULL: "NULL", attribute.L: "LIST", attribute.M: "MAP",
}

// checkTerm refuses operands of SET that cannot be right whatever the item
// holds.
func (s *Scope) checkTerm(n *node) error {
	for _, a := range n.args {
		if err := s.checkTerm(a); err != nil {
			return err
		}
	}
	switch n.kind {
	case operatorNode:
		return s.checkOperands(n, attribute.N)
	case functionNode:
		if err := n.checkCount(); err != nil {
			return err
		}
		if n.text == "list_append" {
			return s.checkOperands(n, attribute.L)
		}
		if n.args[0].kind != pathNode {
			return n.errNeedsPath()
		}
	}
	return nil
}

// Touches reports whether the update changes an attribute or a part of it.
func (u *Update) Touches(attribute string) bool {
	return slices.ContainsFunc(u.paths, func(p path) bool { return p[0].name == attribute })
}

// Creates reports whether the update makes an item where there is none: one
// that only removes does not.
func (u *Update) Creates() bool {
	return slices.ContainsFunc(u.actions, func(a action) bool { return a.section == "SET" || a.section == "ADD" })
}

// Updated returns the part of an item, old or new, that the update is about.
func (u *Update) Updated(item attribute.Map) attribute.Map {
	return treeOf(u.paths).of(item)
}

// Why an update cannot be applied to an item.
var (
	errNoAttribute = invalid("The provided expression refers to an attribute that does not exist in the item")
	errWrongType   = invalid("An operand in the update expression has an incorrect data type")
	errWrongPath   = invalid("The document path provided in the update expression is invalid for update")
)

// Apply returns what becomes of an item. exists says whether there is an item
// yet; if not, item holds the key. Every operand is read from the item as it
// was, and every list index counts in the list as it was.
func (u *Update) Apply(item attribute.Map, exists bool) (attribute.Map, error) {
	type setting struct {
		path  path
		value attribute.Value
	}
	var sets []setting
	var removes []path
	for i, a := range u.actions {
		p := u.paths[i]
		value, err := u.outcome(a, p.get(item), item)
		if err != nil {
			return nil, err
		}
		if !p.canHold(item) && (value != nil || exists) {
			return nil, errWrongPath
		}
		switch {
		case value != nil:
			sets = append(sets, setting{p, *value})
		case p.get(item) != nil:
			removes = append(removes, p)
		}
	}
	// Elements set beyond a list's end are appended in the order of their
	// indexes. Removing comes last, and from the back, so that no index shifts
	// before it was used.
	slices.SortFunc(sets, func(s, t setting) int { return s.path.compare(t.path) })
	slices.SortFunc(removes, func(p, q path) int { return q.compare(p) })
	root := attribute.Value{Kind: attribute.M, Map: item}
	for _, s := range sets {
		root = change(root, s.path, &s.value)
	}
	for _, p := range removes {
		root = change(root, p, nil)
	}
	return root.Map, nil
}

// outcome returns what an action makes of the value at its path: nil if
// nothing is to be there.
func (u *Update) outcome(a action, old *attribute.Value, item attribute.Map) (*attribute.Value, error) {
	switch a.section {
	case "SET":
		return u.evaluate(a.value, item)
	case "REMOVE":
		return nil, nil
	}
	operand := u.scope.valueOf(a.value)
	if old == nil {
		if a.section == "DELETE" {
			return nil, nil
		}
		return operand, nil
	}
	if old.Kind != operand.Kind {
		return nil, errWrongType
	}
	var result attribute.Value
	var err error
	switch {
	case a.section == "DELETE":
		if result = old.Difference(*operand); len(result.List) == 0 {
			return nil, nil
		}
	case old.Kind == attribute.N:
		result, err = old.Add(*operand)
	default:
		result = old.Union(*operand)
	}
	return &result, err
}

// evaluate returns the value of an operand of SET.
func (u *Update) evaluate(n *node, item attribute.Map) (*attribute.Value, error) {
	switch {
	case n.kind == valueNode:
		return u.scope.valueOf(n), nil
	case n.kind == pathNode:
		v := u.scope.resolve(n.path).get(item)
		if v == nil {
			return nil, errNoAttribute
		}
		return v, nil
	case n.text == "if_not_exists":
		if v := u.scope.resolve(n.args[0].path).get(item); v != nil {
			return v, nil
		}
		return u.evaluate(n.args[1], item)
	}
	left, err := u.evaluate(n.args[0], item)
	if err != nil {
		return nil, err
	}
	right, err := u.evaluate(n.args[1], item)
	if err != nil {
		return nil, err
	}
	want := attribute.N
	if n.text == "list_append" {
		want = attribute.L
	}
	if left.Kind != want || right.Kind != want {
		return nil, errWrongType
	}
	var result attribute.Value
	switch n.text {
	case "+":
		result, err = left.Add(*right)
	case "-":
		result, err = left.Subtract(*right)
	default:
		result = attribute.Value{Kind: attribute.L, List: slices.Concat(left.List, right.List)}
	}
	return &result, err
}

// canHold reports whether the item has a map or list that the path's last
// element can be in.
func (p path) canHold(item attribute.Map) bool {
	last := len(p) - 1
	if last == 0 {
		return true
	}
	parent := p[:last].get(item)
	if parent == nil {
		return false
	}
	if p[last].name == "" {
		return parent.Kind == attribute.L
	}
	return parent.Kind == attribute.M
}

// change returns a copy of v with another value at the path, or with none if
// to is nil. Everything but the path's last element is there already.
func change(v attribute.Value, p path, to *attribute.Value) attribute.Value {
	e := p[0]
	if len(p) > 1 {
		inner := change(*e.of(&v), p[1:], to)
		to = &inner
	}
	switch {
	case e.name != "" && to == nil:
		v.Map = v.Map.Without(e.name)
	case e.name != "":
		v.Map = v.Map.With(e.name, *to)
	case to == nil:
		v.List = slices.Concat(v.List[:e.index], v.List[e.index+1:])
	case e.index >= len(v.List):
		v.List = append(slices.Clip(v.List), *to)
	default:
		v.List = slices.Clone(v.List)
		v.List[e.index] = *to
	}
	return v
}
