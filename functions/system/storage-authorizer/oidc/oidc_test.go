package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/penstock-dev/penstock/functions/system/storage-authorizer/oidc"
)

var (
	rsaKey, _   = rsa.GenerateKey(rand.Reader, 2048)
	weakKey, _  = rsa.GenerateKey(rand.Reader, 1024)
	ecKey, _    = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	otherKey, _ = rsa.GenerateKey(rand.Reader, 2048)
)

// provider is an issuer on loopback.
type provider struct {
	*httptest.Server
	keys    []jose.JSONWebKey
	edit    func(w http.ResponseWriter, r *http.Request) bool // answers instead
	fetches atomic.Int32
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{keys: []jose.JSONWebKey{
		{Key: rsaKey.Public(), KeyID: "rsa", Use: "sig"}, {Key: ecKey.Public(), KeyID: "ec", Algorithm: "ES256"},
		{Key: weakKey.Public(), KeyID: "weak"}, {Key: otherKey.Public(), KeyID: "enc", Use: "enc"}, {Key: []byte("secret"), KeyID: "oct"},
		{Key: otherKey.Public(), KeyID: "pss", Algorithm: "PS256"},
	}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.edit != nil && p.edit(w, r) {
			return
		}
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
		case "/keys":
			p.fetches.Add(1)
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) verifier(t *testing.T) *oidc.Verifier {
	t.Helper()
	v, err := oidc.New([]oidc.Issuer{{Issuer: p.URL, Audience: "app"}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type claims map[string]any

func (p *provider) claims(edit ...func(claims)) claims {
	now := time.Now().Unix()
	c := claims{"iss": p.URL, "sub": "ann", "aud": "app", "iat": now, "nbf": now, "exp": now + 3600}
	for _, e := range edit {
		e(c)
	}
	return c
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid, typ string, c claims) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any(c)).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func set(name string, value any) func(claims) { return func(c claims) { c[name] = value } }
func drop(name string) func(claims)           { return func(c claims) { delete(c, name) } }

func TestATokenOfAConfiguredIssuerIsItsUsers(t *testing.T) {
	p := newProvider(t)
	v := p.verifier(t)
	for name, token := range map[string]string{
		"RS256":           sign(t, jose.RS256, rsaKey, "rsa", "JWT", p.claims()),
		"ES256":           sign(t, jose.ES256, ecKey, "ec", "at+jwt", p.claims()),
		"no type":         sign(t, jose.RS256, rsaKey, "rsa", "", p.claims()),
		"two audiences":   sign(t, jose.RS256, rsaKey, "rsa", "", p.claims(set("aud", []string{"other", "app"}))),
		"Cognito's":       sign(t, jose.RS256, rsaKey, "rsa", "", p.claims(drop("aud"), set("client_id", "app"), set("token_use", "access"))),
		"a clock's error": sign(t, jose.RS256, rsaKey, "rsa", "", p.claims(set("nbf", time.Now().Add(20*time.Second).Unix()))),
	} {
		if user, err := v.Verify(t.Context(), token); err != nil || user != "ann" {
			t.Errorf("%s: %q, %v", name, user, err)
		}
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestEveryOtherTokenIsRefused(t *testing.T) {
	p := newProvider(t)
	v := p.verifier(t)
	rs := func(edit ...func(claims)) string { return sign(t, jose.RS256, rsaKey, "rsa", "", p.claims(edit...)) }
	good := rs()
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	hs := part(`{"alg":"HS256","kid":"rsa"}`) + "." + parts[1]
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(hs))
	past := time.Now().Add(-time.Second).Unix()
	for name, token := range map[string]string{
		"empty": "", "no token": "Bearer", "without its signature": parts[0] + "." + parts[1] + ".",
		"alg none":                        part(`{"alg":"none","kid":"rsa"}`) + "." + parts[1] + ".",
		"HS256 with the public key":       hs + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"another algorithm of the key":    sign(t, jose.PS256, rsaKey, "rsa", "", p.claims()),
		"RS384":                           sign(t, jose.RS384, rsaKey, "rsa", "", p.claims()),
		"by another's key":                sign(t, jose.RS256, otherKey, "rsa", "", p.claims()),
		"an unknown kid":                  sign(t, jose.RS256, rsaKey, "new", "", p.claims()),
		"no kid":                          sign(t, jose.RS256, rsaKey, "", "", p.claims()),
		"the kid of a key of another alg": sign(t, jose.RS256, rsaKey, "ec", "", p.claims()),
		"a weak key":                      sign(t, jose.RS256, weakKey, "weak", "", p.claims()),
		"a key for encryption":            sign(t, jose.RS256, otherKey, "enc", "", p.claims()),
		"a key for PS256":                 sign(t, jose.RS256, otherKey, "pss", "", p.claims()),
		"a function session's type":       sign(t, jose.RS256, rsaKey, "rsa", "penstock-session+jwt", p.claims()),
		"a logout token":                  sign(t, jose.RS256, rsaKey, "rsa", "logout+jwt", p.claims()),
		"changed":                         parts[0] + "." + part(`{"iss":"`+p.URL+`","sub":"bob","aud":"app","exp":9999999999}`) + "." + parts[2],
		"expired":                         rs(set("exp", past)),
		"without an expiry":               rs(drop("exp")),
		"not valid yet":                   rs(set("nbf", time.Now().Add(time.Minute).Unix())),
		"issued in the future":            rs(set("iat", time.Now().Add(time.Minute).Unix())),
		"of another issuer":               rs(set("iss", "https://accounts.example.com")),
		"of an issuer with a slash more":  rs(set("iss", p.URL+"/")),
		"of no issuer":                    rs(drop("iss")),
		"for another audience":            rs(set("aud", "other")),
		"for nobody":                      rs(drop("aud")),
		"an ID token of Cognito":          rs(set("token_use", "id")),
		"an access token for another":     rs(set("token_use", "access"), set("client_id", "other")),
		"an access token with an aud":     rs(set("token_use", "access")),
		"of nobody":                       rs(drop("sub")),
		"of an empty name":                rs(set("sub", "")),
		"of too long a name":              rs(set("sub", strings.Repeat("u", 256))),
		"oversized":                       rs(set("x", strings.Repeat("x", 9000))),
	} {
		user, err := v.Verify(t.Context(), token)
		if !errors.Is(err, oidc.ErrRefused) || user != "" {
			t.Errorf("%s: %q, %v", name, user, err)
		}
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("unknown keys had the issuer asked %d times within half a minute", n)
	}
}

func TestAnIssuerThatDoesNotAnswerAsItMustLetsNobodyIn(t *testing.T) {
	for name, edit := range map[string]func(p *provider) func(http.ResponseWriter, *http.Request) bool{
		"down": func(*provider) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
		},
		"redirects": func(p *provider) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/keys" {
					return false
				}
				http.Redirect(w, r, p.URL+"/keys", http.StatusFound)
				return true
			}
		},
		"is another": func(p *provider) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				return write(w, r, `{"issuer": "https://accounts.example.com", "jwks_uri": "`+p.URL+`/keys"}`)
			}
		},
		"has its keys elsewhere without TLS": func(p *provider) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				return write(w, r, `{"issuer": "`+p.URL+`", "jwks_uri": "http://keys.example.com/"}`)
			}
		},
		"answers no JSON": func(*provider) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool { return write(w, r, `<html>`) }
		},
		"answers megabytes": func(*provider) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool { return write(w, r, strings.Repeat(" ", 200_000)) }
		},
		"has no key": func(p *provider) func(http.ResponseWriter, *http.Request) bool {
			p.keys = nil
			return nil
		},
		"has gone": func(p *provider) func(http.ResponseWriter, *http.Request) bool { p.Close(); return nil },
		"hangs": func(*provider) func(http.ResponseWriter, *http.Request) bool {
			return func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			token := sign(t, jose.RS256, rsaKey, "rsa", "", p.claims())
			p.edit = edit(p)
			user, err := p.verifier(t).Verify(t.Context(), token)
			if err == nil || errors.Is(err, oidc.ErrRefused) || user != "" {
				t.Errorf("%q, %v", user, err)
			}
		})
	}
}

