package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

const (
	account = "000000000000"
	admin   = "ADMINISTRATOR"
	roleARN = "arn:aws:iam::000000000000:role/r"
	trusted = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com","AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole"}]}`
)

func openStore(t testing.TB) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func newIAM(t testing.TB, edit ...func(*Config)) *IAM {
	t.Helper()
	c := Config{Account: account, Mode: Enforce, AdministratorKey: admin, Logger: slog.New(slog.DiscardHandler)}
	for _, e := range edit {
		e(&c)
	}
	if c.Store == nil {
		c.Store = openStore(t)
	}
	i, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// withRole adds the role r with the statements of one policy, and returns the
// access key of its function f.
func withRole(t testing.TB, i *IAM, statements string) string {
	t.Helper()
	err := i.EnsureRole(Role{Name: "r", Trust: json.RawMessage(trusted), Inline: []Document{
		{Name: "p", Text: json.RawMessage(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := i.ForFunction(roleARN, "f")
	if err != nil {
		t.Fatal(err)
	}
	return c.AccessKeyID
}

// ask asks whether the owner of a key may do something.
func ask(i *IAM, key string, a awswire.Access) error {
	p, err := i.Principal(key)
	if err != nil || p == nil {
		return err
	}
	return p.Authorize(a)
}

// decisionCase is a case of testdata/decisions.txt.
type decisionCase struct {
	name, caller       string
	identity, resource []string // statements
	action, on         string
	keys               map[string][]string
	want               string
}

func decisionCases(t *testing.T) []decisionCase {
	t.Helper()
	text, err := os.ReadFile("testdata/decisions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []decisionCase
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		if strings.HasPrefix(block, "#") {
			continue
		}
		c := decisionCase{caller: "role", keys: map[string][]string{}}
		for n, line := range strings.Split(block, "\n") {
			if n == 0 {
				c.name = line
				continue
			}
			what, rest, _ := strings.Cut(line, " ")
			switch what {
			case "identity":
				c.identity = append(c.identity, rest)
			case "resource":
				c.resource = append(c.resource, rest)
			case "administrator:", "role:":
				c.caller = strings.TrimSuffix(what, ":")
				fields := strings.Fields(rest)
				c.action, c.on = fields[0], fields[1]
				for _, field := range fields[2:] {
					key, values, _ := strings.Cut(field, "=")
					c.keys[key] = strings.Split(values, ",")
				}
			case "=>":
				c.want = rest
			default:
				t.Fatalf("%s: line %q", c.name, line)
			}
		}
		out = append(out, c)
	}
	return out
}

func TestRequestsAreDecidedAsAWSDoes(t *testing.T) {
	cases := decisionCases(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			i := newIAM(t)
			key := withRole(t, i, strings.Join(c.identity, ","))
			if c.caller == "administrator" {
				key = admin
			}
			a := awswire.Access{Action: c.action, Resource: c.on, Keys: func(key string) []string { return c.keys[key] }}
			if c.resource != nil {
				p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(c.resource, ",") + `]}`))
				if err != nil {
					t.Fatal(err)
				}
				a.Policy = p
			}
			got := "allowed"
			var refused *awswire.Error
			if err := ask(i, key, a); errors.As(err, &refused) {
				got = fmt.Sprintf("%d %s: %s", refused.Status, refused.Code, refused.Message)
				if refused.Unmet != nil {
					got += fmt.Sprint(" ", refused.Unmet)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(c.want, "allowed") && !strings.Contains(got, c.want) || strings.HasPrefix(c.want, "allowed") && got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if len(cases) < 30 {
		t.Errorf("only %d cases were found", len(cases))
	}
}

func TestAnAccessKeyThatIsNotKnownIsRefused(t *testing.T) {
	i := newIAM(t)
	for _, key := range []string{"", "AKIAOTHER"} {
		var refused *awswire.Error
		if _, err := i.Principal(key); !errors.As(err, &refused) || refused.Code != "UnrecognizedClientException" || refused.QueryCode != "InvalidClientTokenId" {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if err := ask(newIAM(t, func(c *Config) { c.Mode = Off }), "AKIAOTHER", awswire.Access{Action: "sqs:SendMessage", Resource: "q"}); err != nil {
		t.Errorf("with the mode off: %v", err)
	}
}

func TestWarningLetsADenialPassAndTellsTheFirstOfEachKind(t *testing.T) {
	var log bytes.Buffer
	i := newIAM(t, func(c *Config) { c.Mode, c.Logger = Warn, slog.New(slog.NewTextHandler(&log, nil)) })
	key := withRole(t, i, `{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"q"}`)
	for range 3 {
		for _, queue := range []string{"a", "b"} {
			if err := ask(i, key, awswire.Access{Action: "sqs:SendMessage", Resource: queue}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := strings.Count(log.String(), "a call that AWS would refuse"); n != 2 || !strings.Contains(log.String(), "sqs:sendmessage on resource: b") {
		t.Fatalf("%d warnings, want 2:\n%s", n, &log)
	}
}

func TestAChangeOfARoleHoldsAtOnce(t *testing.T) {
	i := newIAM(t)
	send := awswire.Access{Action: "sqs:SendMessage", Resource: "q"}
	key := withRole(t, i, "")
	if ask(i, key, send) == nil {
		t.Fatal("allowed without a policy")
	}
	allow := Policy{ID: i.PolicyARN("m"), Document: Document{"m", json.RawMessage(`{"Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"q"}]}`)}, Roles: []string{"r"}}
	if err := i.EnsurePolicy(allow); err != nil {
		t.Fatal(err)
	}
	if err := ask(i, key, send); err != nil {
		t.Fatal("with a policy attached:", err)
	}
	if err := i.DeletePolicy(allow.ID); err != nil || ask(i, key, send) == nil {
		t.Fatal("allowed after the policy was removed", err)
	}
	allow.Roles = nil
	if err := i.EnsurePolicy(allow); err != nil || ask(i, key, send) == nil {
		t.Fatal("allowed by a policy that is attached to nobody", err)
	}
	if err := i.EnsureRole(Role{Name: "r", Trust: json.RawMessage(trusted), Managed: []string{allow.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := ask(i, key, send); err != nil {
		t.Fatal("with a managed policy:", err)
	}
	err := i.EnsureRole(Role{Name: "r", Trust: json.RawMessage(trusted), Managed: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}})
	if err == nil || !strings.Contains(err.Error(), "AdministratorAccess is not known") || ask(i, key, send) != nil {
		t.Fatal("a managed policy that nobody knows:", err)
	}
	i.DeleteRole("r")
	if err := ask(i, key, send); err == nil || !strings.Contains(err.Error(), "UnrecognizedClientException") {
		t.Fatal("the key of a role that is gone:", err)
	}
}

func TestLambdaRunsAFunctionOnlyAsARoleThatTrustsIt(t *testing.T) {
	i := newIAM(t)
	if _, err := i.ForFunction(roleARN, "f"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Error("without a role:", err)
	}
	if err := i.EnsureRole(Role{Name: "r", Trust: json.RawMessage(strings.ReplaceAll(trusted, "lambda.", "events."))}); err != nil {
		t.Fatal(err)
	}
	if _, err := i.ForFunction(roleARN, "f"); err == nil || !strings.Contains(err.Error(), "cannot be assumed by Lambda") {
		t.Error("with another service's role:", err)
	}
}

func TestASessionOfARoleEndsWithItsTimeAndOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIAM(t)
		send := awswire.Access{Action: "sqs:SendMessage", Resource: "q"}
		const allow = `{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"q"}`
		withRole(t, i, allow)
		c, id, expires, err := i.AssumeRole(roleARN, "ann", 30*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if want := "arn:aws:sts::000000000000:assumed-role/r/ann"; id.ARN != want || time.Until(expires) > 30*time.Minute {
			t.Errorf("got %+v until %v", id, expires)
		}
		if err := ask(i, c.AccessKeyID, send); err != nil {
			t.Fatal(err)
		}
		again := newIAM(t, func(cfg *Config) { cfg.Store = i.cfg.Store })
		if _, err := again.Principal(c.AccessKeyID); err == nil {
			t.Error("known before its role is")
		}
		withRole(t, again, allow)
		if err := ask(again, c.AccessKeyID, send); err != nil {
			t.Fatal("after a restart:", err)
		}
		time.Sleep(31 * time.Minute)
		for _, one := range []*IAM{i, again} {
			if err := ask(one, c.AccessKeyID, send); err == nil || !strings.Contains(err.Error(), "ExpiredToken") {
				t.Error("after its time:", err)
			}
		}
		last := newIAM(t, func(cfg *Config) { cfg.Store = i.cfg.Store })
		if _, kept, _ := last.cfg.Store.Get(sessionKey().String(c.AccessKeyID)); kept {
			t.Error("an expired session is kept for good")
		}
	})
}

func TestASessionIsRefusedAsSTSDoes(t *testing.T) {
	i := newIAM(t)
	withRole(t, i, "")
	for _, c := range []struct {
		role, name string
		d          time.Duration
		want       string
	}{
		{roleARN + "2", "ann", 0, "does not exist"},
		{roleARN, "a", 0, "roleSessionName"},
		{roleARN, "ann smith", 0, "roleSessionName"},
		{roleARN, "ann", time.Minute, "want 900 to 43200"},
		{roleARN, "ann", 2 * time.Hour, "exceeds the MaxSessionDuration"},
	} {
		if _, _, _, err := i.AssumeRole(c.role, c.name, c.d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s as %q for %v: %v, want %s", c.role, c.name, c.d, err, c.want)
		}
	}
}

func TestGrantsThatWereUsedAreRememberedForGood(t *testing.T) {
	const statements = `{"Sid":"Queues","Effect":"Allow","Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":["a","b"]},
		{"Effect":"Allow","Action":"dynamodb:PutItem","Resource":"t","Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"f/*"}}},
		{"Effect":"Deny","Action":"sqs:*","Resource":"c"}`
	i := newIAM(t)
	key := withRole(t, i, statements)
	put := func(leading string) error {
		return ask(i, key, awswire.Access{Action: "dynamodb:PutItem", Resource: "t", Keys: func(string) []string { return []string{leading} }})
	}
	if err := ask(i, key, awswire.Access{Action: "sqs:SendMessage", Resource: "b"}); err != nil {
		t.Fatal(err)
	}
	if put("g/1") == nil {
		t.Fatal("allowed against its condition")
	}
	used := func(i *IAM) string {
		var out []string
		for _, g := range i.Grants() {
			if g.Role != "r" || g.Policy != "p" {
				t.Errorf("a grant of %+v", g)
			}
			line := g.Statement + " " + g.Action + " " + g.Resource
			if g.Used {
				line += " used"
			}
			out = append(out, line)
		}
		return strings.Join(out, "\n")
	}
	if got, want := used(i), "Queues sqs:SendMessage a\nQueues sqs:SendMessage b used\nQueues sqs:ReceiveMessage a\nQueues sqs:ReceiveMessage b\n#2 dynamodb:PutItem t"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := put("f/1"); err != nil {
		t.Fatal(err)
	}
	again := newIAM(t, func(c *Config) { c.Store = i.cfg.Store })
	withRole(t, again, statements)
	if got := used(again); strings.Count(got, "used") != 2 || !strings.Contains(got, "#2 dynamodb:PutItem t used") {
		t.Errorf("after a restart\n%s", got)
	}
}

func TestARoleWhosePolicyIsNotUnderstoodIsRefused(t *testing.T) {
	for statement, want := range map[string]string{
		`{"Effect":"Allow","Action":"sqs:*"}`:                            "it has no Resource",
		`{"Effect":"Allow","Resource":"*"}`:                              "it has no Action",
		`{"Effect":"Allow","Action":"a","Resource":"*","Principal":"*"}`: "a policy of a role has no Principal",
		`{"Effect":"Allow","Action":"a","Resource":"${aws:userid}"}`:     "policy variables",
		`{"Effect":"Allow","Action":"a","NotResource":"b"}`:              "NotResource",
	} {
		r := Role{Name: "r", Trust: json.RawMessage(trusted), Inline: []Document{{"p", json.RawMessage(`{"Version":"2012-10-17","Statement":[` + statement + `]}`)}}}
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `policy "p"`) {
			t.Errorf("%s: %v, want %s", statement, err, want)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	i := newIAM(b)
	key := withRole(b, i, `{"Effect":"Allow","Action":["dynamodb:PutItem","dynamodb:GetItem"],"Resource":"arn:aws:dynamodb:us-east-1:000000000000:table/ledger"},
		{"Effect":"Allow","Action":"dynamodb:PutItem","Resource":"arn:aws:dynamodb:us-east-1:000000000000:table/outbox","Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["savings/FEE_CHARGED#*"]}}}`)
	leading := []string{"savings/FEE_CHARGED#01a1fdea-7ada-74f0-ba72-90028f1c4841"}
	queue, err := policy.Parse([]byte(`{"Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"arn:aws:sqs:us-east-1:000000000000:q","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:q"}]}`))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, key string
		a         awswire.Access
	}{
		{"administrator", admin, awswire.Access{Action: "events:PutEvents", Resource: "arn:aws:events:us-east-1:000000000000:event-bus/b"}},
		{"administrator, a queue's policy", admin, awswire.Access{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:000000000000:q", Policy: queue}},
		{"role", key, awswire.Access{Action: "dynamodb:PutItem", Resource: "arn:aws:dynamodb:us-east-1:000000000000:table/ledger"}},
		{"role, a condition", key, awswire.Access{Action: "dynamodb:PutItem", Resource: "arn:aws:dynamodb:us-east-1:000000000000:table/outbox", Keys: func(string) []string { return leading }}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := ask(i, c.key, c.a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
