// Package iam is the part of AWS IAM that decides: who a request comes from, and
// whether they may do what it asks for.
//
// There is one account, with these principals:
//
//   - The administrator, a user whose key is printed for people and tools, and
//     who may do everything.
//   - The roles of the templates. A role is used by the function that runs as it,
//     whose credentials are its own ([IAM.ForFunction]), and by who assumes it
//     ([IAM.AssumeRole]).
//   - AWS's services, which resources' policies alone let in: where a service
//     delivers to another, the receiver asks its own policy (package policy).
//
// A request is decided as AWS does within an account ("Policy evaluation logic"):
//
//  1. A statement that denies it, in a policy of the role or of the resource,
//     wins.
//  2. Otherwise it is allowed if a policy of the role allows it, or if the
//     resource's policy names the role, its session, or everybody.
//  3. A resource's policy that names the account allows nothing by itself: it
//     leaves it to 2's first half. For sts:AssumeRole the role's trust policy must
//     allow it, in one of the two ways.
//  4. Everything else is denied.
//
// What the statements of a role depend on besides action and resource are their
// conditions; all else about them is found once and remembered.
package iam

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Mode is what becomes of a request that is not allowed. What services do to each
// other needs the permission of a resource's policy in every mode.
type Mode string

const (
	Enforce Mode = "enforce" // it is refused
	Warn    Mode = "warn"    // it passes; the first of each kind is logged
	Off     Mode = "off"     // nothing is decided, and any access key is taken
)

// Config says what an IAM works with. All fields are required.
type Config struct {
	Account string
	Mode    Mode
	// AdministratorKey is the access key id of the administrator.
	AdministratorKey string
	Store            *store.Store
	Logger           *slog.Logger
}

// IAM holds the principals of an account and their policies. It is an
// [awswire.Guard], and safe for concurrent use. The zero value is not usable:
// call [New].
type IAM struct {
	cfg    Config
	warned sync.Map // the denials that were logged, by their message

	mu         sync.RWMutex
	roles      map[string]*role      // by name
	policies   map[string]Policy     // those that are resources of their own, by id
	principals map[string]*principal // by access key id

	saving sync.Mutex      // guards
	used   map[string]bool // the grants that were used, by their key
}

// New returns an IAM without roles, which remembers the sessions, and which
// grants were used, from the store.
func New(cfg Config) (*IAM, error) {
	switch cfg.Mode {
	case Enforce, Warn, Off:
	default:
		return nil, fmt.Errorf("iam: mode %q: want %s, %s or %s", cfg.Mode, Enforce, Warn, Off)
	}
	i := &IAM{cfg: cfg, roles: map[string]*role{}, policies: map[string]Policy{}, principals: map[string]*principal{}, used: map[string]bool{}}
	i.principals[cfg.AdministratorKey] = &principal{
		iam: i, userID: cfg.AdministratorKey,
		arns: []string{fmt.Sprintf("arn:aws:iam::%s:user/administrator", cfg.Account)},
	}
	if err := i.loadUsed(); err != nil {
		return nil, err
	}
	return i, i.forgetSessions()
}

// Document is a policy document by its name.
type Document struct {
	Name string
	Text json.RawMessage
}

// Role is a role as a template declares it.
type Role struct {
	Name       string
	Trust      json.RawMessage // who may assume it
	Inline     []Document
	Managed    []string      // the ARNs of policies; each must exist by the time the role is used
	MaxSession time.Duration // of who assumes it; 0: an hour
}

// Policy is a policy that is a resource of its own, and is attached to roles.
type Policy struct {
	ID string // of a managed policy, its ARN
	Document
	Roles []string // the names of those that it is attached to
}

// role is a role at work. IAM's mu guards what changes.
type role struct {
	name, arn string
	id        string // AWS's unique id of it

	spec   Role
	trust  *policy.Policy
	inline []*policy.Policy
	grants atomic.Pointer[grants] // of all its policies
}

// RoleARN is the ARN of the role with a name.
func (i *IAM) RoleARN(name string) string {
	return fmt.Sprintf("arn:aws:iam::%s:role/%s", i.cfg.Account, name)
}

// PolicyARN is the ARN of the managed policy with a name.
func (i *IAM) PolicyARN(name string) string {
	return fmt.Sprintf("arn:aws:iam::%s:policy/%s", i.cfg.Account, name)
}

// Check checks everything about a role but its managed policies.
func (r Role) Check() error {
	_, _, err := r.parse()
	return err
}

