// Package pipeline is the language of functions without code: documents go
// through stages, which match, shape, validate and emit them, and call Lambda
// functions on the way.
package pipeline
