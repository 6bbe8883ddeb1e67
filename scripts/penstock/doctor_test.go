package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// answers answers a call by the service that its host names, as AWS does.
type answers map[string]string

func (a answers) Do(r *http.Request) (*http.Response, error) {
	service, _, _ := strings.Cut(r.URL.Host, ".")
	body, status := a[service], http.StatusOK
	if strings.Contains(body, "NotFound") {
		status = http.StatusBadRequest
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

const (
	caller = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/ada</Arn>` +
		`<UserId>U</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	nobodyTold = `<ListSubscriptionsByTopicResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ListSubscriptionsByTopicResult><Subscriptions/></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`
	twoTold    = `<ListSubscriptionsByTopicResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ListSubscriptionsByTopicResult><Subscriptions>` +
		`<member><Protocol>email</Protocol><Endpoint>ann@example.com</Endpoint><SubscriptionArn>PendingConfirmation</SubscriptionArn></member>` +
		`<member><Protocol>email</Protocol><Endpoint>bob@example.com</Endpoint><SubscriptionArn>arn:aws:sns:eu-west-1:111111111111:shop-prod-alarms:1</SubscriptionArn></member>` +
		`</Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`
)

func account(a answers) answers {
	all := answers{
		"sts": caller, "sns": nobodyTold, "ssm": `{"Parameter": {"Value": "30"}}`,
		"lambda": `{"AccountLimit": {"ConcurrentExecutions": 1000}}`, "servicequotas": `{"Quota": {"Value": 300}}`,
	}
	for service, answer := range a {
		all[service] = answer
	}
	return all
}

func TestTheDoctorTellsWhatAnAccountLacks(t *testing.T) {
	for _, c := range []struct {
		name   string
		check  func(*doctor) check
		answer answers
		rules  int    // quotas.rulesPerBus of the environment
		want   string // state, check and detail; one line each
	}{
		{"bootstrapped", func(d *doctor) check { return check{"bootstrap", d.bootstrap} }, nil, 0, "ok bootstrap: version 30"},
		{"bootstrapped long ago", func(d *doctor) check { return check{"bootstrap", d.bootstrap} },
			answers{"ssm": `{"Parameter": {"Value": "5"}}`}, 0, "failure bootstrap: version 5, and 6 is the least"},
		{"not bootstrapped", func(d *doctor) check { return check{"bootstrap", d.bootstrap} },
			answers{"ssm": `{"__type": "ParameterNotFound"}`}, 0, "failure bootstrap: the CDK has not been bootstrapped in this account and region"},
		{"room enough", func(d *doctor) check { return check{"quotas", d.quotas} }, nil, 0,
			"ok quota: concurrent invocations: 20 of 1000\nok quota: rules on a bus: 2 of 300"},
		{"a new account", func(d *doctor) check { return check{"quotas", d.quotas} },
			answers{"lambda": `{"AccountLimit": {"ConcurrentExecutions": 10}}`}, 0,
			"failure quota: concurrent invocations: 20 of 10\nok quota: rules on a bus: 2 of 300"},
		{"nearly full", func(d *doctor) check { return check{"quotas", d.quotas} },
			answers{"lambda": `{"AccountLimit": {"ConcurrentExecutions": 24}}`}, 0,
			"warning quota: concurrent invocations: 20 of 24\nok quota: rules on a bus: 2 of 300"},
		{"fewer than declared", func(d *doctor) check { return check{"quotas", d.quotas} }, answers{"servicequotas": `{"Quota": {"Value": 100}}`}, 200,
			"ok quota: concurrent invocations: 20 of 1000\nwarning quota: rules on a bus: 2 of 100, and infra/environments.json says 200"},
		{"nobody told", func(d *doctor) check { return check{"alarms", d.alarms} }, nil, 0,
			"warning alarms: cat@example.com is in infra/environments.json, and not told"},
		{"not confirmed", func(d *doctor) check { return check{"alarms", d.alarms} }, answers{"sns": twoTold}, 0,
			"warning alarms: ann@example.com has not confirmed, and is told nothing\nwarning alarms: cat@example.com is in infra/environments.json, and not told\nok alarms: told to 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &doctor{
				Target: &cli.Target{
					Env:   manifest.Environment{Name: "prod", AlarmEmails: []string{"cat@example.com"}},
					Names: names.New("shop", "prod"),
					AWS:   aws.Config{Region: "eu-west-1", HTTPClient: account(c.answer), Credentials: credentials.NewStaticCredentialsProvider("AKIA", "key", "")},
				},
				functions: []manifest.Function{{Name: "fee", MaxConcurrency: 10, Subscriptions: make([]manifest.Subscription, 2)}},
			}
			d.Env.Quotas.RulesPerBus = c.rules
			var got []string
			for _, f := range runChecks(t.Context(), []check{c.check(d)}) {
				got = append(got, string(f.State)+" "+f.Check+": "+f.Detail)
				if (f.State == ok) != (f.WayOut == "") {
					t.Errorf("%s: the way out is %q", f.State, f.WayOut)
				}
			}
			if got := strings.Join(got, "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAPausedSubscriptionIsTold(t *testing.T) {
	f := manifest.Function{Name: "fee", MaxConcurrency: 10}
	s := manifest.Subscription{Name: "trades", BatchSize: 500, BatchWindowSeconds: 1}
	live := listedSubscription{State: "disabled", BatchSize: 500, WindowSeconds: 1, MaxConcurrency: 10}
	if got := compareMapping(f, s, live); got.State != warning || !strings.Contains(got.WayOut, "penstock subscriptions enable fee/trades") {
		t.Errorf("stopped by somebody: %+v", got)
	}
	s.Enabled = new(false)
	if got := compareMapping(f, s, live); got.State != ok {
		t.Errorf("stopped by its manifest: %+v", got)
	}
}
