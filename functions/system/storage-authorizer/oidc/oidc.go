// Package oidc verifies the tokens of OpenID Connect issuers, such as a user pool
// of Cognito: those by which people, and not functions, use the data API.
//
// An issuer's keys are found by discovery ("OpenID Connect Discovery 1.0"), and
// kept. What is fetched is bounded in time and size as API Gateway bounds it for
// its own JWT authorizers ("Quotas for configuring and running an HTTP API in API
// Gateway").
package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/penstock-dev/penstock/functions/session"
)

const (
	fetchTimeout = 1500 * time.Millisecond
	maxDocument  = 150_000
	keysTTL      = time.Hour
	readAgain    = 30 * time.Second // how soon keys are fetched again, for an unknown one or after a failure
	skew         = 30 * time.Second // how far an issuer's clock may be ahead
	maxToken     = 8192             // bytes
	maxSubject   = 255              // "OpenID Connect Core 1.0", section 2
	minRSABits   = 2048             // "JSON Web Algorithms", RFC 7518, section 3.3
)

// algorithms are those that a token may be signed by. None of them has a secret
// that both sides know.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA}

// Issuer is an issuer whose tokens are accepted.
type Issuer struct {
	// Issuer is its URL, as its tokens say it: https, or http on loopback.
	Issuer string `json:"issuer"`
	// Audience is whom the tokens are for: of Cognito, the id of the app client.
	Audience string `json:"audience"`
	// Prefix is put before the names of its users, such as "staff:", where there
	// are several issuers: two may know different people by the same name. One of
	// them may have none; of its users, those are refused whose names begin with
	// the prefix of another.
	Prefix string `json:"prefix,omitempty"`
}

// Verifier verifies tokens. It is safe for concurrent use. Make one with [New].
type Verifier struct {
	issuers map[string]*issuer
	client  *http.Client
}

type issuer struct {
	Issuer
	loopback bool
	others   []string // prefixes of other issuers, if it has none itself

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	readAt  time.Time
	triedAt time.Time
}

// New returns a verifier of the tokens of some issuers, which may be none. It
// makes no call.
func New(issuers []Issuer) (*Verifier, error) {
	v := &Verifier{issuers: map[string]*issuer{}, client: &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	prefixes := map[string]bool{}
	for _, one := range issuers {
		loopback, err := checkURL(one.Issuer, true)
		if err != nil {
			return nil, fmt.Errorf("oidc: issuer %q: %w", one.Issuer, err)
		}
		if one.Audience == "" || v.issuers[one.Issuer] != nil || prefixes[one.Prefix] {
			return nil, fmt.Errorf("oidc: issuer %q has no audience, is there twice, or has the prefix of another", one.Issuer)
		}
		prefixes[one.Prefix] = true
		from := &issuer{Issuer: one, loopback: loopback}
		for _, other := range issuers {
			if one.Prefix == "" && other.Prefix != "" {
				from.others = append(from.others, other.Prefix)
			}
		}
		v.issuers[one.Issuer] = from
	}
	return v, nil
}

// checkURL takes https, and where loopback is allowed http to it.
func checkURL(text string, allowLoopback bool) (loopback bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false, errors.New("it is no URL of a host and a path")
	}
	ip := net.ParseIP(u.Hostname())
	loopback = u.Scheme == "http" && ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (!loopback || !allowLoopback) {
		return false, errors.New("it must be https")
	}
	return loopback, nil
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// ErrRefused is wrapped by every error about a token itself, as against one of
// what it is verified with. Its message holds nothing of the token.
var ErrRefused = errors.New("the token is refused")

// claims are those that are looked at.
type claims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	TokenUse string `json:"token_use"`
}

