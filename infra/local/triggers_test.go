package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// The triggers, as deployed: the real programs, called with what the services
// call them with, and what of that is on the bus.

// heard is an event on the bus.
type heard struct {
	Type     string
	Metadata events.Metadata
	Data     map[string]string
}

// listen hears the events of a source from now on: a rule of the bus, and a queue.
// What it returns waits for n events more, and gives them in the order of
// arrival.
func listen(t *testing.T, env *local.Environment, source string) func(n int) []heard {
	t.Helper()
	cfg := awsConfig(env.Endpoint())
	queues, bus := sqs.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg)
	name := "heard-" + source
	queueARN, ruleARN := "arn:aws:sqs:us-east-1:000000000000:"+name, "arn:aws:events:us-east-1:000000000000:rule/penstock-local/"+name
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
		"Action": "sqs:SendMessage", "Resource": %q, "Condition": {"ArnEquals": {"aws:SourceArn": %q}}}]}`, queueARN, ruleARN)
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"Policy": policy}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bus.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: aws.String("penstock-local"), EventPattern: aws.String(fmt.Sprintf(`{"source": [%q]}`, source))})
	if err != nil {
		t.Fatal(err)
	}
	targets, err := bus.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: aws.String("penstock-local"), Targets: []ebtypes.Target{{Id: aws.String("queue"), Arn: &queueARN}}})
	if err != nil || targets.FailedEntryCount > 0 {
		t.Fatalf("%+v, %v", targets, err)
	}
	return func(n int) (out []heard) {
		t.Helper()
		until(t, fmt.Sprintf("%d events of %s", n, source), func() bool {
			got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got.Messages {
				var e struct {
					Source     string
					DetailType string `json:"detail-type"`
					Detail     struct {
						Metadata events.Metadata
						Data     map[string]string
					}
				}
				if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
					t.Fatal(err)
				}
				out = append(out, heard{e.Source + "/" + e.DetailType, e.Detail.Metadata, e.Detail.Data})
				if _, err := queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			}
			return len(out) >= n
		})
		return out
	}
}

// onlyStacks are the stacks of an environment whose names end so.
func onlyStacks(snapshot *snapshots.Snapshot, ends ...string) {
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(stack string) bool {
		return !slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(stack, "-"+end) })
	})
}

// without is the snapshot with a permission taken from the roles of a stack.
func without(t *testing.T, snapshot *snapshots.Snapshot, stack, action string) *snapshots.Snapshot {
	t.Helper()
	out := *snapshot
	out.Templates = map[string]json.RawMessage{}
	for name, template := range snapshot.Templates {
		out.Templates[name] = template
	}
	text := bytes.ReplaceAll(snapshot.Templates[stack], []byte(`"`+action+`"`), []byte(`"sts:GetCallerIdentity"`))
	if bytes.Equal(text, snapshot.Templates[stack]) {
		t.Fatalf("no role of %s has %s", stack, action)
	}
	out.Templates[stack] = text
	return &out
}

func TestAChangedRowIsAnnouncedAndReadByASessionOfItsOwner(t *testing.T) {
	a := startDataAPI(t)
	next := listen(t, a.env, "storage")
	ann := a.user(t, "ann")
	change := func(method, row, body string, status int) {
		t.Helper()
		if r := a.as(t, ann, method, place+"/"+row, body); r.status != status {
			t.Fatalf("%s %s: %+v", method, row, r)
		}
	}
	change("PUT", "7", `{"total":1}`, http.StatusCreated)
	inserted := next(1)
	if len(inserted) != 1 || inserted[0].Type != "storage/STORAGE_INSERT" || inserted[0].Metadata.Code != 1000 {
		t.Fatalf("heard %+v", inserted)
	}
	// Who handles the event acts for the user whom it names.
	session := a.session(t, inserted[0].Metadata.UserID)
	d := inserted[0].Data
	path := "/rows/" + d["dataset"] + "/" + d["bucket"] + "/" + d["container"] + "/" + d["row_id"]
	if r := a.as(t, session, "GET", path, ""); r.status != http.StatusOK || string(r.row(t).Data) != `{"total":1}` {
		t.Errorf("the session reads %s: %+v", path, r)
	}

	// The trigger may not publish for a while: nothing is lost, and nothing said twice.
	if _, err := a.env.Update(t.Context(), without(t, a.snapshot, "penstock-local-storage", "events:PutEvents")); err != nil {
		t.Fatal(err)
	}
	change("PUT", "7", `{"total":2}`, http.StatusOK)
	change("PUT", "7", `{"total":2}`, http.StatusOK) // which is no other data
	change("DELETE", "7", "", http.StatusNoContent)
	logs := cloudwatchlogs.NewFromConfig(awsConfig(a.env.Endpoint()))
	until(t, "the trigger has said that it was refused", func() bool {
		page, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/penstock-local-storage-trigger"), FilterPattern: aws.String(`"not authorized to perform: events:PutEvents"`),
		})
		return err == nil && len(page.Events) > 0
	})
	if _, err := a.env.Update(t.Context(), a.snapshot); err != nil {
		t.Fatal(err)
	}
	later := next(2)
	ids := map[string]string{inserted[0].Metadata.ID: "insert"}
	var told []string
	for _, e := range later {
		told = append(told, fmt.Sprint(e.Type, " ", e.Metadata.Code, " ", e.Metadata.UserID == inserted[0].Metadata.UserID, " ", e.Data["row_id"]))
		ids[e.Metadata.ID] = e.Type
	}
	slices.Sort(told)
	if want := []string{"storage/STORAGE_DELETE 1002 true 7", "storage/STORAGE_UPDATE 1001 true 7"}; !slices.Equal(told, want) || len(ids) != 3 {
		t.Errorf("heard %q, want %q; ids %v", told, want, ids)
	}
	needed(t, a.env, "sqs:SendMessage", ":penstock-local-storage-trigger-changes-dlq")
	needed(t, a.env, "dynamodb:GetRecords", "")
}

// startAuthTrigger starts the user pool's stack without the pool, which the local
// environment has not: what is left is the trigger, its queue and their mapping.
func startAuthTrigger(t *testing.T, edit func(*snapshots.Snapshot) *snapshots.Snapshot) (*local.Environment, *snapshots.Snapshot) {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	deployed, err := snapshots.Load(os.DirFS(root), "dev")
	if err != nil {
		t.Fatal(err)
	}
	const stack = "penstock-local-user-pool"
	text := strings.NewReplacer("github.com/penstock-dev/", "github.com/penstock-dev/", "penstock-dev", "penstock-local", `"PENSTOCK_ENV": "dev"`, `"PENSTOCK_ENV": "local"`).Replace(string(deployed.Templates["penstock-dev-user-pool"]))
	var template map[string]any
	if err := json.Unmarshal([]byte(text), &template); err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"Outputs", "Parameters", "Rules"} { // of the pool, and of the CDK's bootstrap
		delete(template, section)
	}
	resources := template["Resources"].(map[string]any)
	for id, r := range resources {
		kind := r.(map[string]any)["Type"].(string)
		if strings.HasPrefix(kind, "AWS::Cognito::") || kind == "AWS::SSM::Parameter" || kind == "AWS::Lambda::Permission" {
			delete(resources, id)
		}
		if kind == "AWS::Lambda::EventSourceMapping" {
			r.(map[string]any)["Properties"].(map[string]any)["Enabled"] = false // until the test looks into the queue
		}
	}
	if snapshot.Templates[stack], err = json.Marshal(template); err != nil {
		t.Fatal(err)
	}
	onlyStacks(snapshot, "bus")
	snapshot.Stacks = append(snapshot.Stacks, stack)
	env := start(t, edit(snapshot), t.TempDir())
	t.Cleanup(func() { env.Close() })
	return env, snapshot
}

// Calls of Cognito's, in the shape of "Post authentication Lambda trigger" and
// "Post confirmation Lambda trigger".
const cognitoCall = `{"version":"1","region":"eu-west-1","userPoolId":"eu-west-1_pool","userName":"%[2]s","callerContext":{"awsSdkVersion":"aws-sdk-unknown-unknown","clientId":"app"},` +
	`"triggerSource":"%[1]s","request":{"userAttributes":{"sub":"%[2]s","email":"%[2]s@example.com","locale":"de-CH","email_verified":"true","cognito:user_status":"CONFIRMED"}},"response":{}}`

func TestASignInThatTheBusDoesNotTakeIsAnnouncedLaterAndHoldsUpNobody(t *testing.T) {
	env, whole := startAuthTrigger(t, func(s *snapshots.Snapshot) *snapshots.Snapshot {
		return without(t, s, "penstock-local-user-pool", "events:PutEvents")
	})
	cfg := awsConfig(env.Endpoint())
	functions, queues := lambda.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	name := aws.String("penstock-local-auth-trigger")
	next := listen(t, env, "auth")
	call := func(source, user string) {
		t.Helper()
		payload := fmt.Sprintf(cognitoCall, source, user)
		answer, err := functions.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: name, Payload: []byte(payload)})
		if err != nil || answer.FunctionError != nil || string(answer.Payload) != payload {
			t.Fatalf("%s: answered %s, %v: want the call itself, which lets the person in", source, answer.Payload, err)
		}
	}
	waiting := func() string {
		t.Helper()
		url := env.Endpoint() + "/000000000000/" + *name + "-unsent"
		got, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{
			"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
		}})
		if err != nil {
			t.Fatal(err)
		}
		return got.Attributes["ApproximateNumberOfMessages"] + " " + got.Attributes["ApproximateNumberOfMessagesNotVisible"]
	}
	call("PostAuthentication_Authentication", "ada")
	call("PostConfirmation_ConfirmSignUp", "bob")
	call("PostConfirmation_ConfirmForgotPassword", "eve") // which is no registration
	if n := waiting(); n != "2 0" || env.BusStats().Events != 0 {
		t.Fatalf("in the queue %s, on the bus %+v", n, env.BusStats())
	}

	// The bus takes events again.
	if _, err := env.Update(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	mappings, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: name})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatalf("mappings %+v, %v", mappings, err)
	}
	if _, err := functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: mappings.EventSourceMappings[0].UUID, Enabled: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range next(2) {
		told = append(told, fmt.Sprintf("%s %d %s %s %s", e.Type, e.Metadata.Code, e.Metadata.UserID, e.Data["user_id"]+" "+e.Data["email"], e.Data["lang"]))
	}
	call("PostAuthentication_Authentication", "cid") // straight to the bus
	for _, e := range next(1) {
		told = append(told, e.Type+" "+e.Data["user_id"])
	}
	slices.Sort(told)
	want := []string{"auth/AUTH_LOGIN 2000 ada ada ada@example.com ", "auth/AUTH_LOGIN cid", "auth/AUTH_REGISTER 2001 bob bob bob@example.com de-CH"}
	if !slices.Equal(told, want) {
		t.Errorf("heard %q, want %q", told, want)
	}
	until(t, "the queue is empty", func() bool { return waiting() == "0 0" })
	needed(t, env, "events:PutEvents", ":event-bus/penstock-local")
	needed(t, env, "sqs:SendMessage", ":penstock-local-auth-trigger-unsent")
}
