package programs_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/local/internal/programs"
)

func TestFilesKeepTheirPathsAndWhatHasChangedStandsBesideTheOnesBefore(t *testing.T) {
	const manifest, schema = "functions/rates/function.json", "schemas/trading/RATE_SET.schema.json"
	dir := filepath.Join(t.TempDir(), "programs")
	copied := func(content string) string {
		t.Helper()
		folder, err := programs.Files(fstest.MapFS{manifest: {Data: []byte(content)}, schema: {Data: []byte("{}")}, "other": {}}, dir, []string{manifest, schema})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(folder, manifest))
		if err != nil || string(got) != content {
			t.Errorf("copied %q, %v; want %q", got, err, content)
		}
		if _, err := os.Stat(filepath.Join(folder, schema)); err != nil {
			t.Error(err)
		}
		return folder
	}
	first := copied("1")
	if again := copied("1"); again != first {
		t.Errorf("the same files became %s, and were %s", again, first)
	}
	second := copied("2")
	if second == first {
		t.Errorf("other files are in %s too", first)
	}
	if _, err := programs.Files(fstest.MapFS{}, dir, []string{manifest}); err == nil {
		t.Error("no error for a file that is not there")
	}
	if err := programs.Prune(dir, map[string]string{"": second}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(second) {
		t.Errorf("left %v, %v; want %s alone", left, err, second)
	}
}
