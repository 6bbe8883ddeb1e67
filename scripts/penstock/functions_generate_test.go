package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/savings"
)

// penstock runs the command in the shop, against its `penstock dev`, and returns
// what it prints.
func (s *shop) penstock(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("penstock", args...)
	cmd.Dir = s.dir
	cmd.Stderr = os.Stderr
	cmd.Env = os.Environ()
	for name, value := range s.dev.Exports {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("penstock %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// A function is generated beside a running `penstock dev`; it is deployed, its
// own test passes, and it charges a withdrawal once.
func TestAGeneratedFunctionChargesAFee(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: a synthesis needs Node, and there is no node on the PATH")
	}
	s := startShop(t, "")
	s.penstock(t, "functions", "generate", "--template", "streaming-events", "--functionName", "deposit-fee")
	test := exec.Command("go", "test", "./functions/deposit-fee")
	test.Dir = s.dir
	if out, err := test.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the function is deployed", func() bool {
		var functions []struct {
			Name     string
			Deployed bool
			Receives []struct{ State string }
		}
		if err := json.Unmarshal([]byte(s.penstock(t, "functions", "list", "--output", "json")), &functions); err != nil {
			t.Fatal(err)
		}
		for _, f := range functions {
			if f.Name == "deposit-fee" {
				return f.Deployed && f.Receives[0].State == "enabled"
			}
		}
		return false
	})

	// Nobody else can charge: withdrawal-fee's secret is missing here.
	tail := exec.Command("penstock", "tail", "--type", "savings/FEE_CHARGED", "--count", "1", "--timeout", "1m", "--output", "json")
	tail.Dir = s.dir
	listening := &screen{}
	tail.Stderr = listening
	for name, value := range s.dev.Exports {
		tail.Env = append(tail.Env, name+"="+value)
	}
	tail.Env = append(os.Environ(), tail.Env...)
	charged := &screen{}
	tail.Stdout = charged
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tail.Process.Kill(); _ = tail.Wait() })
	listening.shows(t, "listening")

	withdrawal := events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = 201 }))
	publisher := eventbus.New(eventbridge.NewFromConfig(s.aws), "penstock-local")
	if err := publisher.Publish(t.Context(), withdrawal); err != nil {
		t.Fatal(err)
	}
	if err := tail.Wait(); err != nil {
		t.Fatalf("no fee was charged: %v", err)
	}
	var event struct {
		Detail struct {
			Metadata events.Metadata
			Data     savings.FeeCharged
		}
	}
	if err := json.Unmarshal([]byte(charged.String()), &event); err != nil {
		t.Fatal(err)
	}
	want := savings.FeeCharged{AccountID: "ACC-1001", WithdrawalID: withdrawal.ID, EntryID: "fee-" + withdrawal.ID, Amount: 1.01, Currency: "EUR"}
	if event.Detail.Data != want {
		t.Errorf("charged %+v, want %+v", event.Detail.Data, want)
	}
	if event.Detail.Metadata.CausationID != withdrawal.ID {
		t.Errorf("caused by %q, want %q", event.Detail.Metadata.CausationID, withdrawal.ID)
	}
}
