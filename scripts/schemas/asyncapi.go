package schemas

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/invopop/jsonschema"
)

const asyncapiFile = "asyncapi.yaml"

// asyncAPI describes the bus with the names of AsyncAPI 3.0: one channel, which
// is the bus; a message for each event type; an operation for each function
// that publishes and for each subscription.
func asyncAPI(b *bus) ([]byte, error) {
	messages, definitions := mapping(), mapping()
	onChannel := mapping()
	metadata, err := b.payload("", b.metadata)
	if err != nil {
		return nil, err
	}
	set(definitions, "Metadata", metadata)
	for _, m := range b.sources {
		for _, e := range m.types {
			data, err := b.payload(m.name, e.schema)
			if err != nil {
				return nil, err
			}
			key := messageKey(e.Type.String())
			set(definitions, definitionKey(m.name, e.name), data)
			set(onChannel, key, reference("#/components/messages/"+key))
			set(messages, key, message(e))
		}
		for _, name := range slices.Sorted(maps.Keys(m.definitions)) {
			key := definitionKey(m.name, name)
			if has(definitions, key) {
				continue // an event type that another has within it
			}
			one, err := b.payload(m.name, m.definitions[name])
			if err != nil {
				return nil, err
			}
			set(definitions, key, one)
		}
	}
	channel := mapping()
	set(channel, "address", "{app}-{environment}")
	set(channel, "title", "The bus")
	set(channel, "description", "An EventBridge bus. Delivery is at least once and in no order: deduplicate by metadata.id, compare metadata.occurredAt.")
	set(channel, "messages", onChannel)
	set(channel, "parameters", mapping(
		"app", mapping("description", "The application's name.", "examples", list("penstock")),
		"environment", mapping("description", "One deployment.", "examples", list("dev", "prod")),
	))
	document := mapping(
		"asyncapi", "3.0.0",
		"info", mapping(
			"title", "Events on the bus",
			"version", "1.0.0",
			"description", "Generated from the event types by go generate. A breaking change is a new type, whose name ends in .v2; a new field is none.",
		),
		"defaultContentType", "application/json",
		"channels", mapping("bus", channel),
		"operations", operations(b),
		"components", mapping("messages", messages, "schemas", definitions),
	)
	var out bytes.Buffer
	out.WriteString(strings.Replace(generatedLine, "//", "#", 1))
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// message is an event type. Its source and detail-type, by which EventBridge
// routes it, are headers; the payload is the detail.
func message(e *described) *yaml.Node {
	constant := func(value string) *yaml.Node { return mapping("type", "string", "const", value) }
	m := mapping("name", e.Type.Name, "title", e.Type.String())
	if e.schema.Description != "" {
		set(m, "summary", firstParagraph(e.schema.Description))
	}
	if e.Code != 0 {
		set(m, codeKeyword, e.Code)
	}
	set(m, "contentType", "application/json")
	set(m, "correlationId", mapping("location", "$message.payload#/metadata/correlationId"))
	set(m, "headers", mapping(
		"type", "object",
		"properties", mapping("source", constant(e.Type.Source), "detail-type", constant(e.Type.Name)),
		"required", list("source", "detail-type"),
	))
	set(m, "payload", mapping(
		"type", "object",
		"properties", mapping(
			"metadata", reference("#/components/schemas/Metadata"),
			"data", reference("#/components/schemas/"+definitionKey(e.Type.Source, e.name)),
		),
		"required", list("metadata", "data"),
	))
	return m
}

// operations are what functions do with the bus.
func operations(b *bus) *yaml.Node {
	onChannel := func(types ...string) *yaml.Node {
		refs := list()
		for _, t := range types {
			refs.Content = append(refs.Content, reference("#/channels/bus/messages/"+messageKey(t)))
		}
		return refs
	}
	known := func(t string) bool {
		return slices.ContainsFunc(b.sources, func(m *module) bool {
			return slices.ContainsFunc(m.types, func(e *described) bool { return e.Type.String() == t })
		})
	}
	all := mapping()
	for _, f := range b.functions {
		publishes := slices.DeleteFunc(slices.Clone(f.Publishes), func(t string) bool { return !known(t) })
		if len(publishes) > 0 {
			set(all, f.Name, mapping(
				"action", "send",
				"channel", reference("#/channels/bus"),
				"title", f.Name+" publishes",
				"messages", onChannel(publishes...),
			))
		}
		for _, s := range f.Subscriptions {
			if !known(s.Event) {
				continue
			}
			one := mapping(
				"action", "receive",
				"channel", reference("#/channels/bus"),
				"title", f.Name+" receives "+s.Event,
			)
			if s.Filter != nil {
				set(one, "description", "Only those that match the filter "+string(s.Filter))
			}
			set(one, "messages", onChannel(s.Event))
			set(all, f.Name+"."+s.Name, one)
		}
	}
	return all
}

// payload is a schema as AsyncAPI's own dialect has it, which is draft 7 with
// references to components.
func (b *bus) payload(source string, s *jsonschema.Schema) (*yaml.Node, error) {
	bare := *s
	bare.Version, bare.Definitions = "", nil
	if bare.Extras[codeKeyword] != nil {
		bare.Extras = nil // the message has it
	}
	text, err := encodeSchema(&bare)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	node := document.Content[0]
	plain(node)
	refer(node, source)
	return node, nil
}

// refer makes references to definitions references to components. Examples hold
// none: a field named $ref is one of data.
func refer(n *yaml.Node, source string) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			value := n.Content[i+1]
			name, ok := strings.CutPrefix(value.Value, definitionsReference)
			if child.Value == "$ref" && value.Kind == yaml.ScalarNode && ok {
				value.Value = "#/components/schemas/" + definitionKey(source, name)
			}
			continue
		}
		if n.Kind == yaml.MappingNode && n.Content[i-1].Value == "examples" {
			continue
		}
		refer(child, source)
	}
}

var unsafeKey = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// messageKey is an event type as a key of components.
func messageKey(t string) string { return strings.Replace(t, "/", ".", 1) }

// definitionKey is a definition of a source's events as a key of components.
func definitionKey(source, name string) string {
	return source + "." + unsafeKey.ReplaceAllStringFunc(name, func(s string) string { return fmt.Sprintf("%x", s) })
}
