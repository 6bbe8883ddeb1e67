package devstate_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/devstate"
)

const file = "functions/fee/function.json"

func files(hash string) map[string]string { return map[string]string{file: hash, "cdk.json": "c"} }

func await(t *testing.T, url, hash string) error {
	t.Helper()
	return devstate.Await(t.Context(), url, file, hash, func(time.Duration) {})
}

func TestAnEditIsAwaitedUntilItIsDeployedOrRefused(t *testing.T) {
	root := t.TempDir()
	k := devstate.NewKeeper(devstate.State{Root: root, Watching: true, Node: true, Deployed: files("1")})
	server := httptest.NewServer(k)
	defer server.Close()

	state, err := devstate.Ask(t.Context(), server.URL)
	if err != nil || !state.Watching || !state.Node || !state.Runs(root) || state.Runs(t.TempDir()) {
		t.Fatalf("%+v, %v", state, err)
	}
	if err := await(t, server.URL, "1"); err != nil {
		t.Errorf("what is deployed: %v", err)
	}
	// One that comes while it is awaited.
	ended := make(chan error)
	go func() { ended <- await(t, server.URL, "2") }()
	k.Deployed(files("2"))
	if err := <-ended; err != nil {
		t.Errorf("what came to be deployed: %v", err)
	}
	// A fault is told to whoever saved that file, and not to others.
	k.Failed(files("3"), errors.New("quota exceeded"))
	if err := await(t, server.URL, "3"); err == nil || !strings.Contains(err.Error(), "could not apply it: quota exceeded") {
		t.Errorf("what failed: %v", err)
	}
	go func() { ended <- await(t, server.URL, "4") }()
	k.Deployed(files("4"))
	if err := <-ended; err != nil {
		t.Errorf("what came after a fault: %v", err)
	}
	// The file goes.
	k.Deployed(map[string]string{"cdk.json": "c"})
	if err := await(t, server.URL, ""); err != nil {
		t.Errorf("a file that is gone: %v", err)
	}
	k.Unwatched()
	if state, err := devstate.Ask(t.Context(), server.URL); err != nil || state.Watching {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestWhereNoDevListensThereIsNone(t *testing.T) {
	other := httptest.NewServer(nil)
	defer other.Close()
	for _, url := range []string{"http://127.0.0.1:1", other.URL} {
		if _, err := devstate.Ask(t.Context(), url); !errors.Is(err, devstate.ErrNone) {
			t.Errorf("%s: %v", url, err)
		}
		if err := await(t, url, "1"); !errors.Is(err, devstate.ErrNone) {
			t.Errorf("awaiting at %s: %v", url, err)
		}
	}
}
