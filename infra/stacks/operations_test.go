package stacks_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/manifest"
)

func (tmpl template) alarm(t *testing.T, name string) resource {
	t.Helper()
	return tmpl.named(t, "AWS::CloudWatch::Alarm", "AlarmName", name)
}

func TestASubscriptionThatFailsIsStoppedByTheSettingsOfItsManifest(t *testing.T) {
	tmpl := shopIn(t, dev)["penstock-dev-fee"]
	a := tmpl.alarm(t, "penstock-dev-fee-trades/breaker").Properties
	var expression string
	for _, q := range list(a["Metrics"]) {
		if e, ok := q.(map[string]any)["Expression"].(string); ok {
			expression = e
		}
	}
	if expression != "IF(invoked >= 3, 100 * failed / invoked, 0)" {
		t.Errorf("it watches %s", expression)
	}
	got := fmt.Sprint(a["Threshold"], a["ComparisonOperator"], a["DatapointsToAlarm"], a["EvaluationPeriods"], a["TreatMissingData"])
	if want := fmt.Sprint(20, "GreaterThanOrEqualToThreshold", 2, 4, "notBreaching"); got != want {
		t.Errorf("it goes off by %s, want %s", got, want)
	}
	if acts := text(list(a["AlarmActions"])[0]); acts != "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:penstock-dev-breaker" {
		t.Errorf("it acts on %s", acts)
	}
	if of := text(a["Metrics"]); strings.Count(of, `"EventSourceMappingUUID"`) != 2 {
		t.Errorf("it does not watch the mapping: %s", of)
	}
	tags := mustJSON(tmpl.queue(t, "penstock-dev-fee-trades").Properties["Tags"])
	for _, want := range []string{`"penstock:function","Value":"fee"`, `"penstock:subscription","Value":"trades"`, `"penstock:event","Value":"trading/TRADE_ALLOCATED"`, `"penstock:probe-after-minutes","Value":"15"`} {
		if !strings.Contains(tags, want) {
			t.Errorf("the queue lacks the tag %s: %s", want, tags)
		}
	}
	for id, r := range tmpl.Resources {
		if r.Properties["AlarmName"] == "penstock-dev-fee-deposits/breaker" {
			t.Errorf("%s: a breaker that is off has an alarm", id)
		}
	}
}

func TestEveryAlarmSaysWhatToDoAndTellsSomebody(t *testing.T) {
	count := 0
	everyTemplate(t, func(t *testing.T, stack string, tmpl template) {
		for id, r := range tmpl.Resources {
			if r.Type != "AWS::CloudWatch::Alarm" {
				continue
			}
			count++
			// "PutMetricAlarm": a description has up to 1,024 characters.
			if d := text(r.Properties["AlarmDescription"]); len(d) < 60 || len(d) > 1024 {
				t.Errorf("%s: alarm %s: its description is %q", stack, id, d)
			}
			if acts := text(r.Properties["AlarmActions"]); !strings.Contains(acts, "-alarms") && !strings.Contains(acts, "-breaker") {
				t.Errorf("%s: alarm %s acts on %s", stack, id, acts)
			}
		}
	})
	if count == 0 {
		t.Error("there are no alarms")
	}
}

func TestPeopleAreToldByATopicThatAlarmsMayUse(t *testing.T) {
	for _, c := range []struct {
		env    manifest.Environment
		key    string
		emails int
	}{
		{dev, "null", 0},
		{prod, "{{resolve:ssm:/penstock/prod/key/arn}}", 1},
	} {
		tmpl := shopIn(t, c.env)["penstock-"+c.env.Name+"-operations"]
		topic := tmpl.named(t, "AWS::SNS::Topic", "TopicName", "penstock-"+c.env.Name+"-alarms")
		if key := text(topic.Properties["KmsMasterKeyId"]); key != c.key {
			t.Errorf("%s: the topic is encrypted with %s, want %s", c.env.Name, key, c.key)
		}
		emails := tmpl.resources("AWS::SNS::Subscription")
		if len(emails) != c.emails || c.emails > 0 && emails[0].Properties["Endpoint"] != "oncall@example.com" {
			t.Errorf("%s: subscriptions %v", c.env.Name, emails)
		}
		policy := text(tmpl.resources("AWS::SNS::TopicPolicy")[0].Properties["PolicyDocument"])
		if !strings.Contains(policy, "alarm:penstock-"+c.env.Name+"-*") || !strings.Contains(policy, `"aws:SecureTransport":"false"`) {
			t.Errorf("%s: the topic's policy is %s", c.env.Name, policy)
		}
	}
}

// widgets are those of a template's dashboards.
func widgets(t *testing.T, tmpl template) (bodies []string, count []int) {
	t.Helper()
	for i := range tmpl.resources("AWS::CloudWatch::Dashboard") {
		name := "penstock-dev"
		if i > 0 {
			name = fmt.Sprintf("penstock-dev-%d", i+1)
		}
		body := text(tmpl.named(t, "AWS::CloudWatch::Dashboard", "DashboardName", name).Properties["DashboardBody"])
		var parsed struct{ Widgets []any }
		if err := json.Unmarshal([]byte(body), &parsed); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		bodies, count = append(bodies, body), append(count, len(parsed.Widgets))
	}
	return bodies, count
}

func TestTheDashboardShowsEverySubscription(t *testing.T) {
	bodies, _ := widgets(t, shopIn(t, dev)["penstock-dev-operations"])
	if len(bodies) != 1 {
		t.Fatalf("%d dashboards", len(bodies))
	}
	for _, sub := range []string{"withdrawals", "deposits", "trades"} {
		for _, queue := range []string{"", "-dlq", "-rule-dlq"} {
			if !strings.Contains(bodies[0], `"QueueName","penstock-dev-fee-`+sub+queue+`"`) {
				t.Errorf("queue %s%s is not shown", sub, queue)
			}
		}
	}
}

func TestADashboardHasAtMostFiveHundredWidgets(t *testing.T) {
	var subscriptions []string
	many := fstest.MapFS{"schemas/savings/OPENED.schema.json": {Data: []byte(`{"type": "object"}`)}}
	for i := range 21 {
		subscriptions = subscriptions[:0]
		for j := range 10 {
			subscriptions = append(subscriptions, fmt.Sprintf(`{"name": "s%d", "event": "savings/OPENED"}`, j))
		}
		name := fmt.Sprintf("f%d", i)
		many["functions/"+name+"/function.json"] = &fstest.MapFile{Data: []byte(`{"name": "` + name + `", "maxConcurrency": 2, "subscriptions": [` + strings.Join(subscriptions, ",") + `]}`)}
	}
	needsNode(t)
	env := dev
	tmpl := parse(t, synthesize(t, many, env).Templates)["penstock-dev-operations"]
	_, count := widgets(t, tmpl)
	if len(count) != 3 {
		t.Fatalf("%d dashboards for 210 subscriptions", len(count))
	}
	for i, n := range count {
		if n == 0 || n > 500 {
			t.Errorf("dashboard %d has %d widgets", i+1, n)
		}
	}
}
