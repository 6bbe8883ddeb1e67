package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/functions/handler/secrets"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

// A secret is kept with the command, and read as a function reads it; nothing
// but the function ever holds the value.
func TestAValueReachesTheHandlerAndNoOutputNoLogAndNoError(t *testing.T) {
	value := secretstest.Value("Zq9")
	var said bytes.Buffer
	dataDir := t.TempDir()
	dev := exec.Command("penstock", "dev", "--port", "0", "--data-dir", dataDir)
	dev.Dir = projectRoot(t)
	var devSaid bytes.Buffer // not said: the process writes at any time
	dev.Stderr = &devSaid
	d, err := devtest.Start(dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Kill)
	penstock := func(stdin string, wantExit int, args ...string) {
		t.Helper()
		cmd := exec.Command("penstock", append([]string{"secrets", "--debug"}, args...)...)
		cmd.Dir = projectRoot(t)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+d.Exports["AWS_ENDPOINT_URL"])
		cmd.Stdin = strings.NewReader(stdin)
		out, _ := cmd.CombinedOutput()
		said.Write(out)
		if got := cmd.ProcessState.ExitCode(); got != wantExit {
			t.Errorf("penstock secrets %s: exit status %d, want %d:\n%s", args[0], got, wantExit, out)
		}
	}
	penstock(value+"\n", cli.ExitDone, "create", "core-api-token", "--description", "calls the core API")
	penstock(value, cli.ExitFailed, "create", "core-api-token")
	penstock(value, cli.ExitMisuse, "update", "unknown")
	penstock(value, cli.ExitMisuse, "update", "core-api-token", "--prot", "1")
	penstock(strings.Repeat(value, 65_536/len(value)+1), cli.ExitMisuse, "update", "core-api-token")
	penstock("", cli.ExitMisuse, "update", "core-api-token", "--value", value+"\xff")
	penstock("", cli.ExitMisuse, "update", "core-api-token", "--value", value, "--value-file", "x")
	for _, output := range []string{"table", "json"} {
		penstock("", cli.ExitDone, "list", "--output", output)
	}

	t.Setenv("PENSTOCK_APP", "penstock")
	t.Setenv("PENSTOCK_ENV", "local")
	cache, err := secrets.New(secretsmanager.NewFromConfig(d.AWS()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := cache.Get(t.Context(), "core-api-token")
	if err != nil || got.Value.Reveal() != value {
		t.Fatalf("the handler reads another value (%v)", err)
	}
	slog.New(slog.NewJSONHandler(&said, nil)).Info("read", "secret", got)
	_, err = cache.Get(t.Context(), "core-api-tokem")
	if err == nil || !strings.Contains(err.Error(), "penstock secrets create core-api-tokem") {
		t.Errorf("a missing one: %v", err)
	}
	fmt.Fprintln(&said, got, err)

	penstock("", cli.ExitRefused, "delete", "core-api-token")
	penstock("", cli.ExitDone, "delete", "core-api-token", "-y")
	penstock(value, cli.ExitFailed, "create", "core-api-token")
	// A function that has read it goes on; one that starts now does not.
	if again, err := cache.Get(t.Context(), "core-api-token"); err != nil || again.Value.Reveal() != value {
		t.Errorf("what was read before is gone: %v", err)
	}
	if cache, err = secrets.New(secretsmanager.NewFromConfig(d.AWS())); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Get(t.Context(), "core-api-token"); err == nil || !strings.Contains(err.Error(), "penstock secrets restore core-api-token") {
		t.Errorf("a deleted one: %v", err)
	}
	penstock("", cli.ExitDone, "restore", "core-api-token")
	if err := d.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	said.Write(devSaid.Bytes())

	places, err := secretstest.SearchFiles(filepath.Join(dataDir, "logs"))
	if err != nil || len(places) > 0 {
		t.Errorf("the value is in %q (%v)", places, err)
	}
	if secretstest.IsValue(said.String()) {
		t.Errorf("the value was printed:\n%s", said.String())
	}
}

func TestTheFiftyFirstSecretIsRefused(t *testing.T) {
	d := startDev(t, t.TempDir())
	client := secretsmanager.NewFromConfig(d.AWS())
	for i := range maxSecrets - 1 {
		if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(fmt.Sprintf("penstock/local/s%d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	// Another environment's do not count.
	if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("penstock/dev/s")}); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		cmd := exec.Command("penstock", append([]string{"secrets"}, args...)...)
		cmd.Dir = projectRoot(t)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+d.Exports["AWS_ENDPOINT_URL"])
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, out := run("create", "fiftieth", "--value", secretstest.Value("v")); code != cli.ExitDone {
		t.Fatalf("the fiftieth: %s", out)
	}
	if code, out := run("create", "one-more", "--value", secretstest.Value("v")); code != cli.ExitRefused || !strings.Contains(out, `environment "local" has 50 secrets, and 50 are the most`) {
		t.Errorf("the fifty-first: exit status %d: %s", code, out)
	}
	// One that waits for its deletion makes room, and finds none to come back.
	if code, out := run("delete", "s0", "-y"); code != cli.ExitDone {
		t.Fatal(out)
	}
	if code, out := run("create", "one-more", "--value", secretstest.Value("v")); code != cli.ExitDone {
		t.Errorf("after a deletion: %s", out)
	}
	if code, out := run("restore", "s0"); code != cli.ExitRefused {
		t.Errorf("restored as the fifty-first: exit status %d: %s", code, out)
	}
}
