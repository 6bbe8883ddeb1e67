package stacks_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/infra/stacks"
)

// deleted is when the shop's subscription of trades was.
var deleted = time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)

// shopWith is the shop with another manifest of its function fee.
func shopWith(fee string) fstest.MapFS {
	root := maps.Clone(shop)
	root["functions/fee/function.json"] = &fstest.MapFile{Data: []byte(fee)}
	return root
}

const (
	withTrades    = `{"name": "fee", "subscriptions": [{"name": "trades", "event": "trading/TRADE_ALLOCATED"}]}`
	withTombstone = `{"name": "fee", "tombstones": [{"name": "trades", "event": "trading/TRADE_ALLOCATED", "deletedAt": "2026-11-21T15:00:00Z"}]}`
	withNeither   = `{"name": "fee"}`
)

// at synthesizes a project at a time, and returns its template of the function
// fee, and the error that Synth panics with.
func at(t *testing.T, root fstest.MapFS, env manifest.Environment, now time.Time, context ...string) (template, error) {
	t.Helper()
	needsNode(t)
	app := newApp(t)
	for _, allowed := range context {
		app.Node().SetContext(jsii.String(snapshots.AllowRemovalContext), allowed)
	}
	s := stacks.New(app, &stacks.Props{Root: root, Env: env, Build: noProgram(t), Now: func() time.Time { return now }})
	err := panicOf(s.Synth)
	synthesized := &snapshots.Snapshot{}
	if err := synthesized.ReadAssembly(*app.Outdir()); err != nil {
		t.Fatal(err)
	}
	return parse(t, synthesized.Templates)["penstock-"+env.Name+"-fee"], err
}

func TestADeletedSubscriptionKeepsItsQueueForFourDaysAndResumesWhereItStopped(t *testing.T) {
	const queue = "penstock-dev-fee-trades"
	before, _ := at(t, shopWith(withTrades), dev, deleted)
	after, _ := at(t, shopWith(withTombstone), dev, deleted.Add(95*time.Hour))
	again, _ := at(t, shopWith(strings.Replace(withTombstone, `{"name": "fee", `, strings.TrimSuffix(withTrades, "}")+", ", 1)), dev, deleted.Add(95*time.Hour))
	ended, _ := at(t, shopWith(withTombstone), dev, deleted.Add(96*time.Hour))

	mappings := func(tmpl template) int { return len(tmpl.resources("AWS::Lambda::EventSourceMapping")) }
	if mappings(before) != 1 || mappings(after) != 0 || mappings(again) != 1 || mappings(ended) != 0 {
		t.Errorf("mappings: %d before, %d deleted, %d created again, %d ended", mappings(before), mappings(after), mappings(again), mappings(ended))
	}
	// The very same resources, by logical id and in all they say: CloudFormation
	// leaves alone what does not change.
	for id, r := range before.Resources {
		switch r.Type {
		case "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Events::Rule":
			if got := mustJSON(after.Resources[id]); got != mustJSON(r) {
				t.Errorf("deleted: %s is %s, was %s", id, got, mustJSON(r))
			}
			if got := mustJSON(again.Resources[id]); got != mustJSON(r) {
				t.Errorf("created again: %s is %s, was %s", id, got, mustJSON(r))
			}
		}
	}
	if after.queue(t, queue).Properties["QueueName"] != queue {
		t.Error("the queue is gone at once")
	}
	if n := len(ended.resources("AWS::SQS::Queue")) + len(ended.resources("AWS::Events::Rule")); n != 0 {
		t.Errorf("after four days %d queues and rules are left", n)
	}
	for _, s := range after.role(t) {
		if strings.Contains(fmt.Sprint(s.resources), queue) {
			t.Errorf("the function may still %v", s.actions)
		}
	}
}

// snapshotOf adds the environment's snapshot to a project, as it is now.
func snapshotOf(t *testing.T, root fstest.MapFS, env manifest.Environment) fstest.MapFS {
	t.Helper()
	files, err := synthesize(t, root, env).Files()
	if err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(root)
	for file, content := range files {
		all[file] = &fstest.MapFile{Data: content}
	}
	return all
}

func TestARemovalStopsTheSynthesisUntilItIsAllowed(t *testing.T) {
	needsNode(t)
	deployed := snapshotOf(t, shopWith(withTrades), dev)
	with := func(fee string) fstest.MapFS {
		root := maps.Clone(deployed)
		root["functions/fee/function.json"] = &fstest.MapFile{Data: []byte(fee)}
		return root
	}
	if _, err := at(t, deployed, dev, deleted); err != nil {
		t.Errorf("nothing removed: %v", err)
	}
	_, err := at(t, with(withNeither), dev, deleted)
	if err == nil || !strings.Contains(err.Error(), "queue penstock-dev-fee-trades (stack penstock-dev-fee) would be deleted") {
		t.Errorf("a subscription without a tombstone: %v", err)
	}
	const all = "penstock-dev-fee-trades,penstock-dev-fee-trades-dlq,penstock-dev-fee-trades-rule-dlq"
	if _, err := at(t, with(withNeither), dev, deleted, all); err != nil {
		t.Errorf("allowed: %v", err)
	}
	if _, err := at(t, with(withTombstone), dev, deleted); err != nil {
		t.Errorf("with a tombstone: %v", err)
	}
	if _, err := at(t, with(withTombstone), dev, deleted.Add(96*time.Hour)); err != nil {
		t.Errorf("a tombstone that ended: %v", err)
	}
	root := maps.Clone(deployed)
	root["infra/tables.json"] = &fstest.MapFile{Data: []byte(`{"accounts": {"partitionKey": "number"}}`)}
	_, err = at(t, root, dev, deleted)
	for _, want := range []string{"table penstock-dev-accounts (stack penstock-dev-data) would be replaced by an empty one", "table penstock-dev-fee-ledger (stack penstock-dev-data) would be deleted"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("other tables: got %v, want %s", err, want)
		}
	}
	here := dev
	here.Endpoint = "http://127.0.0.1:4566"
	if _, err := at(t, with(withNeither), here, deleted); err != nil {
		t.Errorf("on this machine: %v", err)
	}
}

func TestAnExceededQuotaStopsTheSynthesis(t *testing.T) {
	env := dev
	env.Quotas.Concurrency = 50
	_, err := at(t, shop, env, deleted)
	want := "51 concurrent invocations of the account, if every subscription is busy, and the quota is 50: lower maxConcurrency in function.json"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	env.Quotas.Concurrency = 51
	if _, err := at(t, shop, env, deleted); err != nil {
		t.Errorf("with one more: %v", err)
	}
}
