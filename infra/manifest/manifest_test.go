package manifest_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/infra/manifest"
)

func TestTheManifestsOfThisProjectAreValid(t *testing.T) {
	functions, err := manifest.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(functions) == 0 {
		t.Error("there are none")
	}
}

func TestAnUnknownEnvironmentNamesTheKnownOnes(t *testing.T) {
	root := fstest.MapFS{manifest.EnvironmentsFile: {Data: []byte(`{"local": {"logRetentionDays": 7}, "dev": {"logRetentionDays": 7}}`)}}
	env, err := manifest.LoadEnvironment(root, "dev")
	if err != nil || env.Name != "dev" {
		t.Errorf("dev: got %+v, %v", env, err)
	}
	_, err = manifest.LoadEnvironment(root, "prd")
	if err == nil || !strings.Contains(err.Error(), `no environment "prd" in infra/environments.json: there are dev, local`) {
		t.Errorf("prd: got %v", err)
	}
}

func TestPatternSelectsTheTypeAndWhatTheFilterLetsThrough(t *testing.T) {
	s := manifest.Subscription{Event: "savings/SAVINGS_WITHDRAWAL"}
	if got, want := string(s.Pattern()), `{"detail-type":["SAVINGS_WITHDRAWAL"],"source":["savings"]}`; got != want {
		t.Errorf("without a filter: got %s, want %s", got, want)
	}
	s.Filter = json.RawMessage(`{"data": {"note": [null]}}`)
	if got, want := string(s.Pattern()), `{"detail":{"data":{"note":[null]}},"detail-type":["SAVINGS_WITHDRAWAL"],"source":["savings"]}`; got != want {
		t.Errorf("with a filter: got %s, want %s", got, want)
	}
}

// The alphabet of event types stands here and in package events, which infra
// does not import: the two must not part.
func TestEventTypesAreThoseOfPackageEvents(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, event := range []string{
		"savings/SAVINGS_WITHDRAWAL", "savings/FEE.v2", "core.payments/A", "core-payments/a1", "s1/A", long + "/" + long,
		"", "/", "savings", "savings/", "/A", "Savings/A", "savings/1A", "savings/A-B", "savings/A.v", "savings/A.x2", "savings/A/B", "savings /A", "savings/A ",
		"a_b/A", "-a/A", "a-/A", "a..b/A", "aws/A", "aws.s3/A", "awsome/A", "ä/A", "a/Ä", long + "a/A", "a/" + long + "a",
	} {
		f := manifest.Function{Name: "fee", MemoryMB: 128, TimeoutSeconds: 1, MaxConcurrency: 2, Publishes: []string{event}}
		ours := f.Validate(nil)
		_, theirs := events.ParseType(event)
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%q: the manifest says %v, package events says %v", event, ours, theirs)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"name": "fee", "subscriptions": [{"name": "a", "event": "savings/A", "filter": {"data": {"x": [1]}}, "enabled": false}]}`,
		`{"name": "fee", "tables": {"ledger": "read"}, "publishes": ["a/B"], "secrets": ["s"], "variables": {"A_B": ""}}`,
		`{"name": null, "subscriptions": [null]}`, `null`, `[]`, `{`, ``, `{"name": "a"} x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Parse("functions/fee/function.json", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "functions/fee/function.json:") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		m.Validate(manifest.Tables{"ledger": {PartitionKey: "id"}}) // must not panic
		written, err := json.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := manifest.Parse("functions/fee/function.json", written)
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v\n%s", err, written)
		}
		for _, f := range []*manifest.Function{&m, &again} {
			for i := range f.Subscriptions {
				f.Subscriptions[i].Filter = nil // its spelling may change
			}
		}
		if a, b := normal(m), normal(again); a != b {
			t.Errorf("read %s\nand again %s", a, b)
		}
	})
}

// normal writes a manifest down, so that an empty list is like none.
func normal(f manifest.Function) string {
	data, _ := json.Marshal(&f)
	return string(data)
}