func write(w http.ResponseWriter, r *http.Request, text string) bool {
	if r.URL.Path == "/keys" {
		return false
	}
	_, _ = w.Write([]byte(text))
	return true
}

func TestUsersOfSeveralIssuersAreToldApart(t *testing.T) {
	staff, public := newProvider(t), newProvider(t)
	v, err := oidc.New([]oidc.Issuer{{Issuer: staff.URL, Audience: "app", Prefix: "staff:"}, {Issuer: public.URL, Audience: "app"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    *provider
		sub  string
		want string
	}{
		{staff, "ann", "staff:ann"}, {public, "ann", "ann"}, {staff, "staff:ann", "staff:staff:ann"},
		{public, "staff:ann", ""}, // or else it would be another's ann
	} {
		user, err := v.Verify(t.Context(), sign(t, jose.RS256, rsaKey, "rsa", "", c.p.claims(set("sub", c.sub))))
		if user != c.want || (c.want == "") != errors.Is(err, oidc.ErrRefused) {
			t.Errorf("%s: %q, %v", c.sub, user, err)
		}
	}
}

func TestIssuersAreChecked(t *testing.T) {
	a := oidc.Issuer{Issuer: "https://a.example", Audience: "app"}
	for name, issuers := range map[string][]oidc.Issuer{
		"without TLS":     {{Issuer: "http://a.example", Audience: "app"}},
		"no URL":          {{Issuer: "a", Audience: "app"}},
		"a query":         {{Issuer: "https://a.example?x", Audience: "app"}},
		"no audience":     {{Issuer: "https://a.example"}},
		"twice":           {a, {Issuer: "https://a.example", Audience: "app", Prefix: "b:"}},
		"two alike":       {a, {Issuer: "https://b.example", Audience: "app"}},
		"the same prefix": {{Issuer: "https://a.example", Audience: "app", Prefix: "b:"}, {Issuer: "https://b.example", Audience: "app", Prefix: "b:"}},
	} {
		if _, err := oidc.New(issuers); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := oidc.New(nil); err != nil {
		t.Error(err)
	}
}
