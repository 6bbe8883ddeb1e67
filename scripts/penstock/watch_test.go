package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

// screen is what a command has printed so far.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
	seen int
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits for a text that was not on the screen when it was last called.
func (s *screen) shows(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the screen shows %q", text), func() bool {
		all := s.String()
		at := strings.Index(all[s.seen:], text)
		if at < 0 {
			return false
		}
		s.seen += at + len(text)
		return true
	})
}

// shop is a project that uses Penstock as an adopter's does, in a folder of its
// own, with a running `penstock dev`.
type shop struct {
	dir    string
	dev    *dev
	aws    aws.Config
	screen *screen
}

// answering is a function's program that answers every invocation with a text,
// which package text holds.
const answering = `package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"example.com/shop/text"
)

func main() { lambda.Start(func() (string, error) { return text.Answer, nil }) }
`

// copyShop makes a project that uses Penstock as an adopter's does, in a folder: the
// functions of this repository, in a module of its own.
func copyShop(root, dir string) error {
	files := []string{"go.sum", "cdk.json", "infra/main.go", "infra/environments.json", "infra/tables.json"}
	functions, err := manifest.Load(os.DirFS(root))
	if err != nil {
		return err
	}
	for _, f := range functions {
		all, err := fs.Glob(os.DirFS(root), f.Dir+"/*.*")
		if err != nil {
			return err
		}
		files = append(files, slices.DeleteFunc(all, func(file string) bool { return strings.HasSuffix(file, "_test.go") })...)
	}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err
		}
		if err := writeBelow(dir, file, data); err != nil {
			return err
		}
	}
	for _, folder := range []string{"infra/snapshots/local", "infra/snapshots/prod", "schemas"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			return err
		}
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	return writeBelow(dir, "go.mod", []byte(strings.Replace(string(module), "module github.com/penstock-dev/penstock", "module example.com/shop", 1)+
		"\nrequire github.com/penstock-dev/penstock v0.0.0\n\nreplace github.com/penstock-dev/penstock => "+root+"\n"))
}

func writeBelow(dir, file string, data []byte) error {
	file = filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func startShop(t *testing.T, path string) *shop {
	t.Helper()
	s := &shop{dir: t.TempDir(), screen: &screen{}}
	if err := copyShop(projectRoot(t), s.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "functions/trade-allocated/handler.go")); err != nil {
		t.Fatal(err)
	}
	s.write(t, "functions/trade-allocated/main.go", answering)
	s.answer(t, `"one"`)
	s.start(t, path)
	return s
}

// start starts `penstock dev` in the shop, as a terminal does: in a process group
// of its own. path is its PATH; empty: that of the tests.
func (s *shop) start(t *testing.T, path string) {
	t.Helper()
	cmd := exec.Command("penstock", "dev", "--port", "0")
	cmd.Dir = s.dir
	cmd.Stderr = s.screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = os.Environ()
	if path != "" {
		cmd.Env = append(cmd.Env, "PATH="+path)
	}
	dataDir := filepath.Join(s.dir, ".penstock", "local")
	secretstest.SearchAtEnd(t, filepath.Join(dataDir, "logs"))
	t.Cleanup(func() { t.Logf("the screen:\n%s", s.screen) })
	d, err := devtest.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Kill)
	t.Cleanup(func() { recognisable(t, d) })
	s.dev, s.aws = &dev{d, dataDir, d.AWS()}, d.AWS()
}

func (s *shop) write(t *testing.T, file, content string) {
	t.Helper()
	if err := writeBelow(s.dir, file, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// edit replaces a part of a file, which must be there.
func (s *shop) edit(t *testing.T, file, old, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil || !strings.Contains(string(data), old) {
		t.Fatalf("%s does not hold %q (%v)", file, old, err)
	}
	s.write(t, file, strings.Replace(string(data), old, to, 1))
}

// answer saves what the function answers.
func (s *shop) answer(t *testing.T, expression string) {
	t.Helper()
	s.write(t, "text/text.go", "package text\n\nconst Answer = "+expression+"\n")
}

func (s *shop) answers(t *testing.T, want string) {
	t.Helper()
	out, err := lambda.NewFromConfig(s.aws).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("penstock-local-trade-allocated")})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal(out.Payload, &got); err != nil || got != want {
		t.Fatalf("the function answers %s, want %q", out.Payload, want)
	}
}

func (s *shop) timeout(t *testing.T) int32 {
	t.Helper()
	out, err := lambda.NewFromConfig(s.aws).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("penstock-local-trade-allocated")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Timeout
}

func TestSavedGoCodeIsSwappedAndCodeThatDoesNotCompileIsShownWhileTheOldRuns(t *testing.T) {
	s := startShop(t, "")
	s.answers(t, "one")
	s.answer(t, `"two"`) // in a package that the function imports
	s.screen.shows(t, "rebuilt in")
	s.screen.shows(t, "s: trade-allocated\n")
	s.answers(t, "two")

	s.answer(t, `nonsense`)
	s.screen.shows(t, "text/text.go:3:16: undefined: nonsense")
	s.screen.shows(t, "what runs goes on as it was")
	s.answers(t, "two")

	s.answer(t, `"three"`)
	s.screen.shows(t, "rebuilt in")
	s.answers(t, "three")

	// A package that is new, imported by a function from now on.
	s.write(t, "words/words.go", "package words\n\nconst Word = \"four\"\n")
	s.write(t, "text/text.go", "package text\n\nimport \"example.com/shop/words\"\n\nconst Answer = words.Word\n")
	s.screen.shows(t, "rebuilt in")
	s.answers(t, "four")
	s.write(t, "words/words.go", "package words\n\nconst Word = \"five\"\n")
	s.screen.shows(t, "rebuilt in")
	s.answers(t, "five")

	if err := s.dev.Signal(syscall.SIGINT); err != nil {
		t.Fatalf("ended with %v", err)
	}
	if left := s.dev.children(t); len(left) > 0 {
		t.Fatalf("outlived it: %v", left)
	}
}