func (r Role) parse() (trust *policy.Policy, inline []*policy.Policy, err error) {
	if trust, err = policy.Parse(r.Trust); err != nil {
		return nil, nil, fmt.Errorf("trust policy: %w", err)
	}
	for _, d := range r.Inline {
		p, err := policy.ParseIdentity(d.Text)
		if err != nil {
			return nil, nil, fmt.Errorf("policy %q: %w", d.Name, err)
		}
		inline = append(inline, p)
	}
	if r.MaxSession != 0 && (r.MaxSession < time.Hour || r.MaxSession > 12*time.Hour) {
		return nil, nil, fmt.Errorf("MaxSessionDuration: want 3600 to 43200 seconds (got %.0f)", r.MaxSession.Seconds())
	}
	return trust, inline, nil
}

// EnsureRole adds a role, or gives an existing one this form, at once for all who
// use it.
func (i *IAM) EnsureRole(r Role) error {
	trust, inline, err := r.parse()
	if err != nil {
		return fmt.Errorf("role %q: %w", r.Name, err)
	}
	r.MaxSession = cmp.Or(r.MaxSession, time.Hour)
	i.mu.Lock()
	defer i.mu.Unlock()
	changed := &role{spec: r, inline: inline}
	if err := i.compose(changed); err != nil {
		return err
	}
	one, exists := i.roles[r.Name]
	if !exists {
		one = &role{name: r.Name, arn: i.RoleARN(r.Name), id: "AROA" + hash(i.cfg.Account, r.Name)[:17]}
		i.roles[r.Name] = one
	}
	one.spec, one.trust, one.inline = r, trust, inline
	one.grants.Store(changed.grants.Load())
	return nil
}

// DeleteRole removes a role. Its credentials are not known any more. One that does
// not exist is not an error.
func (i *IAM) DeleteRole(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	one := i.roles[name]
	delete(i.roles, name)
	maps.DeleteFunc(i.principals, func(_ string, p *principal) bool { return one != nil && p.role == one })
}

// EnsurePolicy adds a policy, or gives an existing one this form, at once for the
// roles that it is attached to.
func (i *IAM) EnsurePolicy(p Policy) error {
	if _, err := policy.ParseIdentity(p.Text); err != nil {
		return fmt.Errorf("policy %q: %w", p.Name, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.policies[p.ID] = p
	return i.composeAll()
}

// DeletePolicy removes a policy, from its roles too. One that does not exist is
// not an error.
func (i *IAM) DeletePolicy(id string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.policies, id)
	for _, one := range i.roles {
		one.spec.Managed = slices.DeleteFunc(slices.Clone(one.spec.Managed), func(arn string) bool { return arn == id })
	}
	return i.composeAll()
}

func (i *IAM) composeAll() error {
	for _, one := range i.roles {
		if err := i.compose(one); err != nil {
			return err
		}
	}
	return nil
}

// compose puts together what a role's policies say. The caller holds mu.
func (i *IAM) compose(r *role) error {
	g := &grants{}
	for n, p := range r.inline {
		g.add(i, r.spec.Name, r.spec.Inline[n].Name, p)
	}
	for _, arn := range r.spec.Managed {
		if _, exists := i.policies[arn]; !exists {
			return fmt.Errorf("role %q: managed policy %s is not known to the local environment: only those of the templates are", r.spec.Name, arn)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(i.policies)) {
		p := i.policies[id]
		if !slices.Contains(p.Roles, r.spec.Name) && !slices.Contains(r.spec.Managed, id) {
			continue
		}
		parsed, err := policy.ParseIdentity(p.Text)
		if err != nil {
			return err
		}
		g.add(i, r.spec.Name, p.Name, parsed)
	}
	r.grants.Store(g)
	return nil
}

// roleOf finds a role by its ARN.
func (i *IAM) roleOf(arn string) *role {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if name, ok := strings.CutPrefix(arn, i.RoleARN("")); ok {
		return i.roles[name[strings.LastIndex(name, "/")+1:]]
	}
	return nil
}

// Trust is the trust policy of the role with an ARN; nil if there is none.
func (i *IAM) Trust(roleARN string) *policy.Policy {
	r := i.roleOf(roleARN)
	if r == nil {
		return nil
	}
	i.mu.RLock()
	defer i.mu.RUnlock()
	return r.trust
}

// Principal implements [awswire.Guard].
func (i *IAM) Principal(accessKeyID string) (awswire.Principal, error) {
	p, err := i.find(accessKeyID)
	if p == nil {
		return nil, err
	}
	return p, nil
}
