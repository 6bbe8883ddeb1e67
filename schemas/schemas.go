// Code generated from the event types by go generate; DO NOT EDIT.

// Package schemas holds the JSON Schemas and samples of the project's event
// types, for programs that validate events when they run:
//
//	types, err := schema.Load(schemas.FS)
package schemas

import "embed"

// FS is this folder: <source>/<NAME>.schema.json and .sample.json.
//
//go:embed */*.schema.json */*.sample.json
var FS embed.FS
