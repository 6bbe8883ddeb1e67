package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/sessiontest"
)

var (
	prod  = session.Environment{Name: "shop-prod"}
	about = session.Claims{User: "user-17", Event: "01a1fdea-7ada-74f0-ba72-90028f1c4841", Function: "invoice-mailer"}
)

func newMinter(t *testing.T, env session.Environment, store *sessiontest.Store) *session.Minter {
	t.Helper()
	m, err := session.NewMinter(env, session.NewKeys(store, sessiontest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newVerifier(t *testing.T, env session.Environment, store *sessiontest.Store) *session.Verifier {
	t.Helper()
	v, err := session.NewVerifier(env, session.NewKeys(store, sessiontest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mint(t *testing.T, m *session.Minter) string {
	t.Helper()
	token, _, err := m.Mint(context.Background(), about)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestASessionSaysForWhomItStandsAndIsAnotherEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.NewStore()
		m, v := newMinter(t, prod, store), newVerifier(t, prod, store)
		token, expires, err := m.Mint(t.Context(), about)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), token)
		if err != nil || got.Claims != about || !got.Expires.Equal(expires) || expires.Sub(got.Issued) != session.DefaultLifetime {
			t.Errorf("%+v, expires %s, %v", got, expires, err)
		}
		again, err := v.Verify(t.Context(), mint(t, m))
		if err != nil || again.ID == got.ID {
			t.Errorf("%+v, %v", again, err)
		}
		if session.TypeOf(token) != session.Type || session.TypeOf("x.y.z") != "" {
			t.Error("a session is not known by its type")
		}
	})
}

func TestASessionIsValidForAsLongAsTheEnvironmentSays(t *testing.T) {
	for minutes, want := range map[time.Duration]string{9: "want 10m0s to 20m0s", 10: "", 20: "", 21: "want 10m0s to 20m0s"} {
		synctest.Test(t, func(t *testing.T) {
			store := sessiontest.NewStore()
			env := session.Environment{Name: "shop-prod", Lifetime: minutes * time.Minute}
			m, err := session.NewMinter(env, session.NewKeys(store, sessiontest.Secret))
			if want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%d minutes: %v", minutes, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			v, token := newVerifier(t, prod, store), mint(t, m)
			time.Sleep(env.Lifetime - time.Second)
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Errorf("%d minutes: %v", minutes, err)
			}
			time.Sleep(time.Second)
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, session.ErrRefused) || !strings.Contains(err.Error(), "expired") {
				t.Errorf("after %d minutes: %v", minutes, err)
			}
		})
	}
}

func TestASessionNeedsAUserAnEventAndAFunction(t *testing.T) {
	m := newMinter(t, prod, sessiontest.NewStore())
	for _, c := range []struct {
		edit func(*session.Claims)
		want string
	}{
		{func(c *session.Claims) { c.User = "" }, "needs its user"},
		{func(c *session.Claims) { c.Event = "" }, "needs its event"},
		{func(c *session.Claims) { c.Function = "" }, "needs its function"},
		{func(c *session.Claims) { c.User = strings.Repeat("u", 513) }, "has 513 bytes: at most 512"},
	} {
		claims := about
		c.edit(&claims)
		if token, _, err := m.Mint(t.Context(), claims); err == nil || token != "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", claims, err)
		}
	}
}

func TestAKeyIsRotatedWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.NewStore()
		// Each reads the keys in its own time, as programs on Lambda do.
		m, v := newMinter(t, prod, store), newVerifier(t, prod, store)
		verify := func(token string) error { _, err := v.Verify(t.Context(), token); return err }
		if err := verify(mint(t, m)); err != nil {
			t.Fatal(err)
		}
		if err := store.Rotate(false); err != nil {
			t.Fatal(err)
		}
		// For an hour, a session of every minute is valid from its first to its
		// last second.
		for minute := range 60 {
			if minute%3 == 0 {
				m = newMinter(t, prod, store) // a new execution environment
			}
			token := mint(t, m)
			if err := verify(token); err != nil {
				t.Fatalf("minute %d, new: %v", minute, err)
			}
			go func() {
				time.Sleep(session.DefaultLifetime - time.Second)
				if err := verify(token); err != nil {
					t.Errorf("minute %d, old: %v", minute, err)
				}
			}()
			time.Sleep(time.Minute)
		}
		time.Sleep(session.DefaultLifetime)
		synctest.Wait()
	})
}

