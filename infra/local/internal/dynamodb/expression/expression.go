// Package expression is DynamoDB's expression language: conditions, key
// conditions, updates and projections.
//
// The life of an expression in a request:
//
//  1. A [Scope] is made of the request's ExpressionAttributeNames and
//     ExpressionAttributeValues: what the #placeholders and :placeholders of
//     all its expressions stand for.
//  2. The scope's methods take each expression's text. It is parsed, or found
//     in the cache of parsed texts; then its placeholders are looked up, and
//     what DynamoDB can refuse without seeing an item, it refuses.
//  3. [Scope.Unused] refuses placeholders that no expression used.
//  4. The result is evaluated, on as many items as there are. A condition then
//     cannot fail, an update can: by what the item holds.
//
// Every error is a ValidationException, in DynamoDB's words.
package expression

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

// Limits of an expression ("Quotas in Amazon DynamoDB").
const (
	maxBytes     = 4096
	maxOperators = 300
	maxOperands  = 100 // of IN, its first included
)

func invalid(format string, args ...any) error {
	return awswire.Errorf("ValidationException", format, args...)
}

// Scope is what the placeholders of one request's expressions stand for. It
// belongs to one goroutine.
type Scope struct {
	names  map[string]string
	values attribute.Map
	used   map[string]bool // placeholders of either kind
	asked  bool            // whether there was an expression
}

// NewScope makes a scope of a request's ExpressionAttributeNames and
// ExpressionAttributeValues; either is nil if the request has none.
func NewScope(names map[string]string, values attribute.Map) (*Scope, error) {
	if names != nil && len(names) == 0 {
		return nil, invalid("ExpressionAttributeNames must not be empty")
	}
	if values != nil && len(values) == 0 {
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	for key, name := range names {
		if !isPlaceholder(key, '#') {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", key)
		}
		if name == "" || len(name) > maxNameBytes {
			return nil, invalid("ExpressionAttributeNames contains invalid value for key %s: an attribute's name has 1 to %d bytes (got %d)", key, maxNameBytes, len(name))
		}
	}
	for _, field := range values {
		if !isPlaceholder(field.Name, ':') {
			return nil, invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", field.Name)
		}
	}
	return &Scope{names: names, values: values}, nil
}

// maxNameBytes is how long an attribute's name may be ("Quotas in Amazon
// DynamoDB").
const maxNameBytes = 65535

func isPlaceholder(s string, first byte) bool {
	if len(s) < 2 || s[0] != first {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isWord(s[i]) {
			return false
		}
	}
	return true
}

// Unused refuses placeholders that none of the scope's expressions used. Call
// it after all of them.
func (s *Scope) Unused() error {
	if !s.asked && s.names != nil {
		return invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if !s.asked && s.values != nil {
		return invalid("ExpressionAttributeValues can only be specified when using expressions")
	}
	if len(s.names)+len(s.values) == len(s.used) {
		return nil
	}
	unused := func(of string, placeholders []string) error {
		placeholders = slices.DeleteFunc(placeholders, func(p string) bool { return s.used[p] })
		if len(placeholders) == 0 {
			return nil
		}
		return invalid("Value provided in %s unused in expressions: keys: {%s}", of, strings.Join(placeholders, ", "))
	}
	if err := unused("ExpressionAttributeNames", slices.Sorted(maps.Keys(s.names))); err != nil {
		return err
	}
	var values []string
	for _, field := range s.values {
		values = append(values, field.Name)
	}
	return unused("ExpressionAttributeValues", values)
}

// grammar is one of the expression languages.
type grammar int

const (
	conditions grammar = iota
	updates
	projections
)

// parsed is a text's meaning, before its placeholders are looked up. It is
// shared and never changed.
type parsed struct {
	condition *node    // of a condition
	actions   []action // of an update
	paths     []path   // of a projection
	names     []string // the #placeholders, each once
	values    []string // the :placeholders, each once
}

// maxCached bounds the cache: programs have few texts and repeat them.
const maxCached = 1024

type cacheKey struct {
	grammar grammar
	text    string
}

var cache = struct {
	sync.RWMutex
	texts map[cacheKey]*parsed
}{texts: map[cacheKey]*parsed{}}

// parse returns a text's meaning, with its placeholders found in the scope.
// parameter is what the request calls the expression, e.g. FilterExpression.
func (s *Scope) parse(g grammar, parameter, text string) (*parsed, error) {
	s.asked = true
	key := cacheKey{g, text}
	cache.RLock()
	p := cache.texts[key]
	cache.RUnlock()
	if p == nil {
		var err error
		if p, err = parse(g, text); err != nil {
			return nil, refuse(parameter, err)
		}
		cache.Lock()
		if len(cache.texts) >= maxCached {
			clear(cache.texts)
		}
		cache.texts[key] = p
		cache.Unlock()
	}
	for _, placeholder := range p.names {
		if _, ok := s.names[placeholder]; !ok {
			return nil, refuse(parameter, fmt.Errorf("An expression attribute name used in the document path is not defined; attribute name: %s", placeholder))
		}
		s.use(placeholder)
	}
	for _, placeholder := range p.values {
		if s.values.Get(placeholder) == nil {
			return nil, refuse(parameter, fmt.Errorf("An expression attribute value used in expression is not defined; attribute value: %s", placeholder))
		}
		s.use(placeholder)
	}
	return p, nil
}

func (s *Scope) use(placeholder string) {
	if s.used == nil {
		s.used = map[string]bool{}
	}
	s.used[placeholder] = true
}

func refuse(parameter string, err error) error { return invalid("Invalid %s: %v", parameter, err) }

// valueOf returns the value that an operand is, if it is a placeholder.
func (s *Scope) valueOf(n *node) *attribute.Value {
	if n.kind != valueNode {
		return nil
	}
	return s.values.Get(n.text)
}
