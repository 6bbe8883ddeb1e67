package oidc_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/penstock-dev/penstock/infra/local/internal/oidc"
)

const endpoint = "http://127.0.0.1:4566"

func newIssuer(t *testing.T) *oidc.Issuer {
	t.Helper()
	issuer, err := oidc.New(endpoint, "shop-local", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

func ask(issuer *oidc.Issuer, method, path, host, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	r.Host = host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	issuer.ServeHTTP(w, r)
	return w
}

func TestATokenIsVerifiedByWhatDiscoveryLeadsTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuer(t)
		get := func(path string, into any) {
			t.Helper()
			w := ask(issuer, "GET", path, "127.0.0.1:4566", "")
			if err := json.NewDecoder(w.Body).Decode(into); err != nil || w.Code != 200 {
				t.Fatal(w.Code, err)
			}
		}
		var configuration struct {
			Issuer string `json:"issuer"`
			JWKS   string `json:"jwks_uri"`
			Token  string `json:"token_endpoint"`
		}
		get("/_oidc/.well-known/openid-configuration", &configuration)
		if configuration.Issuer != endpoint+"/_oidc" || configuration.Issuer != issuer.Name() {
			t.Errorf("%+v", configuration)
		}
		var keys jose.JSONWebKeySet
		get(strings.TrimPrefix(configuration.JWKS, endpoint), &keys)
		if len(keys.Keys) != 1 || !keys.Keys[0].IsPublic() {
			t.Fatalf("%+v", keys)
		}
		var answer struct {
			Token string `json:"access_token"`
		}
		w := ask(issuer, "POST", strings.TrimPrefix(configuration.Token, endpoint), "localhost:4566", url.Values{"user": {"ann"}}.Encode())
		if err := json.NewDecoder(w.Body).Decode(&answer); err != nil || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatal(err)
		}
		token, err := jwt.ParseSigned(answer.Token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil || token.Headers[0].KeyID != keys.Keys[0].KeyID {
			t.Fatal(err)
		}
		var claims jwt.Claims
		if err := token.Claims(keys.Keys[0], &claims); err != nil {
			t.Fatal(err)
		}
		if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: issuer.Name(), Subject: "ann", AnyAudience: jwt.Audience{"shop-local"}, Time: time.Now()}, 0); err != nil {
			t.Error(err)
		}
		if claims.Expiry.Time().Sub(time.Now()) != time.Hour {
			t.Errorf("expires %s", claims.Expiry.Time())
		}
	})
}

func TestNobodyElseGetsAToken(t *testing.T) {
	issuer := newIssuer(t)
	for _, c := range []struct {
		method, path, host, form string
		want                     int
	}{
		{"POST", "/_oidc/token", "127.0.0.1:1", "user=ann", http.StatusOK},
		{"POST", "/_oidc/token", "[::1]:1", "user=ann", http.StatusOK},
		{"POST", "/_oidc/token", "attacker.example", "user=ann", http.StatusMisdirectedRequest},
		{"POST", "/_oidc/token", "127.0.0.1.attacker.example:80", "user=ann", http.StatusMisdirectedRequest},
		{"GET", "/_oidc/token?user=ann", "127.0.0.1", "", http.StatusMethodNotAllowed},
		{"POST", "/_oidc/token?user=ann", "127.0.0.1", "", http.StatusBadRequest},
		{"POST", "/_oidc/token", "127.0.0.1", "user=", http.StatusBadRequest},
		{"POST", "/_oidc/token", "127.0.0.1", "user=" + strings.Repeat("u", 256), http.StatusBadRequest},
		{"POST", "/_oidc/token", "127.0.0.1", "user=" + strings.Repeat("u", 5000), http.StatusBadRequest},
		{"GET", "/_oidc/other", "127.0.0.1", "", http.StatusNotFound},
	} {
		w := ask(issuer, c.method, c.path, c.host, c.form)
		body, _ := io.ReadAll(w.Body)
		if w.Code != c.want || w.Code != http.StatusOK && strings.Contains(string(body), "eyJ") {
			t.Errorf("%s %s at %s: %d", c.method, c.path, c.host, w.Code)
		}
	}
}
