package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/sessiontest"
	"github.com/penstock-dev/penstock/functions/system/storage-authorizer/oidc"
)

// lists says of every session whether it was revoked, or fails.
type lists struct {
	revoked bool
	err     error
}

func (l lists) Revoked(context.Context, session.Session) (bool, error) { return l.revoked, l.err }

func TestWhatCannotBeFoundOutLetsNobodyIn(t *testing.T) {
	env := session.Environment{Name: "shop-prod"}
	store := sessiontest.NewStore()
	minter, err := session.NewMinter(env, session.NewKeys(store, sessiontest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := minter.Mint(t.Context(), session.Claims{User: "ann", Event: "e", Function: "f"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lists   lists
		keys    error
		allowed bool
		fails   bool
	}{
		"a session":                        {allowed: true},
		"a revoked one":                    {lists: lists{revoked: true}},
		"revocations that cannot be read":  {lists: lists{err: errors.New("throttled")}, fails: true},
		"keys that cannot be read at all":  {keys: errors.New("denied"), fails: true},
		"neither, of a session or its key": {lists: lists{err: errors.New("throttled")}, keys: errors.New("denied"), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			store.Fail(c.keys)
			sessions, err := session.NewVerifier(env, session.NewKeys(store, sessiontest.Secret))
			if err != nil {
				t.Fatal(err)
			}
			users, err := oidc.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			a := &authorizer{sessions: sessions, users: users, revocations: c.lists, logger: slog.New(slog.NewJSONHandler(&log, nil))}
			got, err := a.handle(t.Context(), request{Headers: map[string]string{"authorization": "Bearer " + token}})
			if got.IsAuthorized != c.allowed || (err != nil) != c.fails || c.allowed && got.Context["user"] != "ann" {
				t.Errorf("%+v, %v", got, err)
			}
			if strings.Contains(log.String(), token[:30]) {
				t.Errorf("the log holds the session: %s", &log)
			}
		})
	}
}
