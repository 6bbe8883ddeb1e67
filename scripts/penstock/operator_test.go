package main

import (
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// asOperator are the verbs that call AWS, as an operator calls them, in an order in
// which they work.
var asOperator = [][]string{
	{"secrets", "create", "core-api-token", "--value-file", "VALUE"},
	{"secrets", "list"},
	{"secrets", "update", "core-api-token", "--value-file", "VALUE"},
	{"secrets", "delete", "core-api-token", "-y"},
	{"secrets", "restore", "core-api-token"},
	{"events", "publish", "TRADE_ALLOCATED"},
	{"functions", "list"},
	{"functions", "invoke", "trade-allocated", "--log"},
	{"functions", "logs", "trade-allocated"},
	{"subscriptions", "list"},
	{"subscriptions", "get", "trade-allocated/allocations"},
	{"subscriptions", "disable", "trade-allocated/allocations", "--reason", "a drill"},
	{"subscriptions", "enable", "trade-allocated/allocations"},
	{"tail", "--timeout", "1s"},
	{"doctor", "--test-alarm"},
}

// without are the commands that call nothing of AWS, or are not an operator's.
var without = map[string]string{
	"dev": "runs an environment", "cost": "reads the local run's meter", "verify": "asks for an administrator's permissions",
	"events check": "reads files", "events generate": "writes files", "events list": "reads files", "events sample": "reads files", "events show": "reads files",
	"functions generate": "writes files", "outbox schema": "prints a script",
	"notifications create": "writes files", "notifications delete": "writes files", "notifications get": "reads files", "notifications list": "reads files", "notifications update": "writes files",
	"notifications activate": "writes files", "notifications deactivate": "writes files", "secrets": "prints help",
}

func TestTheOperatorsPolicyIsEnoughForEveryVerb(t *testing.T) {
	covered := func(path string) bool {
		_, listed := without[path]
		return listed || slices.ContainsFunc(asOperator, func(args []string) bool {
			return strings.HasPrefix(strings.Join(args, " ")+" ", path+" ")
		})
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if path := strings.TrimPrefix(c.CommandPath(), "penstock "); c.Runnable() && c.HasParent() && !c.HasSubCommands() && !covered(path) {
			t.Errorf("%q is neither tried as an operator nor said to need nothing", path)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())

	endpoint := operatorsEndpoint(t)
	value := t.TempDir() + "/value"
	if err := os.WriteFile(value, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range asOperator {
		name := strings.Join(args, " ")
		for i := range args {
			args[i] = strings.Replace(args[i], "VALUE", value, 1)
		}
		cmd := exec.CommandContext(t.Context(), "penstock", args...)
		cmd.Dir = projectRoot(t)
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint)
		output, err := cmd.CombinedOutput()
		if strings.Contains(string(output), "not authorized") || err != nil && args[0] != "tail" {
			t.Errorf("penstock %s: %v\n%s", name, err, output)
		}
	}
}

// operatorsEndpoint starts the project's environment, where a role has the policy
// for operators, and returns an endpoint at which every caller is of that role.
func operatorsEndpoint(t *testing.T) string {
	t.Helper()
	root := projectRoot(t)
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	const stack = "penstock-local-access"
	var template map[string]any
	if err := json.Unmarshal(snapshot.Templates[stack], &template); err != nil {
		t.Fatal(err)
	}
	template["Resources"].(map[string]any)["Operator"] = map[string]any{"Type": "AWS::IAM::Role", "Properties": map[string]any{
		"RoleName": "operator", "ManagedPolicyArns": []any{map[string]any{"Ref": "Operate"}},
		"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": "arn:aws:iam::000000000000:root"}}}},
	}}
	if snapshot.Templates[stack], err = json.Marshal(template); err != nil {
		t.Fatal(err)
	}
	env, err := local.Start(t.Context(), local.Config{
		Snapshot: snapshot, Root: root, DataDir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	endpoint := env.Endpoint()
	out, err := sts.NewFromConfig(aws.Config{
		BaseEndpoint: &endpoint, Region: env.Region(), Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/operator"), RoleSessionName: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	// The command calls the local environment as its administrator, whatever else is
	// configured: here, its key is replaced on the way.
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Header.Set("Authorization", strings.Replace(r.In.Header.Get("Authorization"), names.LocalAccessKeyID, *out.Credentials.AccessKeyId, 1))
		r.Out.Header.Set("X-Amz-Security-Token", *out.Credentials.SessionToken)
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL
}
