// Package oidc is the test issuer: an OpenID Connect provider that gives a token
// to whoever asks for one, in any user's name. It stands where Cognito, or
// another provider, stands on AWS, and is known by its address for what it is: a
// URL on loopback, which no environment on AWS takes for an issuer.
//
// Discovery and keys are as programs expect them ("OpenID Connect Discovery
// 1.0"). Instead of a sign-in there is one call:
//
//	curl -s -d user=ann http://127.0.0.1:4566/_oidc/token
//
// Its key is made at each start: tokens of an earlier run are worth nothing.
package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// Prefix begins the paths of the issuer. Without the slash at its end, behind the
// environment's endpoint, it is the issuer's name.
const Prefix = "/_oidc/"

// validFor is how long a token is valid, as one of Cognito's is by default
// ("User pool app clients").
const validFor = time.Hour

// Issuer serves the test issuer. It is safe for concurrent use.
type Issuer struct {
	name, audience string
	key            jose.JSONWebKey
	signer         jose.Signer
	logger         *slog.Logger
	mux            *http.ServeMux
}

// New returns an issuer below endpoint, whose tokens are for audience.
func New(endpoint, audience string, logger *slog.Logger) (*Issuer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: private, KeyID: uuid.NewString(), Algorithm: string(jose.ES256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	i := &Issuer{name: endpoint + strings.TrimSuffix(Prefix, "/"), audience: audience, key: key, signer: signer, logger: logger, mux: http.NewServeMux()}
	i.mux.HandleFunc("GET "+Prefix+".well-known/openid-configuration", i.configuration)
	i.mux.HandleFunc("GET "+Prefix+"jwks.json", i.keys)
	i.mux.HandleFunc("POST "+Prefix+"token", i.token)
	return i, nil
}

// Name is the issuer's, as tokens say it.
func (i *Issuer) Name() string { return i.name }

// ServeHTTP answers a request whose path begins with [Prefix]. It answers to its
// own address alone: a page that a browser has loaded under another name, which
// leads here, gets no token.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		http.Error(w, "the test issuer answers on loopback alone", http.StatusMisdirectedRequest)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	i.mux.ServeHTTP(w, r)
}

func (i *Issuer) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.logger.Warn("the test issuer could not answer", "error", err)
	}
}

func (i *Issuer) configuration(w http.ResponseWriter, _ *http.Request) {
	i.write(w, map[string]any{
		"issuer": i.name, "jwks_uri": i.name + "/jwks.json", "token_endpoint": i.name + "/token",
		"id_token_signing_alg_values_supported": []string{string(jose.ES256)},
		"response_types_supported":              []string{"token"}, "subject_types_supported": []string{"public"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	i.write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
}

// token makes a token in the name of the form's user.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	user := r.PostFormValue("user")
	if user == "" || len(user) > 255 { // "OpenID Connect Core 1.0": a sub has at most 255 characters
		http.Error(w, "say in whose name: curl -d user=ann …, with 1 to 255 bytes", http.StatusBadRequest)
		return
	}
	now := time.Now()
	token, err := jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: i.name, Subject: user, Audience: jwt.Audience{i.audience}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(validFor)),
	}).Serialize()
	if err != nil {
		http.Error(w, fmt.Sprintf("signing: %v", err), http.StatusInternalServerError)
		return
	}
	i.write(w, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(validFor.Seconds())})
}
