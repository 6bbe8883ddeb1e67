package eventbridge

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// busPolicy is a bus's policy: its statements by their ids, and what they make
// together.
type busPolicy struct {
	statements map[string]json.RawMessage
	policy     *policy.Policy
}

// EnsureStatement adds a statement to a bus's policy, or replaces the one of the
// same id. It holds until the service is closed.
func (s *Service) EnsureStatement(bus, id string, statement json.RawMessage) error {
	return s.changePolicy(bus, func(statements map[string]json.RawMessage) { statements[id] = statement })
}

// DeleteStatement removes a statement from a bus's policy. One that does not exist
// is not an error.
func (s *Service) DeleteStatement(bus, id string) error {
	return s.changePolicy(bus, func(statements map[string]json.RawMessage) { delete(statements, id) })
}

func (s *Service) changePolicy(bus string, edit func(map[string]json.RawMessage)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := busPolicy{statements: map[string]json.RawMessage{}}
	maps.Copy(changed.statements, s.policies[bus].statements)
	edit(changed.statements)
	document := struct {
		Version   string
		Statement []json.RawMessage
	}{Version: "2012-10-17"}
	for _, id := range slices.Sorted(maps.Keys(changed.statements)) {
		document.Statement = append(document.Statement, changed.statements[id])
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	if changed.policy, err = policy.Parse(text); err != nil {
		return fmt.Errorf("bus %s: %w", bus, err)
	}
	s.policies[bus] = changed
	return nil
}

// policyOf is the policy of a bus; nil if it has none.
func (s *Service) policyOf(bus string) *policy.Policy {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.policies[bus].policy
}
