package stacks

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	build := func(goflags string) []byte {
		projectIn(t, t.TempDir(), program)
		t.Setenv("GOFLAGS", goflags)
		dir, err := goBuild("cdk.out/programs")("functions/hello")
		if err != nil {
			t.Fatal(err)
		}
		if !filepath.IsAbs(dir) || filepath.Base(dir) != "hello" {
			t.Errorf("built into %s", dir)
		}
		binary, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		return binary
	}
	first := build("")
	file, err := elf.NewFile(bytes.NewReader(first))
	if err != nil {
		t.Fatalf("not a program for Linux: %v", err)
	}
	if file.Machine != elf.EM_AARCH64 {
		t.Errorf("built for %v, want arm64", file.Machine)
	}
	if second := build("-race -tags=other"); !bytes.Equal(first, second) {
		t.Error("another folder and other GOFLAGS make another program")
	}
}

func TestACompileErrorIsShown(t *testing.T) {
	projectIn(t, t.TempDir(), "package main\n\nfunc main() { helo() }\n")
	_, err := goBuild("cdk.out/programs")("functions/hello")
	if err == nil || !strings.Contains(err.Error(), "building functions/hello") || !strings.Contains(err.Error(), "undefined: helo") {
		t.Errorf("got %v, want what the compiler says", err)
	}
}
