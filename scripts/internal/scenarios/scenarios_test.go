package scenarios_test

import (
	"testing"

	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

func TestScenariosHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios.All() {
		name := s.Service + ": " + s.Name
		if s.Service == "" || s.Name == "" || seen[name] {
			t.Errorf("scenario %q has no name of its own", name)
		}
		seen[name] = true
	}
	t.Logf("%d scenarios", len(seen))
}
