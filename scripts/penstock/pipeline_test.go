package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
)

// workflow is what a workflow of GitHub Actions has that the example uses; decoding
// is strict, so that what is misspelt is found.
type workflow struct {
	Name        string
	On          map[string]any
	Permissions map[string]string
	Concurrency map[string]any
	Jobs        map[string]struct {
		If          string
		Needs       string
		Environment string
		RunsOn      string `yaml:"runs-on"`
		Timeout     int    `yaml:"timeout-minutes"`
		Permissions map[string]string
		Env         map[string]string
		Strategy    struct {
			FailFast bool `yaml:"fail-fast"`
			Matrix   struct {
				Env     []string
				Include []map[string]string
			}
		}
		Steps []struct {
			Name, If, Uses, Run string
			With                map[string]string
		}
	}
}

var cdkStep = regexp.MustCompile(`^npx (\S+) (diff|deploy) --all -c env=\$\{\{ (?:matrix\.env|env\.ENV) \}\}`)

func TestThePipelineCallsWhatThereIs(t *testing.T) {
	file, err := os.Open("../../infra/pipeline/github-actions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var p workflow
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&p); err != nil {
		t.Fatal(err)
	}
	all, err := manifest.LoadEnvironments(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	exists := func(env string) bool {
		return slices.ContainsFunc(all, func(e manifest.Environment) bool { return e.Name == env && e.Endpoint == "" })
	}
	action := regexp.MustCompile(`^[\w-]+/[\w-]+@v\d+$`)
	deployed := 0
	for name, job := range p.Jobs {
		if job.RunsOn == "" || job.Timeout == 0 || len(job.Steps) == 0 {
			t.Errorf("job %s: wants a machine, a limit of time and steps", name)
		}
		if _, there := p.Jobs[job.Needs]; job.Needs != "" && !there {
			t.Errorf("job %s needs %s, which is none", name, job.Needs)
		}
		environments := job.Strategy.Matrix.Env
		if job.Environment != "" {
			environments = append(environments, job.Environment)
			if job.Env["ENV"] != job.Environment {
				t.Errorf("job %s deploys %s in the environment %s", name, job.Env["ENV"], job.Environment)
			}
		}
		for _, env := range environments {
			if !exists(env) {
				t.Errorf("job %s: %s declares no environment %q on AWS", name, manifest.EnvironmentsFile, env)
			}
		}
		assumes := false
		for _, step := range job.Steps {
			switch {
			case step.Uses != "":
				if !action.MatchString(step.Uses) {
					t.Errorf("job %s uses %s: want a version", name, step.Uses)
				}
				assumes = assumes || step.With["role-to-assume"] != ""
			case strings.HasPrefix(step.Run, "go run github.com/penstock-dev/penstock/scripts/penstock "):
				args := strings.Fields(step.Run)[3:]
				cmd, rest, err := newRoot().Find(args)
				if err != nil || !cmd.Runnable() || cmd.ParseFlags(rest) != nil {
					t.Errorf("job %s: there is no such command: %s", name, step.Run)
				}
			case strings.HasPrefix(step.Run, "npx "):
				m := cdkStep.FindStringSubmatch(step.Run)
				if m == nil || m[1] != cdkcli.Package {
					t.Errorf("job %s: %s: want npx %s diff or deploy, of one environment", name, step.Run, cdkcli.Package)
					continue
				}
				if m[2] == "deploy" {
					deployed++
				}
				if !assumes || job.Permissions["id-token"] != "write" {
					t.Errorf("job %s calls the CDK without a role", name)
				}
			case !slices.Contains([]string{"go vet ./...", "go test ./..."}, step.Run):
				t.Errorf("job %s: nobody knows %q", name, step.Run)
			}
		}
		if !assumes && job.Permissions["id-token"] != "" {
			t.Errorf("job %s may ask for a role, and does not", name)
		}
	}
	if deployed != 2 {
		t.Errorf("%d jobs deploy, want one for each of dev and prod", deployed)
	}
}