// Verify checks a token: its form, its signature by a key of the issuer that it
// names, which must be one of the verifier's, and its claims. It returns the name
// of the user. An error wraps [ErrRefused] unless the issuer's keys cannot be
// read.
//
// A token is for the issuer's audience by its "aud". One of Cognito's says in
// "token_use" what it is: it must be an access token, which has its audience in
// "client_id" ("Verifying JSON web tokens", Amazon Cognito).
func (v *Verifier) Verify(ctx context.Context, token string) (user string, err error) {
	if err := session.CheckForm(token, maxToken); err != nil {
		return "", refused("it is no JSON Web Token of at most %d bytes", maxToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return "", refused("it is no token signed by one of %v", algorithms)
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "" && !slices.Contains([]string{"jwt", "at+jwt"}, strings.ToLower(typ)) {
		return "", refused("its type is another")
	}
	var claimed jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claimed); err != nil {
		return "", refused("what it says is no JSON")
	}
	from := v.issuers[claimed.Issuer]
	if from == nil {
		return "", refused("its issuer is none of those that are configured")
	}
	key, err := from.key(ctx, v.client, header)
	if err != nil {
		return "", err
	}
	var c claims
	if err := parsed.Claims(key, &c); err != nil {
		return "", refused("its signature is wrong")
	}
	if err := from.check(c); err != nil {
		return "", err
	}
	return from.Prefix + c.Subject, nil
}

func (i *issuer) check(c claims) error {
	now := time.Now()
	switch {
	case c.Issuer != i.Issuer.Issuer:
		return refused("its issuer is another")
	case c.Expiry == nil || !now.Before(c.Expiry.Time()):
		return refused("it has expired, or does not say when")
	case c.NotBefore != nil && now.Add(skew).Before(c.NotBefore.Time()), c.IssuedAt != nil && now.Add(skew).Before(c.IssuedAt.Time()):
		return refused("it is not valid yet")
	case c.TokenUse != "" && c.TokenUse != "access":
		return refused("it is no access token")
	case c.TokenUse == "access" && c.ClientID != i.Audience, c.TokenUse == "" && !slices.Contains(c.Audience, i.Audience):
		return refused("it is for another audience")
	case c.Subject == "" || len(c.Subject) > maxSubject:
		return refused("it names no user")
	case slices.ContainsFunc(i.others, func(prefix string) bool { return strings.HasPrefix(c.Subject, prefix) }):
		return refused("its user is named like those of another issuer")
	}
	return nil
}

// key returns the key that a token says it is signed by. One that is not known
// may be new: the keys are fetched again for it, but not for each of many.
func (i *issuer) key(ctx context.Context, client *http.Client, header jose.Header) (any, error) {
	if header.KeyID == "" {
		return nil, refused("it does not say which key it is signed by")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, age := range []time.Duration{keysTTL, readAgain} {
		if err := i.fresh(ctx, client, age); err != nil {
			return nil, err
		}
		for _, k := range i.keys {
			if k.KeyID == header.KeyID && k.Algorithm == header.Algorithm {
				return k.Key, nil
			}
		}
	}
	return nil, refused("its key is none of the issuer's")
}

// fresh fetches the keys if those there are were fetched longer ago than age. Where
// that fails, those there are stay in use. The caller holds mu.
func (i *issuer) fresh(ctx context.Context, client *http.Client, age time.Duration) error {
	now := time.Now()
	known := !i.readAt.IsZero()
	if known && (now.Sub(i.readAt) < age || now.Sub(i.triedAt) < readAgain) {
		return nil
	}
	i.triedAt = now
	keys, err := i.fetch(ctx, client)
	if err == nil {
		i.keys, i.readAt = keys, now
	} else if !known {
		return fmt.Errorf("oidc: the keys of issuer %s: %w", i.Issuer.Issuer, err)
	}
	return nil
}

func (i *issuer) fetch(ctx context.Context, client *http.Client) ([]jose.JSONWebKey, error) {
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := get(ctx, client, strings.TrimSuffix(i.Issuer.Issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != i.Issuer.Issuer {
		return nil, fmt.Errorf("discovery tells of another issuer, %q", about.Issuer)
	}
	if _, err := checkURL(about.Keys, i.loopback); err != nil {
		return nil, fmt.Errorf("jwks_uri %q: %w", about.Keys, err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := get(ctx, client, about.Keys, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(text, &k) == nil && usable(&k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no key that a token may be signed by", about.Keys)
	}
	return keys, nil
}

// usable reports whether a key may verify tokens, and sets the one algorithm that
// it does so by.
func usable(k *jose.JSONWebKey) bool {
	if !k.Valid() || !k.IsPublic() || k.KeyID == "" || k.Use != "" && k.Use != "sig" {
		return false
	}
	var algorithm jose.SignatureAlgorithm
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return false
		}
		algorithm = jose.RS256
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return false
		}
		algorithm = jose.ES256
	case ed25519.PublicKey:
		algorithm = jose.EdDSA
	default:
		return false
	}
	if k.Algorithm != "" && k.Algorithm != string(algorithm) {
		return false
	}
	k.Algorithm = string(algorithm)
	return true
}

func get(ctx context.Context, client *http.Client, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", address, answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if len(text) > maxDocument {
		return fmt.Errorf("%s answers more than %d bytes", address, maxDocument)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}
