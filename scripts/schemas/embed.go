package schemas

const embedFile = "schemas.go"

// embedded writes the package that holds schemas and samples in a program.
func embedded(b *bus) []byte {
	directive := "//\n//go:embed */*" + schemaSuffix + " */*" + sampleSuffix + "\n"
	if len(b.sources) == 0 { // which matches nothing, an error
		directive = ""
	}
	return []byte(generatedLine + `
// Package schemas holds the JSON Schemas and samples of the project's event
// types, for programs that validate events when they run:
//
//	types, err := schema.Load(schemas.FS)
package schemas

import "embed"

// FS is this folder: <source>/<NAME>` + schemaSuffix + ` and ` + sampleSuffix + `.
` + directive + `var FS embed.FS
`)
}
