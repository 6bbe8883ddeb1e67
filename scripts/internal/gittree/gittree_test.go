package gittree_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/scripts/internal/gittree"
)

// repository makes a git repository whose first commit, tagged v1, has the
// files; its folder "project" is returned.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: there is no git on the PATH")
	}
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "first"}, {"tag", "v1"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	return filepath.Join(root, "project")
}

func TestTheFilesOfAFolderAreReadAsTheyWereCommitted(t *testing.T) {
	dir := repository(t, map[string]string{
		"project/schemas/a/A.schema.json": "{}\n", "project/schemas/a/ü x.json": "no newline", "project/schemas/empty": "",
		"project/cdk.json": "{}", "schemas/b/B.schema.json": "of another project",
	})
	if err := os.WriteFile(filepath.Join(dir, "schemas/a/A.schema.json"), []byte("changed since"), 0o666); err != nil {
		t.Fatal(err)
	}
	files, err := gittree.FS(t.Context(), dir, "v1", "schemas")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(files, "a/A.schema.json", "a/ü x.json", "empty"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"a/A.schema.json": "{}\n", "a/ü x.json": "no newline", "empty": ""} {
		if got, err := fs.ReadFile(files, name); string(got) != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if found, _ := fs.Glob(files, "*/*"); len(found) != 2 {
		t.Errorf("got %q", found)
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	dir := repository(t, map[string]string{"project/cdk.json": "{}"})
	for _, c := range []struct{ dir, revision, folder, want string }{
		{dir, "v2", "schemas", `no revision "v2"`},
		{dir, "--help", "schemas", `no revision "--help"`},
		{dir, "v1:project", "schemas", `no revision "v1:project"`},
		{dir, "v1", "schemas", `revision "v1" has no folder schemas`},
		{t.TempDir(), "v1", "schemas", "is in no git repository"},
	} {
		_, err := gittree.FS(t.Context(), c.dir, c.revision, c.folder)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %v, want %q", c.revision, c.folder, err, c.want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := gittree.FS(t.Context(), dir, "v1", "schemas"); err == nil || err.Error() != "git is not installed" {
		t.Errorf("without git: %v", err)
	}
}
