package bundle

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// projectIn writes a project with one function into dir and works in it.
func projectIn(t *testing.T, dir, program string) {
	t.Helper()
	code := filepath.Join(dir, "functions", "hello")
	if err := os.MkdirAll(code, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		filepath.Join(dir, "go.mod"):   "module example.com/shop\n\ngo 1.26\n",
		filepath.Join(code, "main.go"): program,
	} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestAProgramIsBuiltForLambdaAndTheSameEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it compiles for Lambda, and -short is set")
	}
	const program = "package main\n\nfunc main() { println(\"hello\") }\n"
	git := func(args ...string) {
		t.Helper()
		command := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, output)
		}
	}
	build := func(commits int, goflags string) (binary, zip []byte) {
		t.Helper()
		projectIn(t, t.TempDir(), program)
		git("init", "-q")
		for i := range commits {
			if err := os.WriteFile("NOTES", []byte{byte('0' + i)}, 0o600); err != nil {
				t.Fatal(err)
			}
			git("add", ".")
			git("commit", "-q", "-m", "notes")
		}
		t.Setenv("GOFLAGS", goflags)
		dir, err := Build(t.Context(), ".", "functions/hello", "cdk.out/programs", io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if !filepath.IsAbs(dir) || filepath.Base(dir) != "hello" {
			t.Errorf("built into %s", dir)
		}
		file := filepath.Join(t.TempDir(), "hello.zip")
		if err := Pack(file, os.DirFS(dir), nil, nil); err != nil {
			t.Fatal(err)
		}
		return read(t, filepath.Join(dir, "bootstrap")), read(t, file)
	}
	binary, first := build(1, "")
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatalf("not a program for Linux: %v", err)
	}
	if file.Machine != elf.EM_AARCH64 {
		t.Errorf("built for %v, want arm64", file.Machine)
	}
	if _, second := build(2, "-race -tags=other"); !bytes.Equal(first, second) {
		t.Error("another folder, another commit and other GOFLAGS make another zip")
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAZipDependsOnNamesAndContentsAlone(t *testing.T) {
	zips := [2][]byte{}
	const manifest = "functions/hello/function.json"
	for i := range zips {
		dir, project := t.TempDir(), fstest.MapFS{manifest: {Data: []byte("of the project")}, "go.mod": {Data: []byte("stays out")}}
		names := []string{"bootstrap", "notes", "a/b"}
		if i == 1 {
			slices.Reverse(names)
		}
		for _, name := range names {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte("of "+name), fs.FileMode(0o600+i*0o111)); err != nil {
				t.Fatal(err)
			}
		}
		then := time.Date(2020+i, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(dir, "bootstrap"), then, then); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "of", "this.zip")
		if err := Pack(file, os.DirFS(dir), project, []string{manifest}); err != nil {
			t.Fatal(err)
		}
		zips[i] = read(t, file)
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("the same files make two zips")
	}
	archive, err := zip.NewReader(bytes.NewReader(zips[0]), int64(len(zips[0])))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
		if f.Mode() != 0o755 {
			t.Errorf("%s has mode %v, and Lambda runs what is executable", f.Name, f.Mode())
		}
	}
	if want := []string{"a/b", "bootstrap", manifest, "notes"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

func TestTheToolchainIsTheOneThatGoModNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go.mod")
	for text, want := range map[string]string{
		"module a\n\ngo 1.26.0\n\ntoolchain go1.26.8\n": "go1.26.8",
		"module a\n\ngo 1.26.0\n":                       "local",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := toolchain(file); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := toolchain(filepath.Join(t.TempDir(), "go.mod")); err == nil {
		t.Error("no error without a go.mod")
	}
}

func TestACompileErrorIsShown(t *testing.T) {
	projectIn(t, t.TempDir(), "package main\n\nfunc main() { helo() }\n")
	_, err := Build(t.Context(), ".", "functions/hello", "cdk.out/programs", io.Discard)
	if err == nil || !strings.Contains(err.Error(), "building functions/hello") || !strings.Contains(err.Error(), "undefined: helo") {
		t.Errorf("got %v, want what the compiler says", err)
	}
}
