package iam

import (
	"net/http"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// assumeRole is the one action that a resource's policy must allow, too.
const assumeRole = "sts:AssumeRole"

// Authorize implements [awswire.Principal].
func (p *principal) Authorize(a awswire.Access) error {
	v := p.decide(a)
	if v.allowed {
		return nil
	}
	err := p.denial(a, v)
	if p.iam.cfg.Mode == Warn {
		if _, again := p.iam.warned.LoadOrStore(err.Message, true); !again {
			p.iam.cfg.Logger.Warn("a call that AWS would refuse", "denial", err.Message)
		}
		return nil
	}
	return err
}

// verdict is what is decided about a request.
type verdict struct {
	allowed  bool
	deniedBy string   // the kind of the policy that denies it, with its article; empty: none does
	unmet    []string // the condition keys that kept a statement from allowing it
}

func (p *principal) decide(a awswire.Access) verdict {
	keys := policy.Keys(func(key string) []string { return p.values(a, key) })
	var m *matched // nil: everything is allowed
	if p.role != nil {
		m = p.role.grants.Load().match(a.Action, a.Resource)
		if slices.ContainsFunc(m.denies, func(s *policy.Statement) bool { return s.Holds(keys) }) {
			return verdict{deniedBy: "an identity-based"}
		}
	}
	says := policy.Silent
	if a.Policy != nil {
		says = a.Policy.Decide(policy.Request{ARNs: p.arns, Account: p.iam.cfg.Account, Action: a.Action, Resource: a.Resource, Keys: keys})
	}
	if says == policy.Denied {
		return verdict{deniedBy: "a resource-based"}
	}
	allowed, unmet := m.allows(p.iam, keys)
	if a.Action == assumeRole {
		allowed = allowed && says == policy.Delegated
	}
	return verdict{allowed: allowed || says == policy.Allowed, unmet: unmet}
}

// values returns the request's values of a condition key.
func (p *principal) values(a awswire.Access, key string) []string {
	switch key {
	case "aws:securetransport":
		return []string{"true"} // loopback counts as such
	case "aws:principalarn":
		return p.arns[len(p.arns)-1:] // of a session, the role's
	case "aws:principalaccount":
		return []string{p.iam.cfg.Account}
	}
	if a.Keys == nil {
		return nil
	}
	return a.Keys(key)
}

// forbidden are the services that answer a denial with status 403; the others do
// with 400.
var forbidden = []string{"sqs", "sns", "sts", "cloudformation", "cloudwatch", "lambda"}

// denial is how AWS words that a request is not allowed ("Troubleshoot access
// denied error messages"). SQS writes its actions in lower case.
func (p *principal) denial(a awswire.Access, v verdict) *awswire.Error {
	service, _, _ := strings.Cut(a.Action, ":")
	action := a.Action
	if service == "sqs" {
		action = strings.ToLower(action)
	}
	text := "User: " + p.arns[0] + " is not authorized to perform: " + action + " on resource: " + a.Resource
	switch {
	case v.deniedBy != "":
		text += " with an explicit deny in " + v.deniedBy + " policy"
	case a.Action != assumeRole:
		text += " because no identity-based policy allows the " + action + " action"
	}
	e := &awswire.Error{Code: "AccessDeniedException", QueryCode: "AccessDenied", Message: text, Unmet: v.unmet}
	if slices.Contains(forbidden, service) {
		e.Status = http.StatusForbidden
	}
	return e
}
