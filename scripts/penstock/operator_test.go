package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
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
	{"pipelines", "try", "trade-allocation", "--call"},
	{"subscriptions", "list"},
	{"subscriptions", "get", "trade-allocated/allocations"},
	{"subscriptions", "disable", "trade-allocated/allocations", "--reason", "a drill"},
	{"subscriptions", "enable", "trade-allocated/allocations"},
	{"replay", "list"},
	{"replay", "status", "INTERRUPTED"},
	{"replay", "cancel", "INTERRUPTED", "-y"},
	{"replay", "resume", "ENDED"},
	{"dlq", "list"},
	{"dlq", "show", "trade-allocated/allocations"},
	{"dlq", "drop", "trade-allocated/allocations", "--id", "dropped", "-y", "--keep", "DROPPED"},
	{"dlq", "redrive", "trade-allocated/allocations", "--all"},
	{"sessions", "revoke", "--user", "user-17"},
	{"sessions", "rotate-key"},
	{"tail", "--sweep"},
	{"tail", "--timeout", "1s", "--bus", "default"},
	{"tail", "--bus", "nowhere"},
	{"trace", "01976e5a-8c00-7000-8000-000000000001"}, // of which nothing is found
	{"doctor", "--test-alarm"},
}

// idle are the grants of the operators' policy that no verb uses in the local
// environment: action, the end of the resource, and why they are there.
var idle = [][3]string{
	{"lambda:GetAccountSettings", "*", "doctor asks for the quotas of an account; this machine has none"},
	{"servicequotas:GetServiceQuota", "*", "doctor asks for the quotas of an account; this machine has none"},
	{"events:CancelReplay", "-replay-*", "a replay here has ended before it can be cancelled"},
	{"events:StartReplay", ":archive/penstock-local", "here the replay alone is asked about"},
	{"dynamodb:Query", ":table/penstock-local-deliveries", "the project here has no function on HTTP, and no log of deliveries"},
	{"ssm:GetParameter", ":parameter/cdk-bootstrap/*", "doctor asks how an account was bootstrapped; this machine is not"},
}

// without are the commands that call nothing of AWS, or are not an operator's.
var without = map[string]string{
	"replay": "has been tried before the others, with and without a pace",
	"dev":    "runs an environment", "cost": "reads the local run's meter", "verify": "asks for an administrator's permissions",
	"events check": "reads files", "events generate": "writes files", "events list": "reads files", "events sample": "reads files", "events show": "reads files",
	"functions generate": "writes files", "functions build": "writes files", "functions deploy": "deploys", "functions delete": "deploys", "outbox schema": "prints a script",
	"functions create-http": "writes files, and makes a secret as secrets create does", "functions rotate-secret": "asks and writes as sessions rotate-key does, of a function on HTTP",
	"deliveries list": "is of functions on HTTP, which the project here has none of", "deliveries show": "as list", "deliveries resend": "as list, and sends as dlq redrive does",
	"notifications create": "writes files", "notifications delete": "writes files", "notifications get": "reads files", "notifications list": "reads files", "notifications update": "writes files",
	"notifications activate": "writes files", "notifications deactivate": "writes files", "secrets": "prints help",
	"subscriptions create": "writes files, and looks as get does", "subscriptions update": "writes files, and looks as get does", "subscriptions delete": "writes files, and looks as get does",
}

func TestTheOperatorsPolicyIsWhatTheVerbsNeed(t *testing.T) {
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

	o := startOperator(t)
	o.tails(t)
	interrupted, ended := o.replays(t)
	o.givesUp(t, "dropped", "redriven")
	value := t.TempDir() + "/value"
	if err := os.WriteFile(value, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range asOperator {
		args = slices.Clone(args)
		for i := range args {
			args[i] = strings.NewReplacer("VALUE", value, "INTERRUPTED", interrupted, "ENDED", ended, "DROPPED", value+".jsonl").Replace(args[i])
		}
		if output, err := o.penstock(t, args...).CombinedOutput(); err != nil && args[0] != "tail" && args[0] != "trace" {
			t.Errorf("penstock %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	for _, denial := range o.denials() {
		t.Errorf("denied: %s", denial)
	}
	o.usesAllButIdle(t)
}

// operator is an environment of the project in which whoever calls the endpoint
// has the policy for operators.
type operator struct {
	env      *local.Environment
	admin    aws.Config // calls the environment as its administrator
	endpoint string

	mu     sync.Mutex
	denied []string
}

// operatorRole is the role that has the policy.
const operatorRole = "operator"

func startOperator(t *testing.T) *operator {
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
		"RoleName": operatorRole, "ManagedPolicyArns": []any{map[string]any{"Ref": "Operate"}},
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
	o := &operator{env: env}
	o.admin = aws.Config{
		BaseEndpoint: aws.String(env.Endpoint()), Region: env.Region(),
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}
	out, err := sts.NewFromConfig(o.admin).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/" + operatorRole), RoleSessionName: aws.String("ann"),
	})
	if err != nil {
		t.Fatal(err)
	}
	// The command calls the local environment as its administrator, whatever else is
	// configured: here, its key is replaced on the way.
	to, err := url.Parse(env.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Authorization", strings.Replace(r.In.Header.Get("Authorization"), names.LocalAccessKeyID, *out.Credentials.AccessKeyId, 1))
			r.Out.Header.Set("X-Amz-Security-Token", *out.Credentials.SessionToken)
		},
		ModifyResponse: o.readDenial,
	})
	t.Cleanup(proxy.Close)
	o.endpoint = proxy.URL
	return o
}

