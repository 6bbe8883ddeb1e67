package snapshots_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// This needs no Node: where the CDK's tests are skipped, a forgotten
// `go generate` is found all the same.
func TestTheSnapshotsOfThisProjectAreCurrent(t *testing.T) {
	root := os.DirFS("../..")
	environments, err := manifest.LoadEnvironments(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range environments {
		s, err := snapshots.Load(root, env.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		stale, err := s.Stale(root)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.StaleError(stale); err != nil {
			t.Error(err)
		}
	}
}

func project() fstest.MapFS {
	file := func(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }
	return fstest.MapFS{
		"cdk.json":                           file(`{}`),
		"functions/fee/function.json":        file(`{"name": "fee"}`),
		"functions/fee/handler.go":           file(`package main`),
		"infra/environments.json":            file(`{}`),
		"infra/main.go":                      file(`package main`),
		"infra/main_test.go":                 file(`package main`),
		"infra/local/local.go":               file(`package local`),
		"infra/snapshots/dev/other.json":     file(`{}`),
		"infra/stacks/stacks.go":             file(`package stacks`),
		"infra/stacks/testdata/example.json": file(`{}`),
		"schemas/shop/ORDER.schema.json":     file(`{}`),
		"schemas/shop/ORDER.sample.json":     file(`{}`),
	}
}

func TestInputsAreWhatASynthesisReads(t *testing.T) {
	inputs, err := snapshots.Inputs(project())
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(inputs))
	want := []string{"cdk.json", "functions/fee/function.json", "infra/environments.json", "infra/main.go", "infra/stacks/stacks.go", "schemas/shop/ORDER.schema.json"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// printf '{}' | sha256sum
	if want := "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"; inputs["cdk.json"] != want {
		t.Errorf("cdk.json has hash %s, want %s", inputs["cdk.json"], want)
	}
}

func TestASnapshotNamesWhatIsNewer(t *testing.T) {
	root := project()
	inputs, err := snapshots.Inputs(root)
	if err != nil {
		t.Fatal(err)
	}
	s := &snapshots.Snapshot{Env: "dev", Inputs: inputs}
	stale, err := s.Stale(root)
	if err != nil || len(stale) != 0 || s.StaleError(stale) != nil {
		t.Errorf("nothing changed: got %q, %v, %v", stale, err, s.StaleError(stale))
	}

	root["functions/fee/function.json"].Data = []byte(`{"name": "fee", "memoryMB": 512}`) // changed
	root["infra/tables.json"] = &fstest.MapFile{Data: []byte(`{}`)}                       // added
	delete(root, "cdk.json")                                                              // removed
	root["functions/fee/handler.go"].Data = []byte(`package main // no input`)
	stale, err = s.Stale(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cdk.json", "functions/fee/function.json", "infra/tables.json"}; !slices.Equal(stale, want) {
		t.Errorf("got %q, want %q", stale, want)
	}
	if got, want := s.StaleError(stale).Error(), `the snapshot of environment "dev" is older than cdk.json, functions/fee/function.json, infra/tables.json: run go generate ./...`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASnapshotIsReadAsItWasWritten(t *testing.T) {
	s := &snapshots.Snapshot{
		App: "shop", Env: "dev", Stacks: []string{"shop-dev-bus", "shop-dev-a"},
		Inputs:    map[string]string{"cdk.json": "44"},
		Templates: map[string]json.RawMessage{"shop-dev-bus": json.RawMessage("{\n}\n"), "shop-dev-a": json.RawMessage(`{"Resources":{}}`)},
	}
	root := write(t, s)
	got, err := snapshots.Load(root, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, want %+v", got, s)
	}

	delete(root, "infra/snapshots/dev/shop-dev-a.template.json")
	if _, err := snapshots.Load(root, "dev"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `stack "shop-dev-a" has no template: go generate ./... makes it`) {
		t.Errorf("without a template: %v", err)
	}
	root["infra/snapshots/dev/shop-dev-a.template.json"] = &fstest.MapFile{Data: []byte("<<<<<<< ours")}
	if _, err := snapshots.Load(root, "dev"); err == nil || !strings.Contains(err.Error(), "is not JSON") {
		t.Errorf("with a broken template: %v", err)
	}
	if _, err := snapshots.Load(root, "prod"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `environment "prod" has no snapshot: go generate ./... makes it`) {
		t.Errorf("of another environment: %v", err)
	}
}

func write(t *testing.T, s *snapshots.Snapshot) fstest.MapFS {
	t.Helper()
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	root := fstest.MapFS{}
	for file, content := range files {
		root[file] = &fstest.MapFile{Data: content}
	}
	return root
}
