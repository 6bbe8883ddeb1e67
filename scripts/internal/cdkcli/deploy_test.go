package cdkcli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
	"github.com/penstock-dev/penstock/scripts/internal/mototest"
)

const env = "dev"

// The CDK's own command deploys the environment dev to moto, an account that is
// empty at first. What this shows is the command, the assets and the order of
// stacks: moto makes nothing of the types of resources that it does not know, and
// the test prints those. The user pool's stack is left out: other resources of it
// ask for attributes of the pool, which moto does not make.
func TestAnEnvironmentIsDeployedChangedAndDestroyed(t *testing.T) {
	program := os.Getenv(cdkcli.Variable)
	if program == "" {
		t.Skipf("skipped: %s does not name cdk, as `npm install %s` installs it", cdkcli.Variable, cdkcli.Package)
	}
	server := mototest.Start(t)
	root := project(t)
	environment, err := manifest.LoadEnvironment(os.DirFS(root), env)
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := snapshots.Load(os.DirFS(root), env)
	if err != nil {
		t.Fatal(err)
	}
	n := names.New(snapshot.App, env)
	known := slices.DeleteFunc(slices.Clone(snapshot.Stacks), func(stack string) bool { return stack == n.Stack(names.UserPoolStack) })
	every := func(command string, flags ...string) []string {
		return slices.Concat([]string{command}, known, []string{"--exclusively", "-c", "env=" + env}, flags)
	}
	c := &cdk{t: t, program: program, env: append(server.Environ(environment.Region),
		"CI=true", // no progress bar
		// The URL of a template that the command hands to CloudFormation. moto reads
		// one by the host's name: this, or S3's own.
		"AWS_ENDPOINT_URL_S3_FOR_CLOUDFORMATION="+strings.Replace(server.URL, "127.0.0.1", "localhost", 1),
	)}
	stacks := cloudformation.NewFromConfig(server.AWS(environment.Region))

	c.run(t.TempDir(), "bootstrap", "aws://"+mototest.Account+"/"+environment.Region)
	// The parameter is what it is by default; moto remembers only those it is given.
	c.run(root, every("deploy", "--require-approval", "never", "--parameters", "BootstrapVersion=/cdk-bootstrap/hnb659fds/version")...)
	created := c.deployed()
	slices.Sort(created)
	want := slices.Sorted(slices.Values(known))
	if !slices.Equal(created, want) {
		t.Fatalf("deployed %v, want %v", created, want)
	}
	first := batchSizes(t, server.AWS(environment.Region))

	function, subscription := setBatchSize(t, root, 7)
	// Not by a change set: moto loses the stack of a second one of the same name.
	c.run(root, every("deploy", "--require-approval", "never", "--method=direct")...)
	if got, want := c.deployed(), []string{n.Stack(function)}; !slices.Equal(got, want) {
		t.Errorf("a change of subscription %s of %s deployed %v, want %v alone", subscription, function, got, want)
	}
	if got := c.unchanged(); len(got) != len(known)-1 {
		t.Errorf("unchanged are %v", got)
	}
	first[n.Function(function)] = 7
	if got := batchSizes(t, server.AWS(environment.Region)); fmt.Sprint(got) != fmt.Sprint(first) {
		t.Errorf("batch sizes are %v, want %v", got, first)
	}

	c.run(root, every("destroy", "--force")...)
	for _, name := range known {
		out, err := stacks.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
		if err == nil && out.Stacks[0].StackStatus != types.StackStatusDeleteComplete {
			t.Errorf("stack %s is %s", name, out.Stacks[0].StackStatus)
		}
	}
	if got := batchSizes(t, server.AWS(environment.Region)); len(got) != 0 {
		t.Errorf("mappings are left: %v", got)
	}
	t.Logf("moto skipped these types of resources, which it does not know: %s", strings.Join(server.Unsupported(), ", "))
}

// project copies the repository, without what git does not know, to a folder whose
// manifests the test may change.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../../.."
	files, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(list.Dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var batchSize = regexp.MustCompile(`"batchSize": \d+`)

// setBatchSize gives the first subscription of the project another batch size, and
// returns which it is.
func setBatchSize(t *testing.T, root string, size int) (function, subscription string) {
	t.Helper()
	functions, err := manifest.Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		file := filepath.Join(root, f.Dir, "function.json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Subscriptions) != 1 || !batchSize.Match(text) {
			continue
		}
		if err := os.WriteFile(file, batchSize.ReplaceAll(text, fmt.Appendf(nil, `"batchSize": %d`, size)), 0o644); err != nil {
			t.Fatal(err)
		}
		return f.Name, f.Subscriptions[0].Name
	}
	t.Fatal("no function has one subscription with a batch size")
	return "", ""
}

// batchSizes are those of all mappings, by function.
func batchSizes(t *testing.T, config aws.Config) map[string]int32 {
	t.Helper()
	mappings, err := lambda.NewFromConfig(config).ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int32{}
	for _, m := range mappings.EventSourceMappings {
		arn := aws.ToString(m.FunctionArn)
		out[arn[strings.LastIndexByte(arn, ':')+1:]] = aws.ToInt32(m.BatchSize)
	}
	return out
}

// cdk is the CDK's command.
type cdk struct {
	t       *testing.T
	program string
	env     []string
	output  string // of the last run
}

func (c *cdk) run(dir string, args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.program, args...)
	cmd.Dir, cmd.Env = dir, c.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	output, err := cmd.CombinedOutput()
	c.output = string(output)
	if err != nil && !errors.Is(err, context.Canceled) {
		c.t.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, c.output)
	}
}

var done = regexp.MustCompile(`(?m)^ ?✅ +(\S+)( \(no changes\))?$`)

// deployed are the stacks that the last run has changed, in its order.
func (c *cdk) deployed() (names []string) {
	for _, m := range done.FindAllStringSubmatch(c.output, -1) {
		if m[2] == "" {
			names = append(names, m[1])
		}
	}
	return names
}

// unchanged are the stacks that the last run has left as they were.
func (c *cdk) unchanged() (names []string) {
	for _, m := range done.FindAllStringSubmatch(c.output, -1) {
		if m[2] != "" {
			names = append(names, m[1])
		}
	}
	return names
}
