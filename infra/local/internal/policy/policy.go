// Package policy reads IAM policy documents and says what they allow.
//
// It knows the elements and the condition operators that the templates and
// packages of Penstock use; any other is an error when the policy is parsed,
// so that nothing is allowed or denied by an element that was not understood.
package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Policy is a parsed policy document. It is safe for concurrent use.
type Policy struct {
	statements []statement
}

type statement struct {
	deny       bool
	principals principals
	actions    []string
	resources  []string
	conditions []condition
}

// principals are the AWS and service principals of a resource policy; any is
// the principal "*".
type principals struct {
	any      bool
	aws      []string
	services []string
}

type condition struct {
	operator string
	key      string
	values   []string
}

// Request is what a policy is asked about. Context holds the condition keys of
// the request, in lower case, e.g. aws:sourcearn.
type Request struct {
	// Service is the service principal that asks, e.g. events.amazonaws.com;
	// empty for a principal of the account, named by AWS.
	Service  string
	AWS      string // the ARN of the role or user that asks
	Action   string // e.g. sqs:SendMessage
	Resource string // the ARN
	Context  map[string][]string
}

// oneOrMany is a JSON value that is a text or a list of texts.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return fmt.Errorf("want a text or a list of texts, got %s", data)
	}
	*o = many
	return nil
}

// Parse reads a policy document.
func Parse(document []byte) (*Policy, error) {
	var doc struct {
		Version   string
		ID        string `json:"Id"`
		Statement []struct {
			Sid       string
			Effect    string
			Principal json.RawMessage
			Action    oneOrMany
			Resource  oneOrMany
			Condition map[string]map[string]oneOrMany
		}
	}
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		return nil, fmt.Errorf("policy document: %w", err)
	}
	p := &Policy{}
	for i, s := range doc.Statement {
		where := fmt.Sprintf("policy statement %d", i+1)
		if s.Sid != "" {
			where = fmt.Sprintf("policy statement %q", s.Sid)
		}
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("%s: Effect: want Allow or Deny (got %q)", where, s.Effect)
		}
		parsed := statement{deny: s.Effect == "Deny", actions: s.Action, resources: s.Resource}
		var err error
		if parsed.principals, err = parsePrincipals(s.Principal); err != nil {
			return nil, fmt.Errorf("%s: Principal: %w", where, err)
		}
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			if _, known := operators[operator]; !known {
				return nil, fmt.Errorf("%s: condition operator %s is not supported by the local environment", where, operator)
			}
			for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
				parsed.conditions = append(parsed.conditions, condition{operator, strings.ToLower(key), s.Condition[operator][key]})
			}
		}
		p.statements = append(p.statements, parsed)
	}
	return p, nil
}

func parsePrincipals(data json.RawMessage) (principals, error) {
	if len(data) == 0 {
		return principals{any: true}, nil // an identity policy has none
	}
	if string(data) == `"*"` {
		return principals{any: true}, nil
	}
	var kinds map[string]oneOrMany
	if err := json.Unmarshal(data, &kinds); err != nil {
		return principals{}, err
	}
	var p principals
	for kind, names := range kinds {
		switch kind {
		case "AWS":
			p.aws = names
			p.any = p.any || slices.Contains(names, "*")
		case "Service":
			p.services = names
		default:
			return principals{}, fmt.Errorf("kind %s is not supported by the local environment", kind)
		}
	}
	return p, nil
}

// Allows reports whether a statement allows the request and none denies it.
func (p *Policy) Allows(r Request) bool {
	allowed := false
	for _, s := range p.statements {
		if !s.applies(r) {
			continue
		}
		if s.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) applies(r Request) bool {
	return s.principals.include(r) &&
		slices.ContainsFunc(s.actions, func(a string) bool { return like(strings.ToLower(a), strings.ToLower(r.Action)) }) &&
		slices.ContainsFunc(s.resources, func(pattern string) bool { return like(pattern, r.Resource) }) &&
		!slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(r.Context[c.key]) })
}

func (p principals) include(r Request) bool {
	if p.any {
		return true
	}
	if r.Service != "" {
		return slices.Contains(p.services, r.Service)
	}
	return slices.Contains(p.aws, r.AWS)
}
