package manifest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/pipeline"
	"github.com/penstock-dev/penstock/infra/names"
)

// ParsePipeline reads the stages of a function that has any; its error joins what
// is wrong with them. A name in Publishes that is none of an event type is left to
// Validate.
func (f *Function) ParsePipeline() (*pipeline.Pipeline, error) {
	var publishes []events.Type
	for _, name := range f.Publishes {
		if t, err := events.ParseType(name); err == nil {
			publishes = append(publishes, t)
		}
	}
	return pipeline.Parse(f.Pipeline, publishes)
}

// Call is a call that a pipeline makes: an externalFunction stage.
type Call struct {
	Path       string // of the stage, as "pipeline[1].externalFunction"
	Connection string // its name in environments.json; empty: the function's own role
	Function   string // as the stage names it: a name or an ARN, maybe of a version or an alias

	// Sibling is the function of the same project that is meant; empty: a function
	// of Lambda is meant. One without a connection means the project's, if the
	// project has a function of that name.
	Sibling string
}

// loadCalls fills in Calls, once all functions of the project are known.
func (f *Function) loadCalls(project []Function) error {
	if f.Kind() != KindPipeline {
		return nil
	}
	p, err := f.ParsePipeline()
	if err != nil {
		return err
	}
	for _, e := range p.Externals() {
		call := Call{Path: e.Path, Connection: e.Connection, Function: e.Function}
		if e.Connection == "" && slices.ContainsFunc(project, func(other Function) bool { return other.Name == e.Function }) {
			call.Sibling = e.Function
		}
		f.Calls = append(f.Calls, call)
	}
	return nil
}

// siblings is the value of names.VarFunctions: the functions of the project that
// the pipeline calls, as they are called on Lambda; empty if there are none.
func (f *Function) siblings(n names.Names) string {
	functions := map[string]string{}
	for _, c := range f.Calls {
		if c.Sibling != "" {
			functions[c.Sibling] = n.Function(c.Sibling)
		}
	}
	return jsonOf(functions)
}

// ConnectionsVariable is the value of names.VarConnections: the connections of an
// environment that the pipeline calls by; empty if it does by none.
func (f *Function) ConnectionsVariable(env Environment) string {
	used := map[string]Connection{}
	for _, c := range f.Calls {
		if c.Connection != "" {
			used[c.Connection] = env.Connections[c.Connection]
		}
	}
	return jsonOf(used)
}

func jsonOf[V any](m map[string]V) string {
	if len(m) == 0 {
		return ""
	}
	data, err := json.Marshal(m) // sorted by name
	if err != nil {
		panic(err) // strings are JSON
	}
	return string(data)
}

// checkConnections returns a fault for each connection of the function's calls
// that the environment does not have.
func (f *Function) checkConnections(env Environment) []error {
	var faults []error
	for _, c := range f.Calls {
		if _, ok := env.Connections[c.Connection]; !ok && c.Connection != "" {
			faults = append(faults, fmt.Errorf("function %q: %s.connectionName: environment %q has no connection %q in %s: add it there, as \"connections\": {%q: {\"roleArn\": …}}",
				f.Name, c.Path, env.Name, c.Connection, EnvironmentsFile, c.Connection))
		}
	}
	return faults
}
