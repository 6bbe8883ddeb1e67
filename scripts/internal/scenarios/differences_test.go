package scenarios_test

import (
	"strings"

	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

// difference is where moto answers otherwise than the local environment, and
// why the local environment is left as it is.
type difference struct {
	service, scenario string
	// path is the step or place in the transcript; all below it differs.
	path string
	// why says what moto does, and what AWS's documentation says.
	why string
	// judge is the title of the page of AWS's documentation.
	judge string
}

// of says whether it is the difference at a path of a scenario.
func (d difference) of(s scenarios.Scenario, path string) bool {
	if d.service != s.Service || d.scenario != s.Name {
		return false
	}
	rest, ok := strings.CutPrefix(path, d.path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

var differences = []difference{}