func TestASavedManifestUpdatesWhatRunsAndKeepsData(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: a synthesis needs Node, and there is no node on the PATH")
	}
	s := startShop(t, "")
	const manifest = "functions/trade-allocated/function.json"
	functions, queues := lambda.NewFromConfig(s.aws), sqs.NewFromConfig(s.aws)
	// Someone pauses the subscription, and an event waits in its queue.
	mappings, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("penstock-local-trade-allocated")})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatal(mappings, err)
	}
	mapping := mappings.EventSourceMappings[0].UUID
	if _, err := functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: mapping, Enabled: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription is paused", func() bool {
		m, err := functions.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: mapping})
		return err == nil && *m.State == "Disabled"
	})
	publisher := eventbus.New(eventbridge.NewFromConfig(s.aws), "penstock-local")
	if err := publisher.Publish(t.Context(), trading.SampleTradeAllocated()); err != nil {
		t.Fatal(err)
	}

	s.edit(t, manifest, `"batchSize": 10`, `"batchSize": 9, "maxReceiveCount": 7`)
	s.edit(t, manifest, `"subscriptions"`, `"timeoutSeconds": 20, "subscriptions"`)
	s.screen.shows(t, "updated in")
	s.screen.shows(t, "changed Lambda::Function penstock-local-trade-allocated\n")
	if got := s.timeout(t); got != 20 {
		t.Errorf("the function's timeout is %d s, want 20", got)
	}
	m, err := functions.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: mapping})
	if err != nil || *m.State != "Disabled" || *m.BatchSize != 9 {
		t.Errorf("the mapping: %+v, %v", m, err)
	}
	url := *s.aws.BaseEndpoint + "/000000000000/penstock-local-trade-allocated-allocations"
	got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url})
	if err != nil || len(got.Messages) != 1 {
		t.Errorf("the queue holds %d messages, %v", len(got.Messages), err)
	}

	// What is wrong changes nothing.
	s.edit(t, manifest, `"batchSize": 9`, `"batchSize": 90000`)
	s.screen.shows(t, "batchSize")
	s.screen.shows(t, "what runs goes on as it was")
	s.edit(t, manifest, `"batchSize": 90000`, `"batchSize": 9`)
	s.screen.shows(t, "updated: nothing differs")
	s.edit(t, manifest, `"batchSize": 9`, `"filter": {"data": {"instrumnet": ["DE0007164600"]}}, "batchSize": 9`)
	s.screen.shows(t, "data.instrumnet: there is no such field: did you mean data.instrument?")
	s.screen.shows(t, "what runs goes on as it was")
	s.edit(t, manifest, `"filter": {"data": {"instrumnet": ["DE0007164600"]}}, "batchSize": 9`, `"batchSize": 9`)
	s.screen.shows(t, "updated: nothing differs")

	// A function that is gone takes its queues with it, another's stay.
	if err := os.RemoveAll(filepath.Join(s.dir, "functions/withdrawal-fee")); err != nil {
		t.Fatal(err)
	}
	s.screen.shows(t, "removed Lambda::Function penstock-local-withdrawal-fee\n")
	all, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	left := fmt.Sprint(all.QueueUrls)
	if err != nil || strings.Count(left, "penstock-local-trade-allocated-allocations") != 3 || strings.Contains(left, "withdrawal-fee") {
		t.Errorf("the queues: %q, %v", all.QueueUrls, err)
	}

	// A function that is new waits for code that compiles.
	s.write(t, "functions/refund/function.json", `{"name": "refund", "subscriptions": [{"name": "withdrawals", "event": "savings/SAVINGS_WITHDRAWAL"}]}`)
	s.screen.shows(t, "what runs goes on as it was")
	s.write(t, "functions/refund/main.go", answering)
	s.screen.shows(t, "created Lambda::Function penstock-local-refund\n")
	s.answers(t, "one")
	if err := s.dev.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("ended with %v", err)
	}
}

func TestWithoutNodeASavedManifestChangesNothingAndSaysWhatItNeeds(t *testing.T) {
	compiler, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	if err := os.Symlink(compiler, filepath.Join(path, "go")); err != nil {
		t.Fatal(err)
	}
	s := startShop(t, path)
	before := s.timeout(t)
	s.edit(t, "functions/trade-allocated/function.json", `"subscriptions"`, `"timeoutSeconds": 20, "subscriptions"`)
	s.screen.shows(t, "nothing was changed: a synthesis needs Node")
	if got := s.timeout(t); got != before {
		t.Errorf("the function's timeout is %d s, and was %d", got, before)
	}
	s.answer(t, `"two"`)
	s.screen.shows(t, "rebuilt in")
	s.answers(t, "two")
}
