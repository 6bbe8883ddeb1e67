package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	modpath "golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/penstock-dev/penstock/infra/internal/module"
	"github.com/penstock-dev/penstock/infra/names"
)

func TestPenstocksOwnProgramsAreBuiltFromTheModuleCacheOfAnAdopter(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it compiles for Lambda, and -short is set")
	}
	penstock := repository(t)
	want := ownPrograms(t, penstock)
	release := modpath.Version{Path: module.Path, Version: "v0.0.0-test"}
	t.Setenv("GOPROXY", proxyOf(t, release, penstock)+","+downloads(t))
	t.Setenv("GONOPROXY", "none")
	t.Setenv("GOSUMDB", "off") // it does not know this release; the sums of all else are in Penstock's go.sum
	t.Setenv("GOFLAGS", "")
	shopIn(t, t.TempDir(), penstock)
	emptyModuleCache(t)
	goCommand(t, "get", release.String())

	// A pipeline has the project's files, and a cache with nothing in it.
	cache := emptyModuleCache(t)
	testOwnProgramsBuild(t, want)

	folder, _, err := module.Locate(t.Context(), ".", names.SystemPackages+names.Breaker)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(folder, cache+string(filepath.Separator)) {
		t.Errorf("built in %s, which is not in the module cache, %s", folder, cache)
	}
	goCommand(t, "mod", "verify") // that nothing was written into it, which root may do
}

func TestPenstocksOwnProgramsAreBuiltFromAFolderThatReplacesPenstock(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it compiles for Lambda, and -short is set")
	}
	penstock := repository(t)
	want := ownPrograms(t, penstock)
	shopIn(t, t.TempDir(), penstock)
	goCommand(t, "mod", "edit", "-require="+module.Path+"@v0.0.0", "-replace="+module.Path+"="+penstock)
	testOwnProgramsBuild(t, want)
}

// testOwnProgramsBuild tests that the project that the test works in makes the
// programs as they are in want, and that it need not have in its go.sum what they
// are made of.
func testOwnProgramsBuild(t *testing.T, want map[string][]byte) {
	t.Helper()
	gomod, gosum := read(t, "go.mod"), readIfAny(t, "go.sum")
	for line := range strings.Lines(string(gosum)) {
		if !strings.HasPrefix(line, module.Path+" ") {
			t.Errorf("the project's go.sum has, before anything is built, %s", line)
		}
	}
	for program, binary := range want {
		if !bytes.Equal(built(t, program), binary) {
			t.Errorf("an adopter's %s is another program than Penstock's own", program)
		}
	}
	if now := read(t, "go.mod"); !bytes.Equal(now, gomod) {
		t.Errorf("building changed the project's go.mod to\n%s", now)
	}
	if now := readIfAny(t, "go.sum"); !bytes.Equal(now, gosum) {
		t.Errorf("building changed the project's go.sum to\n%s", now)
	}
}

// ownPrograms builds Penstock's own programs in its repository.
func ownPrograms(t *testing.T, penstock string) map[string][]byte {
	t.Helper()
	t.Chdir(penstock)
	return map[string][]byte{
		names.OutboxRelay:    built(t, names.OutboxRelay),
		names.Breaker:        built(t, names.Breaker),
		names.PipelineRunner: built(t, names.PipelineRunner),
	}
}

// built builds one of Penstock's own programs from the project that the test works in.
func built(t *testing.T, program string) []byte {
	t.Helper()
	dir, err := Build(t.Context(), ".", names.SystemPackages+program, t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, filepath.Join(dir, "bootstrap"))
}

// shopIn writes an adopter's project into dir, with Penstock's own toolchain, and
// works in it. It does not require Penstock yet.
func shopIn(t *testing.T, dir, penstock string) {
	t.Helper()
	projectIn(t, dir, "package main\n\nfunc main() {}\n")
	compiler, err := toolchain(filepath.Join(penstock, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	goCommand(t, "mod", "edit", "-toolchain="+compiler)
}

// emptyModuleCache has the go command use a module cache of the test's own.
func emptyModuleCache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GOMODCACHE", dir)
	t.Cleanup(func() { // what is in it is read-only
		clean := exec.Command("go", "clean", "-modcache")
		clean.Env = append(os.Environ(), "GOMODCACHE="+dir)
		if output, err := clean.CombinedOutput(); err != nil {
			t.Errorf("go clean -modcache: %v\n%s", err, output)
		}
	})
	return dir
}

// downloads is a module proxy with what this machine has downloaded, which is all
// that Penstock's programs are made of: the test reaches no network.
func downloads(t *testing.T) string {
	t.Helper()
	return "file://" + filepath.Join(strings.TrimSpace(goCommand(t, "env", "GOMODCACHE")), "cache", "download")
}

// proxyOf writes a module proxy that has one release of a module: the files of its
// repository, in the layout of the Go Modules Reference, "GOPROXY protocol".
func proxyOf(t *testing.T, release modpath.Version, repository string) string {
	t.Helper()
	root := t.TempDir()
	versions := filepath.Join(root, filepath.FromSlash(release.Path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := modzip.Create(&archive, release, repositoryFiles(t, repository)); err != nil {
		t.Fatal(err)
	}
	for extension, content := range map[string][]byte{
		".info": fmt.Appendf(nil, `{"Version":%q}`, release.Version),
		".mod":  read(t, filepath.Join(repository, "go.mod")),
		".zip":  archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(versions, release.Version+extension), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + root
}

// repositoryFiles is every file that git knows or would add, as it is now.
func repositoryFiles(t *testing.T, repository string) []modzip.File {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = repository
	output, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var files []modzip.File
	for name := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x00"), "\x00") {
		file := repositoryFile{repository, name}
		if _, err := file.Lstat(); errors.Is(err, fs.ErrNotExist) {
			continue // removed, and not yet committed
		}
		files = append(files, file)
	}
	return files
}

type repositoryFile struct{ root, name string }

func (f repositoryFile) Path() string                 { return f.name }
func (f repositoryFile) Lstat() (fs.FileInfo, error)  { return os.Lstat(f.file()) }
func (f repositoryFile) Open() (io.ReadCloser, error) { return os.Open(f.file()) }
func (f repositoryFile) file() string                 { return filepath.Join(f.root, filepath.FromSlash(f.name)) }

// repository is Penstock's own folder.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goCommand runs the go command in the project that the test works in, and returns
// what it prints.
func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.Command("go", args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// readIfAny is the content of a file, or nothing of one that is not there.
func readIfAny(t *testing.T, file string) []byte {
	t.Helper()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return read(t, file)
}
