package programs_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/programs"
)

func TestAProgramThatHasChangedStandsBesideTheOneBefore(t *testing.T) {
	root, dir := t.TempDir(), filepath.Join(t.TempDir(), "programs")
	t.Setenv("TMPDIR", t.TempDir())
	write := func(file, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := func() string {
		t.Helper()
		out, err := programs.Build(t.Context(), root, dir, []string{"./fee"})
		if err != nil {
			t.Fatal(err)
		}
		return out["./fee"]
	}
	write("go.mod", "module example.com/shop\n\ngo 1.26\n")
	write("fee/main.go", "package main\n\nfunc main() { println(1) }\n")
	first := build()
	if again := build(); again != first {
		t.Errorf("unchanged code became %s, and was %s", again, first)
	}
	write("fee/main.go", "package main\n\nfunc main() { println(nonsense) }\n")
	if _, err := programs.Build(t.Context(), root, dir, []string{"./fee"}); err == nil || !strings.Contains(err.Error(), "fee/main.go:3:23: undefined: nonsense") {
		t.Errorf("code that does not compile: %v", err)
	}
	write("fee/main.go", "package main\n\nfunc main() { println(2) }\n")
	second := build()
	if second == first {
		t.Errorf("changed code stayed at %s", first)
	}
	if _, err := os.Stat(first); err != nil {
		t.Error("the program before is gone:", err)
	}
	if err := programs.Prune(dir, map[string]string{"./fee": second}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); err == nil {
		t.Error("the program before is still there")
	}
	if _, err := os.Stat(second); err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := programs.Build(ctx, root, dir, []string{"./fee"}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
