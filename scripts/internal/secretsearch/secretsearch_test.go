package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

func TestAnOutputInWhichAValueWasPlantedIsRefusedAndAnyOtherPasses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "output")
	for text, want := range map[string]int{
		"ok\tpackage\t1.2s\n":                                   0,
		"--- PASS: TestX\n    x_test.go:1: token ":              0,
		"ok\n    x_test.go:1: " + secretstest.Value("x") + "\n": 1,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, dir} {
			var out bytes.Buffer
			if got := run([]string{path}, &out, io.Discard); got != want {
				t.Errorf("exit status %d, want %d", got, want)
			}
			if want == 1 && !strings.HasPrefix(out.String(), file+":2: ") || secretstest.IsValue(out.String()) {
				t.Errorf("it does not say where, or it says what")
			}
		}
	}
	if got := run([]string{filepath.Join(dir, "none")}, io.Discard, io.Discard); got != 2 {
		t.Errorf("a file that does not exist: exit status %d", got)
	}
	if got := run(nil, io.Discard, io.Discard); got != 2 {
		t.Errorf("nothing to search: exit status %d", got)
	}
}
