// Package session mints and verifies function sessions: the tokens by which a
// function on HTTP reads and changes the data of the user that an event is
// about, for some minutes, as if it were that user.
//
// A session is a JSON Web Token, signed by Ed25519 (EdDSA, RFC 8037). It says
// for whom it stands and what for, and no more:
//
//	{"typ": "penstock-session+jwt", "alg": "EdDSA", "kid": "…"}
//	{"iss": "penstock:shop-prod", "aud": "shop-prod", "sub": USER, "event": ID, "function": NAME,
//	 "jti": …, "iat": …, "nbf": …, "exp": …}
//
// The life of one:
//
//  1. What delivers an event to the function mints a session, anew at each
//     attempt: [Minter.Mint].
//  2. The function sends it to the data API as "Authorization: Bearer …".
//  3. The API's authorizer verifies it ([Verifier.Verify]), asks whether it was
//     revoked (package revocations), and lets the request see the rows of the
//     session's user alone.
//
// The keys are in one secret of Secrets Manager, and rotated without a gap; see
// [Keys].
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// How long a session is valid: what an environment may say, and what it is when
// it says nothing.
const (
	MinLifetime     = 10 * time.Minute
	DefaultLifetime = 15 * time.Minute
	MaxLifetime     = 20 * time.Minute
)

// Type is the "typ" in the header of every session. It keeps a token that was
// signed for another purpose from being taken for a session, and the other way
// round ("JSON Web Token Best Current Practices", RFC 8725, section 3.11).
const Type = "penstock-session+jwt"

// skew is how far the clocks of who mints and who verifies may be apart. It lets
// a session begin early, never end late.
const skew = 30 * time.Second

// maxToken is the longest token that is looked at, in bytes. A session has about
// 600; the headers of a request together may have 10,240 ("Quotas for configuring
// and running an HTTP API in API Gateway").
const maxToken = 4096

// Claims say for whom a session stands, and what it was minted for. All are
// required.
type Claims struct {
	User     string // whose data it opens
	Event    string // the id of the event that is delivered
	Function string // the short name of the function that it is delivered to
}

func (c Claims) check() error {
	for _, one := range []struct{ name, value string }{{"user", c.User}, {"event", c.Event}, {"function", c.Function}} {
		if one.value == "" {
			return fmt.Errorf("a session needs its %s", one.name)
		}
		if len(one.value) > maxClaim {
			return fmt.Errorf("the %s of a session has %d bytes: at most %d", one.name, len(one.value), maxClaim)
		}
	}
	return nil
}

// maxClaim is the longest claim, in bytes. What OpenID Connect calls a subject
// has at most 255 ("OpenID Connect Core 1.0", section 2).
const maxClaim = 512

// Session is a token that was verified.
type Session struct {
	Claims
	ID      string    // its jti, a UUID
	Issued  time.Time // to the second, as what follows
	Expires time.Time
}

// Environment is what the sessions of one environment have in common. The zero
// value is not usable.
type Environment struct {
	// Name is <app>-<env>, such as "shop-prod": the audience of its sessions.
	Name string

	// Lifetime is how long a session is valid: MinLifetime to MaxLifetime.
	// Default DefaultLifetime.
	Lifetime time.Duration
}

func (e Environment) issuer() string { return "penstock:" + e.Name }

func (e Environment) check() error {
	if e.Name == "" {
		return errors.New("session: the environment has no name")
	}
	if l := e.Lifetime; l != 0 && (l < MinLifetime || l > MaxLifetime) {
		return fmt.Errorf("session: a lifetime of %s: want %s to %s", l, MinLifetime, MaxLifetime)
	}
	return nil
}

// FromEnvironment reads the environment of a function's sessions, and its keys,
// from the variables that a deployment sets where there is a data API:
// PENSTOCK_APP, PENSTOCK_ENV, PENSTOCK_SESSION_KEYS (the name of the secret) and
// PENSTOCK_SESSION_MINUTES (may be missing: 15). It makes no call.
func FromEnvironment(secrets SecretsAPI) (Environment, *Keys, error) {
	app, env, secret := os.Getenv("PENSTOCK_APP"), os.Getenv("PENSTOCK_ENV"), os.Getenv("PENSTOCK_SESSION_KEYS")
	if app == "" || env == "" || secret == "" {
		return Environment{}, nil, errors.New(`session: PENSTOCK_APP, PENSTOCK_ENV or PENSTOCK_SESSION_KEYS is not set: a function has them in an environment that says "storageApi": true`)
	}
	e := Environment{Name: app + "-" + env}
	if text := os.Getenv("PENSTOCK_SESSION_MINUTES"); text != "" {
		minutes, err := strconv.Atoi(text)
		if err != nil {
			return Environment{}, nil, fmt.Errorf("session: PENSTOCK_SESSION_MINUTES %q is no whole number", text)
		}
		e.Lifetime = time.Duration(minutes) * time.Minute
	}
	return e, NewKeys(secrets, secret), e.check()
}

// Minter mints sessions. It is safe for concurrent use. Make one with
// [NewMinter], when the program starts.
type Minter struct {
	env  Environment
	keys *Keys
}

// NewMinter returns a minter of an environment's sessions. It makes no call.
func NewMinter(env Environment, keys *Keys) (*Minter, error) {
	env.Lifetime = cmp.Or(env.Lifetime, DefaultLifetime)
	return &Minter{env, keys}, env.check()
}

// claims are a session's, as they are signed.
type claims struct {
	jwt.Claims
	Event    string `json:"event"`
	Function string `json:"function"`
}

// Mint returns a new session, and when it expires. Each call makes another one.
// It asks Secrets Manager for the key, at most every few minutes; an error names
// the key's secret, and never holds a token.
func (m *Minter) Mint(ctx context.Context, c Claims) (token string, expires time.Time, err error) {
	if err := c.check(); err != nil {
		return "", time.Time{}, err
	}
	key, err := m.keys.signing(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id}},
		(&jose.SignerOptions{}).WithType(Type))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("session: %w", err)
	}
	now := time.Now().Truncate(time.Second) // as a NumericDate is
	expires = now.Add(m.env.Lifetime)
	token, err = jwt.Signed(signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: m.env.issuer(), Audience: jwt.Audience{m.env.Name}, Subject: c.User, ID: uuid.NewString(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(expires),
		},
		Event: c.Event, Function: c.Function,
	}).Serialize()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("session: %w", err)
	}
	return token, expires, nil
}
