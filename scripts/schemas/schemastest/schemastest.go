// Package schemastest holds a project to its event types: every one is in the
// catalogue, has a whole sample, and a schema that is current. A project has
// one test of it, beside its catalogue:
//
//	func TestEventTypes(t *testing.T) { schemastest.Check(t, catalogue.All) }
package schemastest

import (
	"fmt"
	"go/token"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/project"
	"github.com/penstock-dev/penstock/scripts/schemas"
)

// Check fails the test for each mistake in the event types of the project that
// the test's working directory is in, and names what mends it:
//
//   - a type that implements [events.Event] and is not in the catalogue
//   - one with pointer receivers, or that is no struct
//   - an EventType (or EventCode) that is not constant
//   - a sample with a field that has no value, that its own schema does not
//     allow, or that does not come back from JSON as it was
//   - a file under schemas/ that is not as the types say
//
// Types are found in the source of the packages that the patterns match, which
// are those of the go command, seen from the project's root; "./..." if there are
// none. Tests, and packages whose names end in "test", as this one's does, may
// have types of their own.
func Check(t testing.TB, c *events.Catalogue, patterns ...string) {
	t.Helper()
	root, err := project.Root()
	if err != nil {
		t.Fatal(err)
	}
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	faults, err := check(root, c, patterns)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

func check(root string, c *events.Catalogue, patterns []string) (faults []string, err error) {
	declared, faults, err := find(root, patterns)
	if err != nil {
		return nil, err
	}
	faults = append(faults, missing(declared, c)...)

	project := os.DirFS(root)
	types, err := schema.LoadProject(project)
	if err != nil {
		return nil, err
	}
	stale, err := schemas.Stale(project, c)
	switch {
	case err != nil:
		faults = append(faults, "the schemas cannot be made: "+err.Error())
	case len(stale) > 0:
		faults = append(faults, fmt.Sprintf("`%s` has not been run since the event types were changed: it mends %s", schemas.Command, strings.Join(stale, ", ")))
	}
	for d := range c.All() {
		current := types
		if err != nil || slices.Contains(stale, path.Join(schema.Dir, schema.File(d.Type))) {
			current = nil // a schema that is stale says nothing of the sample
		}
		faults = append(faults, sampleFaults(d, current)...)
	}
	return faults, nil
}

// missing names the declared types that are not in the catalogue.
func missing(declared []declaration, c *events.Catalogue) []string {
	described := map[string]bool{} // by Go type
	for d := range c.All() {
		described[goType(reflect.TypeOf(d.Sample))] = true
	}
	var faults []string
	for _, d := range declared {
		switch {
		case described[d.path+"."+d.name]:
		case !token.IsExported(d.name):
			faults = append(faults, d.fault("is an event type that no catalogue can have: export it"))
		default:
			faults = append(faults, d.fault("is an event type that is not in the catalogue: add events.Describe[%s.%s]() to it", d.pkg, d.name))
		}
	}
	return faults
}
