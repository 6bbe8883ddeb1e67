package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// principal is who an access key belongs to.
type principal struct {
	iam     *IAM
	arns    []string // what policies may call it; the first is what it is called in answers
	userID  string
	role    *role     // nil: the administrator
	expires time.Time // zero: never
}

// Credentials are the credentials of a session of a role.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

// Identity is who an access key belongs to.
type Identity struct{ ARN, UserID string }

// hash is text of capitals and digits that stays the same for the same parts.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// session makes the principal of a role's session, and its credentials. They are
// the same for the same parts, so that who outlives a restart keeps them.
func (i *IAM) session(r *role, name string, parts ...string) (*principal, Credentials) {
	text := hash(append([]string{i.cfg.Account, r.name, name}, parts...)...)
	c := Credentials{AccessKeyID: "ASIA" + text[:16], SecretAccessKey: text[16:56], SessionToken: "local-" + text[56:]}
	return &principal{
		iam: i, role: r, userID: r.id + ":" + name,
		arns: []string{fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", i.cfg.Account, r.name, name), r.arn},
	}, c
}

// ForFunction returns the credentials that a function has of its role, which must
// let Lambda assume it.
func (i *IAM) ForFunction(roleARN, function string) (Credentials, error) {
	r := i.roleOf(roleARN)
	if r == nil {
		return Credentials{}, awswire.Errorf("InvalidParameterValueException", "function %s: role %s does not exist", function, roleARN)
	}
	if !i.Trust(roleARN).Allows(policy.Request{Service: "lambda.amazonaws.com", Action: "sts:AssumeRole", Resource: roleARN}) {
		return Credentials{}, awswire.Errorf("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda. (function %s: the trust policy of %s does not allow lambda.amazonaws.com)", function, roleARN)
	}
	p, c := i.session(r, function)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.principals[c.AccessKeyID] = p
	return c, nil
}

// savedSession is a session as the store keeps it, by its access key id.
type savedSession struct {
	Role, Name string
	Began      time.Time
	Expires    time.Time
}

func sessionKey() store.Key { return store.NewKey("iam.session") }

var validSession = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// AssumeRole begins a session of the role with an ARN, for the caller of an
// operation that was authorized to. It is durable when it returns. d is 15
// minutes to the role's MaxSession; 0 means an hour ("AssumeRole", STS API
// reference).
func (i *IAM) AssumeRole(roleARN, name string, d time.Duration) (Credentials, Identity, time.Time, error) {
	none := func(format string, args ...any) (Credentials, Identity, time.Time, error) {
		return Credentials{}, Identity{}, time.Time{}, awswire.Errorf("ValidationError", format, args...)
	}
	r := i.roleOf(roleARN)
	if r == nil {
		return none("role %s does not exist", roleARN)
	}
	if !validSession.MatchString(name) {
		return none("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]* (2 to 64 characters)", name)
	}
	if d == 0 {
		d = time.Hour
	}
	if d < 15*time.Minute || d > 12*time.Hour {
		return none("DurationSeconds: want 900 to 43200 (got %.0f)", d.Seconds())
	}
	i.mu.RLock()
	most := r.spec.MaxSession
	i.mu.RUnlock()
	if d > most {
		return none("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	now := time.Now()
	saved := savedSession{Role: r.name, Name: name, Began: now, Expires: now.Add(d).Truncate(time.Second)}
	p, c := i.restore(r, saved)
	text, err := json.Marshal(saved)
	if err != nil {
		return Credentials{}, Identity{}, time.Time{}, err
	}
	b := i.cfg.Store.NewBatch()
	b.Set(sessionKey().String(c.AccessKeyID), text)
	if err := b.Commit(); err != nil {
		return Credentials{}, Identity{}, time.Time{}, err
	}
	return c, Identity{p.arns[0], p.userID}, saved.Expires, nil
}

// restore makes a session known.
func (i *IAM) restore(r *role, s savedSession) (*principal, Credentials) {
	p, c := i.session(r, s.Name, s.Began.UTC().Format(time.RFC3339Nano))
	p.expires = s.Expires
	i.mu.Lock()
	defer i.mu.Unlock()
	i.principals[c.AccessKeyID] = p
	return p, c
}

// find returns who an access key belongs to. It remembers the sessions of earlier
// runs. Without permissions to decide about, everybody is nobody in particular.
func (i *IAM) find(accessKeyID string) (*principal, error) {
	i.mu.RLock()
	p := i.principals[accessKeyID]
	i.mu.RUnlock()
	if p == nil {
		var err error
		if p, err = i.recall(accessKeyID); err != nil {
			return nil, err
		}
	}
	switch {
	case i.cfg.Mode == Off:
		return nil, nil
	case p == nil:
		return nil, errUnknown
	case !p.expires.IsZero() && !time.Now().Before(p.expires):
		return nil, errExpired
	}
	return p, nil
}

var (
	errUnknown = &awswire.Error{Code: "UnrecognizedClientException", QueryCode: "InvalidClientTokenId", Status: http.StatusForbidden,
		Message: "The security token included in the request is invalid: use the credentials that `penstock dev` printed"}
	errExpired = &awswire.Error{Code: "ExpiredTokenException", QueryCode: "ExpiredToken", Status: http.StatusForbidden,
		Message: "The security token included in the request is expired"}
)

// recall finds a session of an earlier run; nil if there is none.
func (i *IAM) recall(accessKeyID string) (*principal, error) {
	text, ok, err := i.cfg.Store.Get(sessionKey().String(accessKeyID))
	if err != nil || !ok {
		return nil, err
	}
	var saved savedSession
	if err := json.Unmarshal(text, &saved); err != nil {
		return nil, fmt.Errorf("iam: a session in the store: %w", err)
	}
	r := i.roleOf(i.RoleARN(saved.Role))
	if r == nil {
		return nil, nil
	}
	p, _ := i.restore(r, saved)
	return p, nil
}

// forgetSessions removes the sessions that have expired from the store.
func (i *IAM) forgetSessions() error {
	b := i.cfg.Store.NewBatch()
	for entry, err := range i.cfg.Store.Scan(store.Prefix(sessionKey())) {
		if err != nil {
			b.Discard()
			return err
		}
		var saved savedSession
		if json.Unmarshal(entry.Value, &saved) != nil || time.Now().After(saved.Expires) {
			b.Delete(store.Key(append([]byte(nil), entry.Key...)))
		}
	}
	if b.Empty() {
		b.Discard()
		return nil
	}
	return b.Commit()
}

// Identify says who an access key belongs to.
func (i *IAM) Identify(accessKeyID string) (Identity, error) {
	i.mu.RLock()
	p := i.principals[accessKeyID]
	i.mu.RUnlock()
	if p == nil {
		return Identity{}, errUnknown
	}
	return Identity{p.arns[0], p.userID}, nil
}
