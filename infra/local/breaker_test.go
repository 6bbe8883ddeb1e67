package local_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/infra/local"
)

// withdrawals is the subscription of these tests. Its function fails for as long
// as it has no secret to read.
var withdrawals = stops.Subscription{
	Function: "withdrawal-fee", Name: "withdrawals", Event: "savings/SAVINGS_WITHDRAWAL",
	Lambda: "penstock-local-withdrawal-fee", Queue: "arn:aws:sqs:us-east-1:000000000000:penstock-local-withdrawal-fee-withdrawals",
	Alarm: "penstock-local-withdrawal-fee-withdrawals/breaker",
}

// ailing is an environment with the project's templates, whose function
// withdrawal-fee fails, and whose breaker needs one minute to see it.
type ailing struct {
	*testing.T
	*local.Environment
	log    *safeBuffer
	lambda *lambda.Client
	db     *dynamodb.Client
	stops  *stops.Switch
	ids    map[string]bool // of what was published
}

func startAiling(t *testing.T, probeAfterMinutes string) *ailing {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	resourcesOf(t, snapshot, "penstock-local-withdrawal-fee", func(resources map[string]any) {
		for _, r := range resources {
			properties := r.(map[string]any)["Properties"].(map[string]any)
			if properties["AlarmName"] == withdrawals.Alarm {
				properties["DatapointsToAlarm"], properties["EvaluationPeriods"] = 1, 1
			}
			tags, _ := properties["Tags"].([]any)
			for _, tag := range tags {
				if tag := tag.(map[string]any); tag["Key"] == "penstock:probe-after-minutes" {
					tag["Value"] = probeAfterMinutes
				}
			}
		}
	})
	resourcesOf(t, snapshot, "penstock-local-operations", func(resources map[string]any) {
		resources["OnCall"] = map[string]any{"Type": "AWS::SNS::Subscription", "Properties": map[string]any{
			"TopicArn": map[string]any{"Ref": "Topic"}, "Protocol": "email", "Endpoint": "oncall@example.org",
		}}
	})
	f := &ailing{T: t, log: &safeBuffer{}, ids: map[string]bool{}}
	dir := t.TempDir()
	secretstest.SearchAtEnd(t, filepath.Join(dir, "logs"))
	settings := config(snapshot, dir)
	settings.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	if f.Environment, err = local.Start(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	as := awsConfig(f.Endpoint())
	f.lambda, f.db = lambda.NewFromConfig(as), dynamodb.NewFromConfig(as)
	f.stops = &stops.Switch{Mappings: f.lambda, Items: f.db, Alarms: cloudwatch.NewFromConfig(as), Table: "penstock-local-state"}
	return f
}

// publish publishes withdrawals.
func (f *ailing) publish(n int) {
	f.Helper()
	publisher := eventbus.New(eventbridge.NewFromConfig(awsConfig(f.Endpoint())), "penstock-local")
	for range n {
		e := events.Stamp(f.Context(), savings.SampleWithdrawal())
		f.ids[e.ID] = true
		if err := publisher.Publish(f.Context(), e); err != nil {
			f.Fatal(err)
		}
	}
}

// invoke calls the breaker with an event.
func (f *ailing) invoke(event string) {
	f.Helper()
	out, err := f.lambda.Invoke(f.Context(), &lambda.InvokeInput{FunctionName: aws.String("penstock-local-breaker"), Payload: []byte(event)})
	if err != nil || out.FunctionError != nil {
		f.Fatalf("the breaker: %v %s", err, out.Payload)
	}
}

const minute = `{"detail-type": "Scheduled Event"}`

func (f *ailing) record() stops.Record {
	f.Helper()
	r, err := f.stops.Get(f.Context(), withdrawals)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *ailing) mapping() (uuid, state string) {
	f.Helper()
	out, err := f.lambda.ListEventSourceMappings(f.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: &withdrawals.Lambda})
	if err != nil || len(out.EventSourceMappings) != 1 {
		f.Fatal(out, err)
	}
	return *out.EventSourceMappings[0].UUID, *out.EventSourceMappings[0].State
}

func (f *ailing) untilMapping(state string) {
	f.Helper()
	until(f.T, "the mapping is "+state, func() bool { _, is := f.mapping(); return is == state })
}

// fail publishes events that all fail, and ends the minute: the breaker has to
// stop the subscription.
func (f *ailing) fail(n int) {
	f.Helper()
	f.publish(n)
	uuid, _ := f.mapping()
	until(f.T, "all have failed once", func() bool {
		failed, err := f.FailedInvokes(uuid)
		return err == nil && failed >= uint64(n)
	})
	f.EndMinute()
	until(f.T, "the stop is told", func() bool { r := f.record(); return r.Stopped && r.Told })
	f.untilMapping("Disabled")
}

// told counts the emails with a subject.
func (f *ailing) told(subject string) int {
	return strings.Count(f.log.String(), `subject="`+subject+`"`)
}

func (f *ailing) allHandled() {
	f.Helper()
	await(f.T, "every withdrawal has its fee", func() bool { return len(fees(f.T, f.db)) == len(f.ids) })
	for id, n := range fees(f.T, f.db) {
		if n != 1 || !f.ids[id] {
			f.Errorf("withdrawal %s has %d fees", id, n)
		}
	}
}

