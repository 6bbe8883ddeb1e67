package cloudformation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// An expression is a value of a template with its functions still to be called.
type expression interface {
	// evaluate returns a string, json.Number, bool, []any, map[string]any, unknown or noValue.
	evaluate(*scope) (any, error)

	// references calls yield with the name of each parameter and resource that the expression needs, in a fixed order.
	references(yield func(name string))
}

// unknown is a value that only a deployment can tell: an attribute of a resource, and whatever is made of one. While
// templates are checked, it stands for any value of any type. Its text shows where it comes from, like "${Queue.Arn}".
type unknown string

// noValue is Ref AWS::NoValue: it removes the property, or the element, that it stands for.
type noValue struct{}

// functions compile the argument of each supported function.
var functions map[string]func(p *parser, at string, argument any) expression

func init() {
	functions = map[string]func(*parser, string, any) expression{
		"Ref":             (*parser).compileRef,
		"Fn::GetAtt":      (*parser).compileGetAtt,
		"Fn::ImportValue": (*parser).compileImport,
		"Fn::Join":        (*parser).compileJoin,
		"Fn::Select":      (*parser).compileSelect,
		"Fn::Split":       (*parser).compileSplit,
		"Fn::Sub":         (*parser).compileSub,
	}
}

// compile makes an expression of a JSON value. In place of what it reports as a fault, it returns an empty string.
func (p *parser) compile(at string, v any) expression {
	switch v := v.(type) {
	case nil:
		p.fail(at, "null is not allowed in a template")
		return literal{""}
	case []any:
		l := make(list, len(v))
		for i, element := range v {
			l[i] = p.compile(fmt.Sprintf("%s[%d]", at, i), element)
		}
		return l
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if compile, ok := functions[name]; ok {
					return compile(p, at, argument)
				}
			}
		}
		return p.compileObject(at, v)
	default:
		return literal{v}
	}
}

func (p *parser) compileObject(at string, v map[string]any) expression {
	o := make(object, len(v))
	for _, key := range slices.Sorted(maps.Keys(v)) {
		switch _, supported := functions[key]; {
		case supported:
			p.fail(at, "%s must be alone in its object", key)
		case strings.HasPrefix(key, "Fn::"):
			p.fail(at, "function %s is not supported by the local environment: one of %s", key,
				strings.Join(slices.Sorted(maps.Keys(functions)), ", "))
		default:
			o[key] = p.compile(at+"."+key, v[key])
		}
	}
	return o
}

type literal struct{ value any }

func (e literal) evaluate(*scope) (any, error) { return e.value, nil }
func (e literal) references(func(string))      {}

type list []expression

func (e list) evaluate(s *scope) (any, error) {
	values := make([]any, 0, len(e))
	for _, element := range e {
		v, err := element.evaluate(s)
		if err != nil {
			return nil, err
		}
		if v != (noValue{}) {
			values = append(values, v)
		}
	}
	return values, nil
}

func (e list) references(yield func(string)) {
	for _, element := range e {
		element.references(yield)
	}
}

type object map[string]expression

func (e object) evaluate(s *scope) (any, error) {
	values := make(map[string]any, len(e))
	for _, key := range slices.Sorted(maps.Keys(e)) {
		v, err := e[key].evaluate(s)
		if err != nil {
			return nil, err
		}
		if v != (noValue{}) {
			values[key] = v
		}
	}
	return values, nil
}

func (e object) references(yield func(string)) {
	for _, key := range slices.Sorted(maps.Keys(e)) {
		e[key].references(yield)
	}
}

// ref is {"Ref": name}: the value of a parameter or pseudo parameter, or the Ref of a resource.
type ref struct{ at, name string }

func (p *parser) compileRef(at string, argument any) expression {
	name, ok := argument.(string)
	if !ok {
		p.fail(at, "Ref takes a name")
		return literal{""}
	}
	return p.ref(at, "Ref", name)
}

// ref checks that the name is there to be referred to.
func (p *parser) ref(at, function, name string) expression {
	if _, ok := p.names[name]; !ok && !slices.Contains(pseudoParameters, name) {
		p.fail(at, "%s %q: the template has no such parameter or resource, and the pseudo parameters are %s", function, name,
			strings.Join(pseudoParameters, ", "))
	}
	return ref{at, name}
}

