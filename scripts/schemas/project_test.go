package schemas_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is made into the cases, instead of comparing")

// cases are the files testdata/*.txtar; each is a package example.com/app/<name>
// of a module that requires Penstock, as an adopter's does.
func cases(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases:", err)
	}
	all := map[string]*txtar.Archive{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".txtar")] = archive
	}
	return all
}

// made is the folder of a module in which all cases have been generated: those
// of testdata in <case>, and Penstock's own event types in own.
func made(t *testing.T) string {
	t.Helper()
	makeOnce.Do(func() { makeCases(t) })
	if madeDir == "" {
		t.Skip("the cases were not made: see the first test that failed for it")
	}
	return madeDir
}

var (
	makeOnce sync.Once
	madeDir  string
)

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(madeDir)
	os.Exit(code)
}

func makeCases(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "schemas")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if madeDir == "" {
			_ = os.RemoveAll(dir)
		}
	})
	newModule(t, dir)
	var imports, calls strings.Builder
	for name, archive := range cases(t) {
		for _, file := range archive.Files {
			if !strings.HasPrefix(file.Name, "want/") {
				write(t, filepath.Join(dir, name, file.Name), file.Data)
			}
		}
		fmt.Fprintf(&imports, "\t%q\n", "example.com/app/"+name)
		if name == "errors" {
			fmt.Fprintf(&calls, "\tfailures(%q, errors.Catalogues)\n", name)
			continue
		}
		fmt.Fprintf(&calls, "\tgenerate(%q, %s.All)\n", name, name)
	}
	manifests, err := filepath.Glob("../../functions/*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(manifests, "../../infra/tables.json") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "own", strings.TrimPrefix(file, "../../")), data)
	}
	write(t, filepath.Join(dir, "main.go"), []byte(`package main

import (
	"fmt"
	"os"
	"strings"

`+imports.String()+`
	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/catalogue"
	"github.com/penstock-dev/penstock/scripts/schemas"
)

func generate(name string, c *events.Catalogue) {
	if err := schemas.Write(name, c); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func failures(name string, all []*events.Catalogue) {
	var text strings.Builder
	for _, c := range all {
		_, err := schemas.Files(os.DirFS(name), c)
		fmt.Fprintln(&text, err)
	}
	if err := os.WriteFile(name+"/errors", []byte(text.String()), 0o600); err != nil {
		panic(err)
	}
}

func main() {
`+calls.String()+`	generate("own", catalogue.All)
}
`))
	run(t, dir, "go", "run", ".")
	madeDir = dir
}

// newModule makes dir a module that requires this one, with what it requires.
func newModule(t testing.TB, dir string) {
	t.Helper()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	const penstock = "github.com/penstock-dev/penstock"
	mod = bytes.Replace(mod, []byte("module "+penstock+"\n"), []byte("module example.com/app\n\nrequire "+penstock+" v0.0.0\n\nreplace "+penstock+" => "+root+"\n"), 1)
	write(t, filepath.Join(dir, "go.mod"), mod)
	write(t, filepath.Join(dir, "go.sum"), sum)
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in a folder, and returns what it printed.
func run(t testing.TB, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
