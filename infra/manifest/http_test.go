package manifest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/penstock-dev/penstock/functions/webhook"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

func hooks(t *testing.T, url string) []manifest.Function {
	t.Helper()
	functions, err := manifest.Load(fstest.MapFS{"functions/hook/function.json": {Data: fmt.Appendf(nil,
		`{"name": "hook", "http": {"url": %q, "secret": "s"}, "subscriptions": [{"name": "all", "event": "a/B"}]}`, url)}})
	if err != nil {
		t.Fatal(err)
	}
	return functions
}

func TestAURLIsCheckedForEachEnvironment(t *testing.T) {
	local := manifest.Environment{Name: "local", Endpoint: "http://127.0.0.1:4566"}
	loopback := local
	loopback.Webhooks.AllowLoopback = true
	for _, c := range []struct {
		url   string
		env   manifest.Environment
		fault string
	}{
		{"https://hooks.example.com", manifest.Environment{Name: "prod"}, ""},
		{"https://hooks.example.com", local, ""},
		{"http://127.0.0.1:8080", manifest.Environment{Name: "prod"}, `function "hook": its URL in environment "prod": refused: 127.0.0.1:8080 is this machine, and not a public address: give it another for this environment`},
		{"http://127.0.0.1:8080", local, `or allow this machine with "allowLoopback": true`},
		{"http://127.0.0.1:8080", loopback, ""},
		{"https://hooks.example.com", manifest.Environment{Name: "prod", Webhooks: manifest.Webhooks{URLs: map[string]string{"hook": "http://hooks.example.com"}}}, "without TLS"},
		{"https://hooks.example.com", manifest.Environment{Name: "prod", Webhooks: manifest.Webhooks{URLs: map[string]string{"other": "https://a.example"}}}, `there is no function "other" on HTTP`},
		{"http://127.0.0.1:8080", manifest.Environment{Name: "prod", Webhooks: manifest.Webhooks{URLs: map[string]string{"hook": "https://a.example"}}}, ""},
	} {
		err := manifest.CheckEnvironment(hooks(t, c.url), c.env)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s in %s: got %v, want %q", c.url, c.env.Name, err, c.fault)
		}
	}
}

func TestAFunctionOnHTTPIsToldItsQueuesAndTables(t *testing.T) {
	got := hooks(t, "https://hooks.example.com")[0].Environment(names.New("shop", "prod"))
	for name, want := range map[string]string{
		"PENSTOCK_QUEUES": `{"all":"shop-prod-hook-all"}`, "PENSTOCK_DELIVERIES_TABLE": "shop-prod-deliveries", "PENSTOCK_STATE_TABLE": "shop-prod-state",
		"PENSTOCK_RETRIES": `{"all":{"maxReceiveCount":10,"baseSeconds":30,"capSeconds":900}}`,
	} {
		if got[name] != want {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
}

// The manifest has numbers of the runtime, which it does not import: that would
// link AWS's SDK into whatever reads manifests.
func TestTheManifestAndTheRuntimeAgree(t *testing.T) {
	f := hooks(t, "https://hooks.example.com")[0]
	if time.Duration(f.HTTP.TimeoutSeconds)*time.Second != webhook.DefaultTimeout || f.Subscriptions[0].MaxReceiveCount != webhook.MaxAttempts {
		t.Errorf("a delivery takes %d s, and there are %d attempts", f.HTTP.TimeoutSeconds, f.Subscriptions[0].MaxReceiveCount)
	}
	for days, right := range map[int]bool{deliveries.MinDays - 1: false, deliveries.MinDays: true, deliveries.MaxDays: true, deliveries.MaxDays + 1: false} {
		env := manifest.Environment{Name: "prod", LogRetentionDays: 7, Webhooks: manifest.Webhooks{LogDays: days}}
		if (env.Validate() == nil) != right {
			t.Errorf("%d days: %v", days, env.Validate())
		}
	}
	if got := (manifest.Webhooks{}).LogDaysOrDefault(); got != deliveries.DefaultDays {
		t.Errorf("the default is %d days", got)
	}
}
