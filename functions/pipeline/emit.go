package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// Emission is an event that a pipeline makes of a document.
type Emission struct {
	// ID is the event's: made anew from the same source, the event has the
	// same one (see [events.DeriveID]).
	ID   string
	Type events.Type
	// Data is the event's data, a JSON object.
	Data []byte
}

// emitStep makes an event of a document.
type emitStep struct {
	at    string
	of    events.Type
	index int // among the pipeline's emit stages of the type
	data  expression
}

func (p *parser) emit(at string, v *value) step {
	if _, ok := p.object(at, v, "event", "data"); !ok {
		return nil
	}
	s := emitStep{at: within(at, "data"), data: fieldOf{[]string{"data"}}}
	if data := v.field("data"); data != nil {
		s.data = p.expression(s.at, data)
	}
	name := p.string(at, v, "event")
	if name == "" {
		if v.field("event") == nil {
			p.fault(at, `"event" is required: a type, as savings/FEE_CHARGED`)
		}
		return s
	}
	here := within(at, "event")
	var err error
	if s.of, err = events.ParseType(name); err != nil {
		p.fault(here, "%w", err)
		return s
	}
	if !slices.Contains(p.publishes, s.of) {
		known := make([]string, len(p.publishes))
		for i, t := range p.publishes {
			known[i] = t.String()
		}
		meant := ""
		if near := schema.Nearest(name, known); len(near) > 0 {
			meant = fmt.Sprintf(": did you mean %s?", near[0])
		}
		p.fault(here, `%s is not among what the function "publishes"%s`, name, meant)
	}
	for _, t := range p.emits {
		if t == s.of {
			s.index++
		}
	}
	p.emits = append(p.emits, s.of)
	return s
}

func (s emitStep) apply(r *run) (bool, error) {
	v, err := s.data.eval(&r.scope)
	if err != nil {
		return false, err
	}
	if v.kind != object {
		return false, &evaluationError{s.at, fmt.Errorf("the data of %s must be an object, and is %s (of type %s)", s.of, v.shown(), v.typeName())}
	}
	data, err := v.json()
	if err != nil {
		return false, &evaluationError{s.at, err}
	}
	e := Emission{ID: events.DeriveID(r.source.OccurredAt, r.source.Key, s.of, s.index), Type: s.of, Data: data}
	if r.effects.Schemas != nil {
		if err := r.effects.Schemas.Validate(e.Type, e.Data); err != nil {
			if violated, ok := errors.AsType[*schema.Error](err); ok {
				return false, &evaluationError{s.at, violated}
			}
			return false, &failure{fmt.Errorf("%s: %w", s.at, err)}
		}
	}
	r.emitted = append(r.emitted, e)
	return true, nil
}
