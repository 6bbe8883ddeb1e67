package pipeline

import (
	"fmt"

	"github.com/penstock-dev/penstock/events/schema"
)

// validateStep lets documents pass that satisfy a JSON Schema.
type validateStep struct {
	at     string
	schema *schema.Schema
	dlq    bool
}

func (p *parser) validate(at string, v *value) step {
	if _, ok := p.object(at, v, "validator", "validationAction"); !ok {
		return nil
	}
	s := validateStep{at: at, dlq: p.string(at, v, "validationAction", "discard", "dlq") == "dlq"}
	validator := v.field("validator")
	if validator == nil {
		p.fault(at, `"validator" is required: {"$jsonSchema": {…}}`)
		return nil
	}
	here := within(at, "validator")
	definition := validator.field("$jsonSchema")
	if definition == nil || definition.kind != object || len(validator.open().fields) != 1 {
		p.fault(here, `must be {"$jsonSchema": {…}} (comparing fields is for a match)`)
		return nil
	}
	here = within(here, "$jsonSchema")
	var err error
	if s.schema, err = schema.Compile(definition.appendJSON(nil)); err != nil {
		p.fault(here, "%w", err)
		return nil
	}
	return s
}

func (s validateStep) apply(r *run) (bool, error) {
	document, err := r.document.json()
	if err != nil {
		return false, err
	}
	err = s.schema.Validate(document)
	if err == nil || !s.dlq {
		return err == nil, nil
	}
	return false, &evaluationError{s.at, fmt.Errorf("the document violates the schema: %w", err)}
}