func TestAnOldKeyVerifiesNoMoreOnceItsLastSessionHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.NewStore()
		stolen, v := newMinter(t, prod, store.Stolen()), newVerifier(t, prod, store)
		if err := store.Rotate(false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(session.RotateAfter - time.Second)
		if _, err := v.Verify(t.Context(), mint(t, stolen)); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := v.Verify(t.Context(), mint(t, stolen)); !errors.Is(err, session.ErrRefused) {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestACompromisedKeyIsRefusedWithinFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.NewStore()
		m, v := newMinter(t, prod, store), newVerifier(t, prod, store)
		old := mint(t, m)
		if _, err := v.Verify(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if err := store.Rotate(true); err != nil {
			t.Fatal(err)
		}
		// What the new key signs is valid at once, to a verifier that has read
		// the keys half a minute ago; and so it learns of the rotation.
		time.Sleep(time.Minute)
		if _, err := v.Verify(t.Context(), mint(t, newMinter(t, prod, store))); err != nil {
			t.Errorf("new: %v", err)
		}
		if _, err := v.Verify(t.Context(), old); !errors.Is(err, session.ErrRefused) || !strings.Contains(err.Error(), "key is not one of those in use") {
			t.Errorf("old: %v", err)
		}
		other := newVerifier(t, prod, store)
		if _, err := other.Verify(t.Context(), old); !errors.Is(err, session.ErrRefused) {
			t.Errorf("old, elsewhere: %v", err)
		}
	})
}

func TestTokensOfUnknownKeysDoNotAskForTheKeysEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.NewStore()
		v, stranger := newVerifier(t, prod, store), newMinter(t, prod, sessiontest.NewStore())
		for range 600 {
			if _, err := v.Verify(t.Context(), mint(t, stranger)); !errors.Is(err, session.ErrRefused) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := store.Reads(); n > 3 {
			t.Errorf("read %d times in a minute", n)
		}
	})
}

func TestKeysThatWereReadStayInUseWhileSecretsManagerCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sessiontest.NewStore()
		m, v := newMinter(t, prod, store), newVerifier(t, prod, store)
		if _, err := v.Verify(t.Context(), mint(t, m)); err != nil {
			t.Fatal(err)
		}
		store.Fail(errors.New("no route to host"))
		time.Sleep(time.Hour)
		reads := store.Reads()
		for range 100 {
			if _, err := v.Verify(t.Context(), mint(t, m)); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.Reads() - reads; n != 2 { // one of each
			t.Errorf("tried %d times", n)
		}
		if _, _, err := newMinter(t, prod, store).Mint(t.Context(), about); err == nil || !strings.Contains(err.Error(), "secret test/test/function-session-keys): no route to host") {
			t.Errorf("without keys: %v", err)
		}
	})
}

func TestASecretThatHoldsNoKeyIsNamedAndNotShown(t *testing.T) {
	for _, text := range []string{`{"seed": "short-t0p"}`, "not JSON t0p", `{}`} {
		store := sessiontest.NewStore()
		store.Put(text)
		_, _, err := newMinter(t, prod, store).Mint(t.Context(), about)
		if err == nil || !strings.Contains(err.Error(), sessiontest.Secret) || strings.Contains(err.Error(), "t0p") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAFunctionReadsItsSettingsFromItsEnvironment(t *testing.T) {
	t.Setenv("PENSTOCK_APP", "shop")
	t.Setenv("PENSTOCK_ENV", "prod")
	t.Setenv("PENSTOCK_SESSION_KEYS", "")
	if _, _, err := session.FromEnvironment(sessiontest.NewStore()); err == nil || !strings.Contains(err.Error(), "storageApi") {
		t.Errorf("without keys: %v", err)
	}
	t.Setenv("PENSTOCK_SESSION_KEYS", sessiontest.Secret)
	for minutes, want := range map[string]string{"": "", "12": "", "5": "want 10m0s to 20m0s", "soon": "no whole number"} {
		t.Setenv("PENSTOCK_SESSION_MINUTES", minutes)
		env, keys, err := session.FromEnvironment(sessiontest.NewStore())
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", minutes, err)
			}
			continue
		}
		if err != nil || env.Name != "shop-prod" || keys == nil {
			t.Errorf("%q: %+v, %v", minutes, env, err)
		}
	}
}

func TestEveryAbuseOfASessionIsRefused(t *testing.T) {
	store := sessiontest.NewStore()
	good := mint(t, newMinter(t, prod, store))
	v := newVerifier(t, prod, store)
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	abuses, err := sessiontest.Abuses(prod.Name, good, store.Current())
	if err != nil {
		t.Fatal(err)
	}
	if len(abuses) < 40 {
		t.Errorf("only %d cases", len(abuses))
	}
	for _, a := range abuses {
		t.Run(a.Name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), a.Token)
			if !errors.Is(err, session.ErrRefused) || got != (session.Session{}) {
				t.Fatalf("taken as %+v (%v)", got, err)
			}
			if len(a.Token) > 20 && strings.Contains(err.Error(), a.Token[:20]) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
}

func FuzzNothingButWhatWasMintedIsASession(f *testing.F) {
	store := sessiontest.NewStore()
	m, err := session.NewMinter(prod, session.NewKeys(store, sessiontest.Secret))
	if err != nil {
		f.Fatal(err)
	}
	v, err := session.NewVerifier(prod, session.NewKeys(store, sessiontest.Secret))
	if err != nil {
		f.Fatal(err)
	}
	good, _, err := m.Mint(context.Background(), about)
	if err != nil {
		f.Fatal(err)
	}
	abuses, err := sessiontest.Abuses(prod.Name, good, store.Current())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, a := range abuses {
		f.Add(a.Token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.Verify(t.Context(), token); (err == nil) != (token == good) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
