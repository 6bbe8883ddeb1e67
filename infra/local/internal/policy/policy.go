// Package policy reads IAM policy documents and says what they allow.
//
// It knows the elements, the condition operators and the condition keys that
// the templates and packages of Penstock use; any other is an error when the
// policy is parsed, so that nothing is allowed or denied by what was not
// understood.
//
// A policy is either an identity's ([ParseIdentity]: what a role may do) or a
// resource's ([Parse]: who may do what with a queue, or assume a role). How the
// two come together is package iam's business.
package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Policy is a parsed policy document. It is never changed, and safe for
// concurrent use.
type Policy struct {
	statements []*Statement
}

// Statements returns the statements in the order of the document. They are not
// to be changed.
func (p *Policy) Statements() []*Statement { return p.statements }

// Statement is one statement of a policy.
type Statement struct {
	Sid       string // its own id; empty if it has none
	Deny      bool   // else it allows
	Actions   []string
	Resources []string // empty: what the policy is attached to

	principals principals
	conditions []condition
}

// Request is what a policy is asked about. Who asks is either a service or a
// principal of an account.
type Request struct {
	Service string   // the service principal that asks, e.g. events.amazonaws.com
	ARNs    []string // the ARNs of the principal: of a role's session, the session's and the role's
	Account string   // the account of the ARNs

	Action   string // e.g. sqs:SendMessage
	Resource string // the ARN; "*" if the action has no resource
	Keys     Keys
}

// Keys returns the request's values of a condition key, which is given in lower
// case, e.g. aws:sourcearn; none if the request lacks it. A nil Keys has none.
type Keys func(key string) []string

// ServiceKeys are the keys of a request that a service makes on behalf of a
// resource, by secure transport.
func ServiceKeys(sourceARN, sourceAccount string) Keys {
	return func(key string) []string {
		switch key {
		case "aws:sourcearn":
			return []string{sourceARN}
		case "aws:sourceaccount":
			return []string{sourceAccount}
		case "aws:securetransport":
			return []string{"true"}
		}
		return nil
	}
}

func (k Keys) of(key string) []string {
	if k == nil {
		return nil
	}
	return k(key)
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

// Parse reads a policy document of a resource.
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
	// "IAM policy elements: Variables and tags": documents of the older version
	// have none.
	variables := doc.Version == "2012-10-17"
	p := &Policy{}
	for i, s := range doc.Statement {
		where := fmt.Sprintf("policy statement %d", i+1)
		if s.Sid != "" {
			where = fmt.Sprintf("policy statement %q", s.Sid)
		}
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("%s: Effect: want Allow or Deny (got %q)", where, s.Effect)
		}
		parsed := &Statement{Sid: s.Sid, Deny: s.Effect == "Deny", Actions: s.Action, Resources: s.Resource}
		var err error
		if parsed.principals, err = parsePrincipals(s.Principal); err != nil {
			return nil, fmt.Errorf("%s: Principal: %w", where, err)
		}
		texts := slices.Clone(s.Resource)
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
				c, err := parseCondition(operator, key, s.Condition[operator][key])
				if err != nil {
					return nil, fmt.Errorf("%s: %w", where, err)
				}
				parsed.conditions = append(parsed.conditions, c)
				texts = append(texts, c.values...)
			}
		}
		for _, text := range texts {
			if variables && variable.MatchString(text) {
				return nil, fmt.Errorf("%s: policy variables are not supported by the local environment (%s)", where, text)
			}
		}
		p.statements = append(p.statements, parsed)
	}
	return p, nil
}

// variable finds a policy variable. Its key has a prefix ("IAM policy elements:
// Variables and tags"), so that what stands for the value of a resource that is
// yet to be created is none.
var variable = regexp.MustCompile(`\$\{([A-Za-z0-9-]+:|[*?$]\})`)

// ParseIdentity reads a policy document of a role: its statements name actions
// and resources, and no principal.
func ParseIdentity(document []byte) (*Policy, error) {
	p, err := Parse(document)
	if err != nil {
		return nil, err
	}
	for i, s := range p.statements {
		switch {
		case len(s.Actions) == 0:
			return nil, fmt.Errorf("policy statement %d: it has no Action", i+1)
		case len(s.Resources) == 0:
			return nil, fmt.Errorf("policy statement %d: it has no Resource", i+1)
		case !s.principals.none:
			return nil, fmt.Errorf("policy statement %d: a policy of a role has no Principal", i+1)
		}
	}
	return p, nil
}

// Decision is what a resource's policy says to a request.
type Decision int

const (
	// Silent means that no statement is about the request.
	Silent Decision = iota
	// Delegated means that the policy leaves it to the account: its policies of
	// identities decide ("Principal": the account's ARN, or its number).
	Delegated
	// Allowed means that the policy allows it by itself.
	Allowed
	// Denied means that a statement denies it, whatever others allow.
	Denied
)

// Decide says what a resource's policy has to say to the request. A nil policy
// is silent.
func (p *Policy) Decide(r Request) Decision {
	if p == nil {
		return Silent
	}
	out := Silent
	for _, s := range p.statements {
		named := s.principals.include(r)
		if named == Silent || !s.Covers(r.Action, r.Resource) || !s.Holds(r.Keys) {
			continue
		}
		if s.Deny {
			return Denied
		}
		out = max(out, named)
	}
	return out
}

// Allows reports whether the policy by itself allows the request.
func (p *Policy) Allows(r Request) bool { return p.Decide(r) == Allowed }

// Covers reports whether the statement is about an action and a resource.
// Actions are compared without regard to case.
func (s *Statement) Covers(action, resource string) bool {
	return slices.ContainsFunc(s.Actions, func(pattern string) bool { return MatchAction(pattern, action) }) &&
		(len(s.Resources) == 0 || slices.ContainsFunc(s.Resources, func(pattern string) bool { return Like(pattern, resource) }))
}

// Conditions are the statement's conditions for people, each like
// "StringEquals events:source savings, trading".
func (s *Statement) Conditions() []string {
	var out []string
	for _, c := range s.conditions {
		out = append(out, c.operator+" "+c.key+" "+strings.Join(c.values, ", "))
	}
	return out
}

// Holds reports whether all conditions of the statement hold.
func (s *Statement) Holds(keys Keys) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(keys) {
			return false
		}
	}
	return true
}

// Failing returns the keys of the conditions that do not hold, in lower case.
func (s *Statement) Failing(keys Keys) []string {
	var out []string
	for i := range s.conditions {
		if c := &s.conditions[i]; !c.holds(keys) {
			out = append(out, c.key)
		}
	}
	return out
}
