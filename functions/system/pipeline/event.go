package main

import "github.com/penstock-dev/penstock/events"

// raw is an event that is known by its type's name and its JSON alone.
type raw struct {
	of   events.Type
	code int
	data []byte
}

var _ events.Coded = raw{}

// EventType implements [events.Event].
func (r raw) EventType() events.Type { return r.of }

// EventCode implements [events.Coded].
func (r raw) EventCode() int { return r.code }

// Schema implements [events.Event].
func (r raw) Schema() events.Event { return r }

// MarshalJSON returns the data.
func (r raw) MarshalJSON() ([]byte, error) { return r.data, nil }