// readDenial notes an answer that is a denial: the command may go on after one.
func (o *operator) readDenial(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if bytes.Contains(body, []byte("not authorized to perform")) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.denied = append(o.denied, string(body))
	}
	return nil
}

// denials are the answers that were.
func (o *operator) denials() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.denied)
}

// penstock is the command, not started yet.
func (o *operator) penstock(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "penstock", args...)
	cmd.Dir = projectRoot(t)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+o.endpoint)
	return cmd
}

// tails shows an event by a tail, and leaves a rule and a queue such as tails do
// that lose their connection while they begin.
func (o *operator) tails(t *testing.T) {
	t.Helper()
	tail := &runningTail{cmd: o.penstock(t, "tail")}
	tail.cmd.Stdout, tail.cmd.Stderr = &tail.out, &tail.notes
	tail.start(t)
	if output, err := o.penstock(t, "events", "publish", "TRADE_ALLOCATED").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	eventually(t, "the tail deletes what it has shown", func() bool {
		return slices.ContainsFunc(o.env.Grants(), func(g local.Grant) bool {
			return g.Role == operatorRole && g.Action == "sqs:DeleteMessage" && g.Used
		})
	})
	bus, prefix := localNames.Bus(), localNames.TailPrefix()
	rules := eventbridge.NewFromConfig(o.admin)
	made, err := rules.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: &bus, NamePrefix: &prefix})
	if err != nil || len(made.Rules) != 1 {
		t.Fatal(made, err)
	}
	if err := tail.cmd.Process.Signal(os.Interrupt); err != nil || tail.ends(t) != cli.ExitDone {
		t.Fatal(err, tail.notes.String())
	}
	if _, err := rules.PutRule(t.Context(), &eventbridge.PutRuleInput{
		EventBusName: &bus, Name: aws.String(prefix + "left"), EventPattern: made.Rules[0].EventPattern, Description: made.Rules[0].Description,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := sqs.NewFromConfig(o.admin).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(prefix + "alone")}); err != nil {
		t.Fatal(err)
	}
}

var replayName = regexp.MustCompile(`penstock-local-replay-\w+`)

// replays leaves a replay that was interrupted while it forwarded events, and one
// that has ended.
func (o *operator) replays(t *testing.T) (interrupted, ended string) {
	t.Helper()
	for range 2 { // of which one waits for ten seconds
		if output, err := o.penstock(t, "events", "publish", "TRADE_ALLOCATED").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	start := []string{"replay", "--subscription", "trade-allocated/allocations", "--from", "1h", "-y"}
	slow := &runningTail{cmd: o.penstock(t, append(start, "--rate", "0.1")...)}
	slow.cmd.Stdout, slow.cmd.Stderr = &slow.out, &slow.notes
	slow.begin(t)
	eventually(t, "the replay deletes what it has forwarded", func() bool {
		return slices.ContainsFunc(o.env.Grants(), func(g local.Grant) bool {
			return g.Role == operatorRole && g.Action == "sqs:DeleteMessage" && strings.HasSuffix(g.Resource, "-replay-*") && g.Used
		})
	})
	slow.says(t, "completed")
	interrupted = replayName.FindString(slow.notes.String())
	if err := slow.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	slow.ends(t)
	output, err := o.penstock(t, start...).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return interrupted, replayName.FindString(string(output))
}

// givesUp puts events into a DLQ, by their ids.
func (o *operator) givesUp(t *testing.T, ids ...string) {
	t.Helper()
	queues := sqs.NewFromConfig(o.admin)
	for _, id := range ids {
		body := `{"source":"trading","detail-type":"TRADE_ALLOCATED","detail":{"metadata":{"id":"` + id + `"},"data":{}}}`
		url := o.env.Endpoint() + "/000000000000/" + localNames.DLQ("trade-allocated", "allocations")
		if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
}

// usesAllButIdle fails for a grant without a use or a reason, and for a reason
// without a grant that needs one.
func (o *operator) usesAllButIdle(t *testing.T) {
	t.Helper()
	needed := map[[3]string]bool{}
	for _, g := range o.env.Grants() {
		if g.Role != operatorRole || g.Used {
			continue
		}
		i := slices.IndexFunc(idle, func(known [3]string) bool { return g.Action == known[0] && strings.HasSuffix(g.Resource, known[1]) })
		if i < 0 {
			t.Errorf("statement %s of the operators' policy: no verb uses %s on %s", g.Statement, g.Action, g.Resource)
			continue
		}
		needed[idle[i]] = true
	}
	for _, known := range idle {
		if !needed[known] {
			t.Errorf("%s on …%s is used, or granted no more: it needs no reason (%s)", known[0], known[1], known[2])
		}
	}
}