func (e ref) evaluate(s *scope) (any, error) {
	v, err := s.ref(e.name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.at, err)
	}
	return v, nil
}

func (e ref) references(yield func(string)) { yield(e.name) }

// getAtt is {"Fn::GetAtt": [id, attribute]}, or "id.attribute".
type getAtt struct{ at, id, attribute string }

func (p *parser) compileGetAtt(at string, argument any) expression {
	var id, attribute string
	ok := false
	switch argument := argument.(type) {
	case string:
		id, attribute, ok = strings.Cut(argument, ".")
	case []any:
		if len(argument) == 2 {
			id, ok = argument[0].(string)
			if ok {
				attribute, ok = argument[1].(string)
			}
		}
	}
	if !ok {
		p.fail(at, `Fn::GetAtt takes ["resource", "attribute"] or "resource.attribute"`)
		return literal{""}
	}
	return p.getAtt(at, "Fn::GetAtt", id, attribute)
}

// getAtt checks that the resource is there to be referred to. Its attributes are known only when it has been created.
func (p *parser) getAtt(at, function, id, attribute string) expression {
	if !p.names[id] {
		p.fail(at, "%s %s.%s: the template has no resource %q", function, id, attribute, id)
	}
	return getAtt{at, id, attribute}
}

func (e getAtt) evaluate(s *scope) (any, error) {
	v, err := s.attribute(e.id, e.attribute)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.at, err)
	}
	return v, nil
}

func (e getAtt) references(yield func(string)) { yield(e.id) }

// importValue is {"Fn::ImportValue": name of an export}.
type importValue struct {
	at   string
	name expression
}

func (p *parser) compileImport(at string, argument any) expression {
	return importValue{at, p.compile(at, argument)}
}

func (e importValue) evaluate(s *scope) (any, error) {
	v, err := evaluateText(s, e.at, "Fn::ImportValue", e.name)
	if err != nil {
		return nil, err
	}
	name, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%s: Fn::ImportValue: the name of an export cannot depend on a resource", e.at)
	}
	value, ok := s.exports[name]
	if !ok {
		return nil, fmt.Errorf("%s: Fn::ImportValue: no stack before this one exports %q", e.at, name)
	}
	return value, nil
}

func (e importValue) references(yield func(string)) { e.name.references(yield) }

// join is {"Fn::Join": [separator, list]}.
type join struct {
	at        string
	separator string
	list      expression
}

func (p *parser) compileJoin(at string, argument any) expression {
	arguments, _ := argument.([]any)
	if len(arguments) == 2 {
		if separator, ok := arguments[0].(string); ok {
			return join{at, separator, p.compile(at, arguments[1])}
		}
	}
	p.fail(at, "Fn::Join takes [separator, list]")
	return literal{""}
}

func (e join) evaluate(s *scope) (any, error) {
	values, known, err := evaluateList(s, e.at, "Fn::Join", e.list)
	if err != nil {
		return nil, err
	}
	if !known {
		return unknown("${…}"), nil
	}
	texts := make([]string, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case unknown:
			known = false
			texts[i] = string(v)
		default:
			text, ok := scalarText(v)
			if !ok {
				return nil, fmt.Errorf("%s: Fn::Join joins strings, not %s", e.at, kindOf(v))
			}
			texts[i] = text
		}
	}
	return textOf(strings.Join(texts, e.separator), known), nil
}

func (e join) references(yield func(string)) { e.list.references(yield) }

// selectOne is {"Fn::Select": [index, list]}.
type selectOne struct {
	at          string
	index, list expression
}

func (p *parser) compileSelect(at string, argument any) expression {
	arguments, _ := argument.([]any)
	if len(arguments) != 2 {
		p.fail(at, "Fn::Select takes [index, list]")
		return literal{""}
	}
	return selectOne{at, p.compile(at, arguments[0]), p.compile(at, arguments[1])}
}

