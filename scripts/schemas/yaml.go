package schemas

import (
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// mapping makes a YAML mapping of names and values in turn. A value is a string,
// an int or a node.
func mapping(namesAndValues ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i < len(namesAndValues); i += 2 {
		set(n, namesAndValues[i].(string), namesAndValues[i+1])
	}
	return n
}

// list makes a YAML sequence.
func list(values ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, value := range values {
		n.Content = append(n.Content, node(value))
	}
	return n
}

// set adds a member to a mapping.
func set(n *yaml.Node, name string, value any) {
	n.Content = append(n.Content, node(name), node(value))
}

// has reports whether a mapping has a member.
func has(n *yaml.Node, name string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return true
		}
	}
	return false
}

func node(value any) *yaml.Node {
	switch value := value.(type) {
	case *yaml.Node:
		return value
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(value)}
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value.(string), Style: yaml.DoubleQuotedStyle}
	plain(n)
	return n
}

func reference(to string) *yaml.Node { return mapping("$ref", to) }

// unsafePlain are strings that some YAML reader takes for something else when
// they have no quotes: YAML 1.1 has more booleans and numbers than 1.2.
var unsafePlain = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|~|)$|^[-+.0-9]`)

// plain drops JSON's brackets and quotes.
func plain(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || !unsafePlain.MatchString(n.Value) {
		n.Style = 0
	}
	for _, child := range n.Content {
		plain(child)
	}
}
