package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Every mistake is told in a sentence, with exit status 2, before anything is asked
// of an environment or written.
func TestAMisuseOfSubscriptionsAndFunctionsChangesNothing(t *testing.T) {
	root := projectRoot(t)
	dir := t.TempDir()
	if err := copyShop(root, dir); err != nil {
		t.Fatal(err)
	}
	manifests := func() string {
		t.Helper()
		var all strings.Builder
		for _, f := range []string{"trade-allocated", "withdrawal-fee"} {
			text, err := os.ReadFile(filepath.Join(dir, "functions", f, "function.json"))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
		return all.String()
	}
	before := manifests()
	const (
		create = "subscriptions create trade-allocated/fees --event FEE_CHARGED "
		update = "subscriptions update withdrawal-fee/withdrawals "
	)
	for _, c := range []struct{ line, want string }{
		{"subscriptions create --function withdrawal-fee -d functions/withdrawal-fee --name fees --event FEE_CHARGED", "--function and --directory both say which function: give one"},
		{"subscriptions create --name fees --event FEE_CHARGED", "which function? There is no function.json in the working directory: give --function or --directory"},
		{"subscriptions create -d functions/none --name fees --event FEE_CHARGED", "--directory functions/none: there is no function.json"},
		{"subscriptions create --function withdrawl-fee --name fees --event FEE_CHARGED", `no function "withdrawl-fee": did you mean withdrawal-fee?`},
		{"subscriptions create --function withdrawal-fee --event FEE_CHARGED", "which subscription? Give its NAME"},
		{"subscriptions create withdrawal-fee/fees --name fees --event FEE_CHARGED", "leave --function, --directory and --name out"},
		{"subscriptions create fees --event FEE_CHARGED", `"fees" is no subscription's NAME: want function/subscription`},
		{"subscriptions create withdrawal-fee/fees", "--event is required"},
		{"subscriptions create withdrawal-fee/fees --event FEE_CHARGD", `no event type "FEE_CHARGD": did you mean savings/FEE_CHARGED?`},
		{"subscriptions create withdrawal-fee/withdrawals --event SAVINGS_WITHDRAWAL", "subscription withdrawal-fee/withdrawals exists already"},
		{"subscriptions create withdrawal-fee/1st --event FEE_CHARGED", `subscription "1st": its name must be letters`},
		{create + "--batch-size 0", "batchSize must be 1 to 10000 (got 0)"},
		{create + "--batch-size 10001", "batchSize must be 1 to 10000 (got 10001)"},
		{create + "--batch-size ten", `invalid argument "ten" for "--batch-size" flag`},
		{create + "--batch-window 301", "batchWindowSeconds must be 0 to 300 (got 301)"},
		{create + "--batch-window -1", "batchWindowSeconds must be 0 to 300 (got -1)"},
		{create + "--batch-window 0", "batch size 500 needs a window of at least 1 s (got 0)"},
		{create + "--max-receives 0", "maxReceiveCount must be 1 to 1000 (got 0)"},
		{create + "--filter {", "--filter { is not JSON"},
		{create + "--filter []", "the filter must be an object"},
		{create + `--filter {"data":{"amuont":[1]}}`, "did you mean data.amount"},
		{create + "--filter @none.json", "--filter: open none.json"},
		{create + "--receive texts", `receive "texts" must be "events" or "notifications"`},
		{create + "--breaker half", `--breaker "half": want on or off`},
		{create + "--probe-after 2000", "probeAfterMinutes must be 0 to 1440 (got 2000)"},
		{create + "--retry-base 60 --retry-cap 30", "baseSeconds 60 must be at most capSeconds 30"},
		{create + "--deploy", `--deploy: environment "local" is on this machine`},
		{"subscriptions create withdrawal-fee/fees --event FEE_CHARGED", "events would go round in a loop: withdrawal-fee → savings/FEE_CHARGED → withdrawal-fee"},
		{create + "--env nowhere", "nowhere"},
		{create + "--batchsize 5", "unknown flag: --batchsize: did you mean --batch-size or --batch-window?"},
		{"subscriptions update withdrawal-fee/withdrawls --batch-size 5", "did you mean withdrawal-fee/withdrawals?"},
		{update, "what is to change?"},
		{update + "--event FEE_CHARGED", "its event type cannot change: its queue may hold events of it. Delete it with `penstock subscriptions delete withdrawal-fee/withdrawals`, and create one"},
		{update + "--batch-size 0", "batchSize must be 1 to 10000 (got 0)"},
		{update + "--name withdrawals --batch-size 5", "leave --function, --directory and --name out"},
		{"subscriptions delete withdrawal-fee/withdrawls -y", "did you mean withdrawal-fee/withdrawals?"},
		{"subscriptions delete -y", "which subscription?"},
		{"subscriptions get withdrawals", "did you mean withdrawal-fee/withdrawals? (a NAME is function/subscription)"},
		{"subscriptions disable withdrawal-fee/withdrawals", "--reason is required"},
	} {
		cmd := exec.Command("penstock", strings.Fields(c.line)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_MAX_ATTEMPTS=1") // nobody listens there
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != cli.ExitMisuse || !strings.Contains(string(out), c.want) {
			t.Errorf("penstock %s: exit status %d, %s; want 2 and %q", c.line, cmd.ProcessState.ExitCode(), out, c.want)
		}
	}
	if after := manifests(); after != before {
		t.Errorf("the manifests are\n%s\nand were\n%s", after, before)
	}
}

// What an edit needs to be applied is looked for first: without Node nothing is
// written, and without a `penstock dev` it is said what brings the edit there.
func TestAnEditWithoutNodeIsRefusedAndWithoutDevSaysWhatAppliesIt(t *testing.T) {
	dir := t.TempDir()
	if err := copyShop(projectRoot(t), dir); err != nil {
		t.Fatal(err)
	}
	const manifest = "functions/trade-allocated/function.json"
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, manifest))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := read()
	update := func(path string) (int, string) {
		t.Helper()
		program, err := exec.LookPath("penstock")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "subscriptions", "update", "trade-allocated/allocations", "--batch-size", "7")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "PATH="+path)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if status, out := update(t.TempDir()); status != cli.ExitFailed || !strings.Contains(out, "a synthesis needs Node 20 or later, and there is no `node` on the PATH; nothing was changed") || read() != before {
		t.Errorf("without Node: exit status %d, %s", status, out)
	}
	node := t.TempDir()
	if err := os.WriteFile(filepath.Join(node, "node"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	status, out := update(node)
	if status != cli.ExitDone || !strings.Contains(out, "saved in "+manifest+". Environment local has it after:\n  go generate ./... && penstock dev\n") {
		t.Errorf("without dev: exit status %d, %s", status, out)
	}
	if want := strings.Replace(before, `"batchSize": 10`, `"batchSize": 7`, 1); read() != want {
		t.Errorf("the manifest is\n%s", read())
	}
}
