package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/events"
)

// Pipeline is a list of stages, checked and ready to run. It is immutable, and
// safe for concurrent use. Only [Parse] makes one.
type Pipeline struct {
	stages []stage
	emits  []events.Type
}

// stage is one step of a pipeline.
type stage struct {
	name string // without a $
	at   string // pipeline[2].addFields
	step step   // nil for one that calls a function
	call *External
}

// step changes a document, or lets go of it.
type step interface {
	apply(*run) (passes bool, err error)
}

// stageNames are all stages that there are.
var stageNames = []string{"match", "project", "addFields", "set", "unset", "replaceRoot", "externalFunction", "validate", "emit"}

// payloadStages are those that the payload of an externalFunction may have.
var payloadStages = []string{"project", "addFields", "set", "replaceRoot"}

// Parse reads the stages of a pipeline, one JSON array. It checks all of them:
// the error joins a fault for everything that is wrong, each with its path, as
// in
//
//	pipeline[2].addFields.total.$sun: unknown operator "$sun": did you mean $sum? (there are …)
//
// An emit stage may publish the types that are given, which are those that the
// manifest lists as "publishes".
func Parse(stages []byte, publishes []events.Type) (*Pipeline, error) {
	v, err := readValue(slices.Clone(stages))
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	p := &parser{publishes: publishes}
	list := p.stages("pipeline", &v, stageNames)
	if err := p.err(); err != nil {
		return nil, err
	}
	return &Pipeline{stages: list, emits: p.emits}, nil
}

// Externals returns the externalFunction stages, in their order.
func (p *Pipeline) Externals() []External {
	var list []External
	for _, s := range p.stages {
		if s.call != nil {
			list = append(list, *s.call)
		}
	}
	return list
}

// Emits returns the event types that emit stages publish, each once, sorted.
func (p *Pipeline) Emits() []events.Type {
	types := slices.Clone(p.emits)
	slices.SortFunc(types, func(a, b events.Type) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(types)
}

// stages parses a list of stages, of those that are allowed.
func (p *parser) stages(at string, v *value, allowed []string) []stage {
	if v.kind != array || len(v.open().items) == 0 {
		p.fault(at, "must be an array of at least one stage")
		return nil
	}
	items := v.open().items
	var list []stage
	for i := range items {
		here := index(at, i)
		if items[i].kind != object || len(items[i].open().fields) != 1 {
			p.fault(here, "must be an object with one field, the stage's name, not %s", kindOf(&items[i]))
			continue
		}
		f := &items[i].open().fields[0]
		name := strings.TrimPrefix(f.name, "$")
		switch {
		case slices.Contains(allowed, name):
			s := stage{name: name, at: within(here, name)}
			p.stage(&s, &f.value, i == len(items)-1)
			list = append(list, s)
		case slices.Contains(stageNames, name):
			p.fault(here, "the stage %q is not allowed here: only %s", name, strings.Join(allowed, ", "))
		default:
			p.unknown(here, "stage", f.name, allowed)
		}
	}
	return list
}

// stage parses what belongs to a stage's name.
func (p *parser) stage(s *stage, v *value, last bool) {
	switch s.name {
	case "match":
		s.step = matchStep{p.query(s.at, v)}
	case "project":
		s.step = branchStep{p.project(s.at, v)}
	case "addFields", "set":
		s.step = branchStep{p.addFields(s.at, v)}
	case "unset":
		s.step = branchStep{p.unset(s.at, v)}
	case "replaceRoot":
		s.step = p.replaceRoot(s.at, v)
	case "externalFunction":
		s.call = p.external(s.at, v, last)
	case "validate":
		s.step = p.validate(s.at, v)
	case "emit":
		s.step = p.emit(s.at, v)
	}
}

// matchStep lets documents pass for which a query holds.
type matchStep struct{ query query }

func (m matchStep) apply(r *run) (bool, error) { return m.query.holds(&r.scope) }

// branchStep changes fields.
type branchStep struct{ branch *branch }

func (b branchStep) apply(r *run) (bool, error) {
	v, err := b.branch.apply(&r.scope, r.document)
	if err == nil {
		r.document = v
	}
	return true, err
}

// replaceRootStep makes another document of an expression.
type replaceRootStep struct {
	at      string
	newRoot expression
}

func (p *parser) replaceRoot(at string, v *value) step {
	if _, ok := p.object(at, v, "newRoot"); !ok {
		return nil
	}
	root := v.field("newRoot")
	if root == nil {
		p.fault(at, `"newRoot" is required`)
		return nil
	}
	here := within(at, "newRoot")
	faults := len(p.faults)
	e := p.expression(here, root)
	if c, ok := e.(constant); ok && c.value.kind != object && len(p.faults) == faults {
		p.fault(here, "must be an expression for an object, not %s", kindOf(&c.value))
	}
	return replaceRootStep{here, e}
}

func (s replaceRootStep) apply(r *run) (bool, error) {
	v, err := s.newRoot.eval(&r.scope)
	if err != nil {
		return false, err
	}
	if v.kind != object {
		return false, &evaluationError{s.at, fmt.Errorf("must be an object, and is %s (of type %s)", v.shown(), v.typeName())}
	}
	r.document = v
	return true, nil
}
