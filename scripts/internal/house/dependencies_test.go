package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/penstock-dev/penstock/"

// pkg is what `go list` says of a package. Imports are direct, those of its
// tests included.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr(err))
	}
	var list []pkg
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func stderr(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

// within reports whether a package is in one of the folders.
func within(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// allowed says which of the project's folders a folder may import; the most
// specific folder counts. Dependencies point one way: scripts → infra,
// functions, events; infra → events/pattern, the leaves of functions and
// the event types that its tests send; functions → events; events → none of them; schemas, generated, → nothing.
var allowed = []struct {
	folder string
	may    []string
}{
	{"infra/names", []string{"infra/names"}},
	{"infra/local", []string{"infra/local", "infra/internal", "infra/names", "infra/snapshots", "events/pattern"}},
	{"events/pattern", []string{"events/pattern"}},
	{"events/schema", []string{"events"}},
	{"functions/connector/topictags", []string{}},
	{"functions/handler/notification", []string{"functions/handler/notification", "events/pattern"}},
	{"infra/manifest", []string{"infra", "events", "functions/handler/notification", "functions/connector/call", "functions/connector/topictags", "functions/egress", "functions/pipeline"}},
	{"infra", []string{"infra", "events/pattern", "events/schema", "functions/handler/notification", "functions/connector/topictags", "functions/egress"}},
	{"functions", []string{"functions", "events"}},
	{"events", []string{"events"}},
	{"schemas", []string{}},
	{"scripts", []string{"scripts", "infra", "functions", "events"}},
}

func TestDependenciesPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		i := slices.IndexFunc(allowed, func(a struct {
			folder string
			may    []string
		}) bool {
			return within(p.path(), a.folder)
		})
		if i < 0 {
			t.Errorf("package %s is in none of the project's folders", p.path())
			continue
		}
		for _, imported := range p.Imports {
			path, ours := strings.CutPrefix(imported, module)
			if ours && !within(path, allowed[i].may...) {
				t.Errorf("%s imports %s: %s may import only %s", p.path(), path, allowed[i].folder, strings.Join(allowed[i].may, ", "))
			}
		}
	}
}

func TestOnlyTheCDKAppImportsTheCDK(t *testing.T) {
	app := []string{"infra", "infra/stacks"}
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			cdk := within(imported, "github.com/aws/aws-cdk-go", "github.com/aws/jsii-runtime-go", "github.com/aws/constructs-go")
			if (cdk || imported == module+"infra/stacks") && !slices.Contains(app, p.path()) {
				t.Errorf("%s imports %s: only infra and infra/stacks may", p.path(), imported)
			}
		}
	}
}

func TestTheLambdaRuntimesTypesStayOutOfUserCode(t *testing.T) {
	for _, p := range packages(t) {
		if !within(p.path(), "functions") || within(p.path(), "functions/handler", "functions/system", "functions/connector") {
			continue
		}
		if slices.Contains(p.Imports, "github.com/aws/aws-lambda-go/events") {
			t.Errorf("%s imports aws-lambda-go/events: a function sees typed messages only", p.path())
		}
	}
}

// A team that uses the libraries must not get the rest of the house with them.
func TestAConsumerOfTheLibrariesGetsNothingElse(t *testing.T) {
	house := []string{
		"github.com/aws/jsii-runtime-go", "github.com/aws/aws-cdk-go", "github.com/aws/constructs-go", // the CDK
		"github.com/spf13/cobra", "github.com/schollz/progressbar", // the command line
		"github.com/cockroachdb/pebble", // the local environment's store
		"modernc.org/sqlite",            // a driver for tests
		"github.com/aws/aws-sdk-go-v2/config",
	}
	const postgres = "github.com/jackc/pgx"
	for name, c := range map[string]struct {
		imports  []string
		unwanted []string
	}{
		"functions and DynamoDB": {[]string{"events", "events/outboxdynamo", "functions/handler"}, append(house, postgres)},
		"database/sql":           {[]string{"events", "events/outboxsql"}, append(house, postgres, "github.com/aws/aws-sdk-go-v2/service/dynamodb")},
		"pgx":                    {[]string{"events", "events/outboxpgx"}, append(house, "github.com/aws/aws-sdk-go-v2/service/dynamodb")},
	} {
		t.Run(name, func(t *testing.T) {
			sums := consumerSums(t, c.imports)
			for _, unwanted := range c.unwanted {
				if strings.Contains(sums, unwanted) {
					t.Errorf("a consumer's go.sum has %s", unwanted)
				}
			}
		})
	}
}

// consumerSums is the go.sum of a module that imports packages of this one.
func consumerSums(t *testing.T, imports []string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/consumer\n\ngo 1.26\n\nrequire "+strings.TrimSuffix(module, "/")+" v0.0.0\n\nreplace "+strings.TrimSuffix(module, "/")+" => "+root(t)+"\n")
	program := "package main\n\nimport (\n"
	for _, path := range imports {
		program += "\t_ \"" + module + path + "\"\n"
	}
	write("main.go", program+")\n\nfunc main() {}\n")
	tidy := exec.Command("go", "mod", "tidy")
	tidy.Dir = dir
	tidy.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := tidy.CombinedOutput(); err != nil {
		t.Fatalf("go mod tidy: %v\n%s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	return string(sums)
}
