package watch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/scripts/internal/watch"
)

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsSavedTogetherIsToldTogether(t *testing.T) {
	dir := t.TempDir()
	w, err := watch.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(dir, filepath.Join(dir, "absent"), dir+"/"); err != nil {
		t.Fatal(err)
	}
	next := func(want ...string) {
		t.Helper()
		got, err := w.Next(t.Context())
		for i := range want {
			want[i] = filepath.Join(dir, want[i])
		}
		if err != nil || !slices.Equal(got.Files, want) {
			t.Fatalf("got %q, %v, want %q", got.Files, err, want)
		}
	}
	write(t, filepath.Join(dir, "b.go"), "b")
	write(t, filepath.Join(dir, "a.go.new"), "a")
	if err := os.Rename(filepath.Join(dir, "a.go.new"), filepath.Join(dir, "a.go")); err != nil {
		t.Fatal(err)
	}
	next("a.go", "a.go.new", "b.go")

	// A folder is watched once it is added, and again when it was replaced.
	for range 2 {
		if err := os.Mkdir(filepath.Join(dir, "absent"), 0o755); err != nil {
			t.Fatal(err)
		}
		next("absent")
		if err := w.Add(filepath.Join(dir, "absent")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "absent", "c.go"), "c")
		next("absent/c.go")
		if err := os.RemoveAll(filepath.Join(dir, "absent")); err != nil {
			t.Fatal(err)
		}
		next("absent", "absent/c.go")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); !errors.Is(err, watch.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestAProgramsSourcesAreThePackagesThatItIsBuiltOfAndWhatTheyEmbed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/shop\n\ngo 1.26\n")
	write(t, filepath.Join(root, "fee", "main.go"), "package main\n\nimport \"example.com/shop/rates\"\n\nfunc main() { println(rates.Table, broken) }\n")
	write(t, filepath.Join(root, "rates", "rates.go"), "package rates\n\nimport _ \"embed\"\n\n//go:embed data/table.txt\nvar Table string\n")
	write(t, filepath.Join(root, "rates", "data", "table.txt"), "1")
	write(t, filepath.Join(root, "other", "main.go"), "package main\n\nfunc main() {}\n")
	programs, err := watch.Programs(t.Context(), root, "", []string{"./fee", "./other"})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][2]bool{
		"fee/main.go":          {true, false},
		"fee/main_test.go":     {false, false},
		"rates/more.go":        {true, false},
		"rates/data/table.txt": {true, false},
		"rates/notes.txt":      {false, false},
		"other/main.go":        {false, true},
	} {
		file := filepath.Join(root, file)
		if got := [2]bool{programs["./fee"].Has(file), programs["./other"].Has(file)}; got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}
