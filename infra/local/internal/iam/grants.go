package iam

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Grant is one action on one resource that a statement allows a role, as they are
// written in the policy.
type Grant struct {
	Role      string `json:"role"`
	Policy    string `json:"policy"`
	Statement string `json:"statement"` // its Sid, or its number in the policy, as in #1
	Action    string `json:"action"`
	Resource  string `json:"resource"`
	// Conditions are those of the statement, see [policy.Statement.Conditions].
	Conditions []string `json:"conditions,omitempty"`
	Used       bool     `json:"used"` // since the data directory was made
}

func (g *Grant) key() store.Key {
	return store.NewKey("iam.used").String(g.Role).String(g.Policy).String(g.Statement).String(g.Action).String(g.Resource)
}

// grant is a Grant at work.
type grant struct {
	Grant
	used atomic.Bool
}

// grants are what the policies of a role say: its statements, and what they allow
// one by one. A change of a policy makes others.
type grants struct {
	statements []allowance
	denies     []*policy.Statement

	mu      sync.RWMutex
	matches map[access]*matched
}

// allowance is a statement that allows, with the grants in it.
type allowance struct {
	*policy.Statement
	grants []*grant
}

type access struct{ action, resource string }

// matched are the statements that are about an action on a resource.
type matched struct {
	denies []*policy.Statement
	allow  []allowance // with those of their grants that are about it
}

// maxMatches bounds what is remembered of a role: log streams and secrets come
// and go.
const maxMatches = 4096

// add adds the statements of a policy. The caller holds i's mu.
func (g *grants) add(i *IAM, role, name string, p *policy.Policy) {
	i.saving.Lock()
	defer i.saving.Unlock()
	for n, s := range p.Statements() {
		if s.Deny {
			g.denies = append(g.denies, s)
			continue
		}
		a := allowance{Statement: s}
		for _, action := range s.Actions {
			for _, resource := range s.Resources {
				one := &grant{Grant: Grant{Role: role, Policy: name, Statement: cmp.Or(s.Sid, fmt.Sprintf("#%d", n+1)), Action: action, Resource: resource, Conditions: s.Conditions()}}
				one.used.Store(i.used[string(one.key())])
				a.grants = append(a.grants, one)
			}
		}
		g.statements = append(g.statements, a)
	}
}

// match finds the statements that are about an action on a resource.
func (g *grants) match(action, resource string) *matched {
	at := access{action, resource}
	g.mu.RLock()
	m := g.matches[at]
	g.mu.RUnlock()
	if m != nil {
		return m
	}
	m = &matched{}
	for _, s := range g.denies {
		if s.Covers(action, resource) {
			m.denies = append(m.denies, s)
		}
	}
	for _, a := range g.statements {
		one := allowance{Statement: a.Statement}
		for _, grant := range a.grants {
			if policy.MatchAction(grant.Action, action) && policy.Like(grant.Resource, resource) {
				one.grants = append(one.grants, grant)
			}
		}
		if one.grants != nil {
			m.allow = append(m.allow, one)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.matches == nil || len(g.matches) >= maxMatches {
		g.matches = map[access]*matched{}
	}
	g.matches[at] = m
	return m
}

// allows reports whether a statement allows the request, and notes that its
// grants were used. If none does for its conditions alone, unmet are the keys of
// those, of the statement that lacks the fewest. A nil m allows everything.
func (m *matched) allows(i *IAM, keys policy.Keys) (allowed bool, unmet []string) {
	if m == nil {
		return true, nil
	}
	for _, a := range m.allow {
		if a.Holds(keys) {
			for _, one := range a.grants {
				if !one.used.Load() {
					i.use(one)
				}
			}
			return true, nil
		}
	}
	for _, a := range m.allow {
		if failing := a.Failing(keys); unmet == nil || len(failing) < len(unmet) {
			unmet = failing
		}
	}
	return false, unmet
}

// use remembers, durably, that a grant was used.
func (i *IAM) use(g *grant) {
	i.saving.Lock()
	defer i.saving.Unlock()
	if g.used.Swap(true) {
		return
	}
	i.used[string(g.key())] = true
	b := i.cfg.Store.NewBatch()
	b.Set(g.key(), nil)
	if err := b.Commit(); err != nil {
		i.cfg.Logger.Error("that a grant was used could not be remembered", "role", g.Role, "action", g.Action, "error", err)
	}
}

func (i *IAM) loadUsed() error {
	for entry, err := range i.cfg.Store.Scan(store.Prefix(store.NewKey("iam.used"))) {
		if err != nil {
			return err
		}
		i.used[string(entry.Key)] = true
	}
	return nil
}

// Grants returns the grants of all roles, in the order of the roles and of their
// policies.
func (i *IAM) Grants() []Grant {
	i.mu.RLock()
	defer i.mu.RUnlock()
	var out []Grant
	for _, r := range i.roles {
		for _, a := range r.grants.Load().statements {
			for _, one := range a.grants {
				g := one.Grant
				g.Used = one.used.Load()
				out = append(out, g)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Grant) int { return cmp.Compare(a.Role, b.Role) })
	return out
}
