// Package devstate is what a running `penstock dev` tells the other commands of
// itself, on its own port: whose project it runs, whether it follows what is saved
// there, and what came of it.
//
// A command that edits a manifest saves it, and waits ([Await]) until the
// environment is made of it, or until dev says what is wrong. There is no other way
// to have dev apply something: a person's editor and a command do the same.
package devstate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Path is where dev tells it.
const Path = "/_dev/state"

// State is what a running dev tells of itself.
type State struct {
	Root     string `json:"root"`     // the project's folder
	Watching bool   `json:"watching"` // whether it follows what is saved, since it began to start
	Node     bool   `json:"node"`     // whether it has Node, to synthesize with

	// Deployed are the hashes of the files that the running templates were made of,
	// by path in the project, as package snapshots has them.
	Deployed map[string]string `json:"deployed"`
	// Tried are those of the last synthesis that did not come to be deployed, and
	// Fault is why; both are empty when the newest is deployed.
	Tried map[string]string `json:"tried,omitempty"`
	Fault string            `json:"fault,omitempty"`
}

// Keeper holds the state of a dev, and serves it. It is safe for concurrent use.
type Keeper struct {
	mu    sync.Mutex
	state State
}

// NewKeeper begins with a state.
func NewKeeper(state State) *Keeper { return &Keeper{state: state} }

// Deployed says that the environment is made of files.
func (k *Keeper) Deployed(files map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Deployed, k.state.Tried, k.state.Fault = maps.Clone(files), nil, ""
}

// Failed says that it could not be made of files, and why.
func (k *Keeper) Failed(files map[string]string, why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Tried, k.state.Fault = maps.Clone(files), why.Error()
}

// Unwatched says that what is saved is not followed any more.
func (k *Keeper) Unwatched() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Watching = false
}

// ServeHTTP tells the state.
func (k *Keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	k.mu.Lock()
	text, err := json.Marshal(k.state)
	k.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// ErrNone is returned where no dev listens.
var ErrNone = errors.New("no `penstock dev` runs")

var client = &http.Client{Timeout: 10 * time.Second}

// Ask asks the dev at an endpoint. The error is ErrNone if there is none.
func Ask(ctx context.Context, endpoint string) (State, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+Path, nil)
	if err != nil {
		return State{}, err
	}
	answer, err := client.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return State{}, ErrNone
	}
	if err != nil {
		return State{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return State{}, ErrNone // something else listens there
	}
	var state State
	err = json.NewDecoder(answer.Body).Decode(&state)
	return state, err
}

// Runs reports whether the dev runs the project in a folder.
func (s State) Runs(root string) bool { return real(s.Root) == real(root) }

func real(dir string) string {
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		return resolved
	}
	return dir
}

const (
	askEvery = 200 * time.Millisecond
	// tellEvery is how often Await says that it still waits: a first synthesis
	// compiles the CDK app.
	tellEvery = 10 * time.Second
)

// Await waits until the environment at an endpoint is made of a file as its hash
// says; an empty hash: without the file. The error is what dev says is wrong with
// it, or that dev has ended. waiting is called every ten seconds meanwhile.
func Await(ctx context.Context, endpoint, file, hash string, waiting func(since time.Duration)) error {
	began := time.Now()
	ask, tell := time.NewTicker(askEvery), time.NewTicker(tellEvery)
	defer ask.Stop()
	defer tell.Stop()
	for {
		state, err := Ask(ctx, endpoint)
		switch {
		case err != nil:
			return fmt.Errorf("waiting for `penstock dev`: %w", err)
		case state.Deployed[file] == hash:
			return nil
		case state.Fault != "" && state.Tried[file] == hash:
			return fmt.Errorf("`penstock dev` could not apply it: %s", state.Fault)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tell.C:
			waiting(time.Since(began).Round(time.Second))
		case <-ask.C:
		}
	}
}