func TestASubscriptionThatFailsIsStoppedAndDrainsOnceItIsEnabled(t *testing.T) {
	t.Parallel() // it waits for retries
	f := startAiling(t, "0")
	f.fail(20)
	r := f.record()
	if r.By != penstock.ActorBreaker || r.Failures == nil || r.Failures.Failed < 20 || !strings.HasPrefix(r.Reason, "100 % of ") {
		t.Errorf("recorded: %+v, failures %+v", r, r.Failures)
	}
	if f.told("Stopped: withdrawal-fee/withdrawals in local") != 1 {
		t.Errorf("people were told: %s", f.log)
	}
	if n := f.BusStats().Unmatched["penstock/SUBSCRIPTION_STOPPED"]; n != 1 {
		t.Errorf("SUBSCRIPTION_STOPPED was published %d times", n)
	}

	// The alarm's event comes again; a deployment enables the mapping. Nothing is
	// told twice, and a minute later the stop holds again.
	uuid, _ := f.mapping()
	f.invoke(fmt.Sprintf(`{"alarmData": {"alarmName": %q, "configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": {"EventSourceMappingUUID": %q}}}}]}}}`, withdrawals.Alarm, uuid))
	if _, err := f.lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &uuid, Enabled: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	f.untilMapping("Enabled")
	f.invoke(minute)
	f.untilMapping("Disabled")
	if again := f.record(); !again.Since.Equal(r.Since) || f.told("Stopped: withdrawal-fee/withdrawals in local") != 1 || f.BusStats().Unmatched["penstock/SUBSCRIPTION_STOPPED"] != 1 {
		t.Errorf("it was stopped twice: %+v", again)
	}

	// What comes meanwhile waits.
	f.publish(5)
	createToken(t, f.Endpoint())
	if _, err := f.stops.Resume(t.Context(), withdrawals, stops.Cause{By: penstock.ActorPerson, Person: "ann", Reason: "the token is there"}); err != nil {
		t.Fatal(err)
	}
	f.allHandled()
	f.invoke(minute)
	until(t, "people are told that it receives again", func() bool { return f.told("Resumed: withdrawal-fee/withdrawals in local") == 1 })
	if n := f.BusStats().Unmatched["penstock/SUBSCRIPTION_RESUMED"]; n != 1 {
		t.Errorf("SUBSCRIPTION_RESUMED was published %d times", n)
	}

	// The minute that it failed in is still looked back on, and stops it no more.
	if _, err := f.stops.Alarms.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{
		AlarmName: &withdrawals.Alarm, StateValue: "ALARM", StateReason: aws.String("as before"),
		StateReasonData: aws.String(`{"evaluatedDatapoints": [{"timestamp": "` + time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000-0700") + `", "value": 100.0}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	until(t, "the alarm is OK again", func() bool {
		out, err := cloudwatch.NewFromConfig(awsConfig(f.Endpoint())).DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{withdrawals.Alarm}})
		return err == nil && out.MetricAlarms[0].StateValue == "OK"
	})
	if f.record().Stopped {
		t.Error("it was stopped for what it failed before it was resumed")
	}
	f.grantsAreUsed("lambda:InvokeFunction", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
}

// grantsAreUsed fails the test for each grant of the breaker's role that was not
// used, but for some, and for its log.
func (f *ailing) grantsAreUsed(but ...string) {
	f.Helper()
	count := 0
	for _, g := range f.Grants() {
		if !strings.Contains(g.Role, "BreakerRole") {
			continue
		}
		count++
		if !g.Used && !slices.Contains(but, g.Action) {
			f.Errorf("nothing uses %s on %s", g.Action, g.Resource)
		}
	}
	if count == 0 {
		f.Error("the breaker has no grants")
	}
}

func TestAStoppedSubscriptionThatIsTriedAgainResumesByItself(t *testing.T) {
	t.Parallel() // it waits for retries
	f := startAiling(t, "1")
	f.fail(20)
	// A receive that has come back is what a probe may take.
	await(t, "an event waits in the queue", func() bool { return f.waiting() > 0 })
	f.due()
	f.invoke(minute)
	if r := f.record(); !r.Stopped || !r.ProbeAt.After(time.Now()) {
		t.Errorf("it fails still, and is %+v", r)
	}
	createToken(t, f.Endpoint())
	await(t, "an event waits in the queue", func() bool { return f.waiting() > 0 })
	f.due()
	await(t, "a probe has resumed it", func() bool {
		f.invoke(minute)
		return !f.record().Stopped
	})
	if r := f.record(); r.By != penstock.ActorBreaker || !r.Told || !strings.HasPrefix(r.Reason, "The function handled ") {
		t.Errorf("it was resumed: %+v", r)
	}
	f.allHandled()
	needed(t, f.Environment, "sqs:ReceiveMessage", "penstock-local-*")
	needed(t, f.Environment, "sqs:DeleteMessage", "penstock-local-*")
	needed(t, f.Environment, "lambda:InvokeFunction", "function:penstock-local-*")
}

// due makes the next probe due now.
func (f *ailing) due() {
	f.Helper()
	r := f.record()
	r.ProbeAt = time.Now().Add(-time.Second)
	if _, err := f.stops.Put(f.Context(), r); err != nil {
		f.Fatal(err)
	}
}

// waiting is how many events the queue would hand out now.
func (f *ailing) waiting() int {
	f.Helper()
	out, err := sqs.NewFromConfig(awsConfig(f.Endpoint())).GetQueueAttributes(f.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(f.Endpoint() + "/000000000000/penstock-local-withdrawal-fee-withdrawals"), AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages"},
	})
	if err != nil {
		f.Fatal(err)
	}
	var n int
	if err := json.Unmarshal([]byte(out.Attributes["ApproximateNumberOfMessages"]), &n); err != nil {
		f.Fatal(err)
	}
	return n
}