func (e selectOne) evaluate(s *scope) (any, error) {
	v, err := evaluateText(s, e.at, "Fn::Select", e.index)
	if err != nil {
		return nil, err
	}
	values, known, err := evaluateList(s, e.at, "Fn::Select", e.list)
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok || !known {
		return unknown("${…}"), nil
	}
	index, err := strconv.Atoi(text)
	if err != nil || index < 0 || index >= len(values) {
		return nil, fmt.Errorf("%s: Fn::Select: index %s is not one of a list of %d", e.at, text, len(values))
	}
	return values[index], nil
}

func (e selectOne) references(yield func(string)) {
	e.index.references(yield)
	e.list.references(yield)
}

// split is {"Fn::Split": [separator, string]}.
type split struct {
	at        string
	separator string
	text      expression
}

func (p *parser) compileSplit(at string, argument any) expression {
	arguments, _ := argument.([]any)
	if len(arguments) == 2 {
		if separator, ok := arguments[0].(string); ok && separator != "" {
			return split{at, separator, p.compile(at, arguments[1])}
		}
	}
	p.fail(at, "Fn::Split takes [separator, string]")
	return literal{""}
}

func (e split) evaluate(s *scope) (any, error) {
	v, err := evaluateText(s, e.at, "Fn::Split", e.text)
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok {
		return v, nil
	}
	var values []any
	for part := range strings.SplitSeq(text, e.separator) {
		values = append(values, part)
	}
	return values, nil
}

func (e split) references(yield func(string)) { e.text.references(yield) }

// compileSub compiles {"Fn::Sub": text} and {"Fn::Sub": [text, {variable: value}]} into a join of the text's parts.
func (p *parser) compileSub(at string, argument any) expression {
	var variables map[string]any
	if arguments, ok := argument.([]any); ok && len(arguments) == 2 {
		if variables, ok = arguments[1].(map[string]any); ok {
			argument = arguments[0]
		}
	}
	rest, ok := argument.(string)
	if !ok {
		p.fail(at, "Fn::Sub takes a string or [string, {variable: value}]")
		return literal{""}
	}
	var parts list
	for {
		before, after, ok := strings.Cut(rest, "${")
		parts = append(parts, literal{before})
		if !ok {
			return join{at, "", parts}
		}
		name, after, ok := strings.Cut(after, "}")
		if !ok {
			p.fail(at, "Fn::Sub: ${%s is not closed", name)
			return literal{""}
		}
		rest = after
		if escaped, ok := strings.CutPrefix(name, "!"); ok {
			parts = append(parts, literal{"${" + escaped + "}"})
			continue
		}
		name = strings.TrimSpace(name)
		if v, ok := variables[name]; ok {
			parts = append(parts, p.compile(at, v))
		} else if id, attribute, ok := strings.Cut(name, "."); ok {
			parts = append(parts, p.getAtt(at, "Fn::Sub", id, attribute))
		} else {
			parts = append(parts, p.ref(at, "Fn::Sub", name))
		}
	}
}

// evaluateText evaluates an expression that must become a scalar, and returns it as string or unknown.
func evaluateText(s *scope, at, function string, e expression) (any, error) {
	v, err := e.evaluate(s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(unknown); ok {
		return u, nil
	}
	text, ok := scalarText(v)
	if !ok {
		return nil, fmt.Errorf("%s: %s takes a string here, not %s", at, function, kindOf(v))
	}
	return text, nil
}

// evaluateList evaluates an expression that must become a list; known is false for one of which nothing is known.
func evaluateList(s *scope, at, function string, e expression) (values []any, known bool, err error) {
	v, err := e.evaluate(s)
	if err != nil {
		return nil, false, err
	}
	switch v := v.(type) {
	case unknown:
		return nil, false, nil
	case []any:
		return v, true, nil
	default:
		return nil, false, fmt.Errorf("%s: %s takes a list here, not %s", at, function, kindOf(v))
	}
}

// scalarText is the text that CloudFormation makes of a string, number or boolean.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

func textOf(text string, known bool) any {
	if !known {
		return unknown(text)
	}
	return text
}

// kindOf names the kind of an evaluated value, for errors.
func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %q", v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "nothing"
	}
}
