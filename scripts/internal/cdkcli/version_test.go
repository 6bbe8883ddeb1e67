package cdkcli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
)

func TestTheSameVersionIsNamedEverywhere(t *testing.T) {
	named := regexp.MustCompile(`aws-cdk@[0-9.]*[0-9]`)
	for _, file := range []string{"README.md", ".ci/run", "infra/pipeline/github-actions.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../..", file))
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s does not name the CDK's command", file)
		}
		for _, version := range found {
			if version != cdkcli.Package {
				t.Errorf("%s has %s, want %s", file, version, cdkcli.Package)
			}
		}
	}
}
