package schema

import _ "embed"

// metadata is the JSON Schema of [events.Metadata], generated from it.
//
//go:embed metadata.schema.json
var metadata []byte

// Metadata returns the JSON Schema of what every event carries besides its
// data, [events.Metadata].
func Metadata() []byte { return append([]byte(nil), metadata...) }
