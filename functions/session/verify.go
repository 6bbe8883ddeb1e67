package session

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// ErrRefused is wrapped by every error about a token itself, as against one of
// what it is verified with, such as a key that cannot be read. Its message says
// what is wrong, and holds nothing of the token.
var ErrRefused = errors.New("the session is refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Verifier verifies sessions. It is safe for concurrent use. Make one with
// [NewVerifier], when the program starts.
type Verifier struct {
	env  Environment
	keys *Keys
}

// NewVerifier returns a verifier of an environment's sessions. It makes no call.
// The environment's lifetime is of no account: a session is valid for as long as
// it says itself, up to MaxLifetime.
func NewVerifier(env Environment, keys *Keys) (*Verifier, error) {
	return &Verifier{env, keys}, env.check()
}

// Verify checks a token: its form, its signature by a key that is still in use,
// and every claim. An error wraps [ErrRefused] unless the keys cannot be read.
// Whether it was revoked is asked of package revocations.
func (v *Verifier) Verify(ctx context.Context, token string) (Session, error) {
	if err := CheckForm(token, maxToken); err != nil {
		return Session{}, err
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Session{}, refused("it is no token signed by EdDSA")
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != Type {
		return Session{}, refused("its type is not %s", Type)
	}
	public, err := v.keys.verifying(ctx, header.KeyID)
	if err != nil {
		return Session{}, err
	}
	var c claims
	if err := parsed.Claims(public, &c); err != nil {
		return Session{}, refused("its signature is wrong, or what it says is no JSON")
	}
	return v.check(c)
}

// check checks the claims of a token whose signature is right.
func (v *Verifier) check(c claims) (Session, error) {
	now := time.Now()
	switch {
	case c.Issuer != v.env.issuer():
		return Session{}, refused("its issuer is not %s", v.env.issuer())
	case !slices.Equal(c.Audience, jwt.Audience{v.env.Name}):
		return Session{}, refused("it is not for the environment %s", v.env.Name)
	case c.IssuedAt == nil || c.NotBefore == nil || c.Expiry == nil:
		return Session{}, refused("it does not say when it was issued, begins and expires")
	case !now.Before(c.Expiry.Time()):
		return Session{}, refused("it has expired")
	case now.Add(skew).Before(c.NotBefore.Time()), now.Add(skew).Before(c.IssuedAt.Time()):
		return Session{}, refused("it is not valid yet")
	case c.Expiry.Time().Sub(c.IssuedAt.Time()) > MaxLifetime:
		return Session{}, refused("it is valid for longer than %s", MaxLifetime)
	}
	s := Session{Claims: Claims{User: c.Subject, Event: c.Event, Function: c.Function}, ID: c.ID, Issued: c.IssuedAt.Time(), Expires: c.Expiry.Time()}
	if err := s.check(); err != nil {
		return Session{}, refused("%v", err)
	}
	if _, err := uuid.Parse(s.ID); err != nil {
		return Session{}, refused("its id is no UUID")
	}
	return s, nil
}

// CheckForm refuses what is no JSON Web Token in its one canonical form: three
// parts of base64url without padding, of at most so many bytes. A decoder that is
// lenient would take several texts for the same token, line breaks included.
func CheckForm(token string, most int) error {
	if len(token) > most {
		return refused("it has more than %d bytes", most)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return refused("it does not have three parts")
	}
	for _, part := range parts {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || part == "" || strings.ContainsAny(part, "\r\n") {
			return refused("a part of it is not base64url")
		}
	}
	return nil
}

// TypeOf returns the "typ" of a token's header, as it is, verified by nobody: it
// tells who is to verify the token. It is empty for what is no token.
func TypeOf(token string) string {
	if CheckForm(token, maxToken) != nil {
		return ""
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return ""
	}
	typ, _ := parsed.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	return typ
}

// publicOf is the half of a key that verifies.
func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }
