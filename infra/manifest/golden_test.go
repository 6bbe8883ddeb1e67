package manifest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/manifest"
)

var update = flag.Bool("update", false, "write what the golden cases expect anew")

// A golden case is a project's files, and behind them what is expected: "want"
// is what was read, with its defaults, and "error" is the error.

func TestManifests(t *testing.T) {
	golden(t, "testdata/manifests", func(root fs.FS) (any, error) { return manifest.Load(root) })
}

func TestEnvironments(t *testing.T) {
	golden(t, "testdata/environments", func(root fs.FS) (any, error) {
		environments, err := manifest.LoadEnvironments(root)
		byName := map[string]manifest.Environment{}
		for _, env := range environments {
			byName[env.Name] = env
		}
		return byName, err
	})
}

func TestTypes(t *testing.T) {
	golden(t, "testdata/types", func(root fs.FS) (any, error) {
		functions, err := manifest.Load(root)
		if err != nil {
			return nil, err
		}
		types, err := schema.LoadProject(root)
		if err != nil {
			return nil, err
		}
		return "right", manifest.CheckTypes(functions, types)
	})
}

func TestTheProjectsOwnManifestsFitItsEventTypes(t *testing.T) {
	root := os.DirFS("../..")
	functions, err := manifest.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	types, err := schema.LoadProject(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := manifest.CheckTypes(functions, types); err != nil || len(functions) == 0 {
		t.Errorf("%d functions: %v", len(functions), err)
	}
}

func golden(t *testing.T, dir string, load func(root fs.FS) (any, error)) {
	cases, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no golden cases in %s: %v", dir, err)
	}
	for _, file := range cases {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			project := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if f.Name != "want" && f.Name != "error" {
					project.Files = append(project.Files, f)
				}
			}
			root, err := txtar.FS(project)
			if err != nil {
				t.Fatal(err)
			}
			got := *project
			if read, err := load(root); err != nil {
				got.Files = append(got.Files, txtar.File{Name: "error", Data: []byte(err.Error() + "\n")})
			} else {
				var want bytes.Buffer
				encoder := json.NewEncoder(&want)
				encoder.SetEscapeHTML(false)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(read); err != nil {
					t.Fatal(err)
				}
				got.Files = append(got.Files, txtar.File{Name: "want", Data: want.Bytes()})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(&got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := diff.Diff("expected", txtar.Format(archive), "got", txtar.Format(&got)); d != nil {
				t.Errorf("%s\n%s", bytes.TrimSpace(archive.Comment), d)
			}
		})
	}
}
