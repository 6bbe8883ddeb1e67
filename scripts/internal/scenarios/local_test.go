package scenarios_test

import (
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

var update = flag.Bool("update", false, "write the transcripts of the local environment")

// stack is the name of the scenarios' stack in every test.
const stack = "penstock-scenarios"

// transcripts are kept in a file a service, one section a scenario.
func transcriptFile(service string) string { return filepath.Join("testdata", service+".txt") }

// want is the transcript of a scenario that is kept.
func want(t *testing.T, s scenarios.Scenario) scenarios.Transcript {
	t.Helper()
	kept, err := s.Kept()
	if err != nil {
		t.Fatalf("%v: %s writes it", err, updating)
	}
	return kept
}

// codes finds the codes of errors beside their types.
var codes = regexp.MustCompile(`^(\*\w+) \([\w.]+\)$`)

const updating = "go test ./scripts/internal/scenarios -run Local -update"

func TestTheLocalEnvironmentAnswersAsItIsWrittenDown(t *testing.T) {
	snapshot := &snapshots.Snapshot{App: "penstock", Env: "scenarios", Stacks: []string{stack}, Templates: map[string]json.RawMessage{
		stack: scenarios.Template(stack, scenarios.Code{Folder: "functions/withdrawal-fee"}),
	}}
	env, err := local.Start(t.Context(), local.Config{
		Snapshot: snapshot, Root: "../../..", DataDir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	target := scenarios.Target{Stack: stack, Prefix: "s", Config: aws.Config{
		BaseEndpoint: aws.String(env.Endpoint()), Region: env.Region(),
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}}
	compare := func(t *testing.T, s scenarios.Scenario, got scenarios.Transcript) {
		if *update {
			return
		}
		kept := want(t, s)
		if target.OldCloudWatch {
			for i := range kept { // the SDK has them in the newer protocol only
				kept[i].Value = codes.ReplaceAllString(kept[i].Value, "$1")
			}
		}
		for _, d := range scenarios.Compare(kept, got) {
			t.Errorf("%s: got %q, want %q", d.Path, d.Other, d.One)
		}
		if t.Failed() {
			t.Log("if AWS answers so, " + updating + " writes it down")
		}
	}
	got := play(t, target, scenarios.All(), compare)
	if *update && !t.Failed() {
		write(t, got)
	}
	t.Run("CloudWatch by its query protocol", func(t *testing.T) {
		target.OldCloudWatch = true
		target.Prefix = "q"
		others := func(s scenarios.Scenario) bool { return s.Service != "cloudwatch" }
		play(t, target, slices.DeleteFunc(scenarios.All(), others), compare)
	})
}

// play plays scenarios, many at once, and hands each transcript to check. Of
// the services alone, one is played at a time.
func play(t *testing.T, target scenarios.Target, all []scenarios.Scenario, check func(*testing.T, scenarios.Scenario, scenarios.Transcript), alone ...string) map[string]scenarios.Transcript {
	t.Helper()
	target.Config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	got, errs := make([]scenarios.Transcript, len(all)), make([]error, len(all))
	var playing errgroup.Group
	playing.SetLimit(16) // they wait more than they work
	var one sync.Mutex
	for i, s := range all {
		playing.Go(func() error {
			if slices.Contains(alone, s.Service) {
				one.Lock()
				defer one.Unlock()
			}
			got[i], errs[i] = s.Run(t.Context(), target)
			return nil
		})
	}
	_ = playing.Wait()
	out := map[string]scenarios.Transcript{}
	for i, s := range all {
		name := s.Service + "/" + s.Name
		out[name] = got[i]
		t.Run(name, func(t *testing.T) {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			check(t, s, got[i])
		})
	}
	return out
}

// write writes the files of transcripts.
func write(t *testing.T, got map[string]scenarios.Transcript) {
	t.Helper()
	archives := map[string]*txtar.Archive{}
	for _, s := range scenarios.All() {
		if archives[s.Service] == nil {
			archives[s.Service] = &txtar.Archive{Comment: []byte("What the local environment answers. " + updating + " writes it.\n\n")}
		}
		a := archives[s.Service]
		a.Files = append(a.Files, txtar.File{Name: s.Name, Data: []byte(got[s.Service+"/"+s.Name].String())})
	}
	for service, archive := range archives {
		if err := os.WriteFile(transcriptFile(service), txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
