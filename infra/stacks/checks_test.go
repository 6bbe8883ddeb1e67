package stacks_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// The checks of others, over every template: of this project's environments,
// and of the shop where everything is on.

// templateFiles are those of all snapshots, and of the shop, written to files.
func templateFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../snapshots/*/*.template.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no snapshots: %v", err)
	}
	for _, env := range []manifest.Environment{dev, prod} {
		dir := t.TempDir()
		for stack, text := range synthesize(t, shop, env).Templates {
			file := filepath.Join(dir, "shop-"+stack+".template.json")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// lintRulesOff are the rules of cfn-lint that are not asked for, each with why.
var lintRulesOff = map[string]string{
	"W3005": "the CDK has a function wait for its role, and for policies that an adopter adds to the role, which a reference to the role would not",
}

func TestCfnLintFindsNothing(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if asked := os.Getenv("PENSTOCK_CFN_LINT"); asked != "" {
		lint, err = asked, nil
	}
	if err != nil {
		t.Skip("skipped: there is no cfn-lint on the PATH, and PENSTOCK_CFN_LINT does not name one")
	}
	needsNode(t)
	args := []string{"--format", "parseable"}
	for rule := range lintRulesOff {
		args = append(args, "--ignore-checks", rule)
	}
	output, err := exec.Command(lint, append(append(args, "--"), templateFiles(t)...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestCdkNagFindsNothingWithoutAReason(t *testing.T) {
	modules := os.Getenv("PENSTOCK_CDK_NAG")
	if modules == "" {
		t.Skip("skipped: PENSTOCK_CDK_NAG names no folder node_modules with cdk-nag, aws-cdk-lib and constructs")
	}
	needsNode(t)
	files := templateFiles(t)
	nag := func(files ...string) []string {
		t.Helper()
		command := exec.Command("node", append([]string{"testdata/nag.js"}, files...)...)
		command.Env = append(os.Environ(), "NODE_PATH="+modules)
		var stderr strings.Builder
		command.Stderr = &stderr
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		return strings.FieldsFunc(string(output), func(r rune) bool { return r == '\n' })
	}
	for _, finding := range nag(files...) {
		t.Error(finding)
	}

	// It does find what has no reason.
	var tmpl map[string]any
	text, err := os.ReadFile("../snapshots/dev/penstock-dev-data.template.json")
	if err == nil {
		err = json.Unmarshal(text, &tmpl)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range tmpl["Resources"].(map[string]any) {
		if metadata, ok := r.(map[string]any)["Metadata"].(map[string]any); ok {
			delete(metadata, "cdk_nag")
		}
	}
	file := filepath.Join(t.TempDir(), "bare.template.json")
	if err := os.WriteFile(file, []byte(mustJSON(tmpl)), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := strings.Join(nag(file), "\n"); !strings.Contains(found, "AwsSolutions-DDB3") || !strings.Contains(found, "AwsSolutions-IAM5") {
		t.Errorf("without reasons it finds %s", found)
	}
}
