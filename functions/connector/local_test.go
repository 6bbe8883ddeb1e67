package connector_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/functions/connector/sqsdlq"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// deployed is the project's function message-log in a local environment, and who
// may do no more there than the policy of connectors says.
type deployed struct {
	names         names.Names
	administrator aws.Config
	connector     aws.Config
}

func deploy(t *testing.T) deployed {
	t.Helper()
	const root = "../.."
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	n := names.New(snapshot.App, snapshot.Env)
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(stack string) bool {
		return !slices.Contains([]string{n.Stack(names.BusStack), n.Stack(names.DataStack), n.Stack(names.OperationsStack), n.Stack(names.AccessStack), n.Stack("message-log")}, stack)
	})
	var access map[string]any
	if err := json.Unmarshal(snapshot.Templates[n.Stack(names.AccessStack)], &access); err != nil {
		t.Fatal(err)
	}
	access["Resources"].(map[string]any)["ConnectorRole"] = map[string]any{"Type": "AWS::IAM::Role", "Properties": map[string]any{
		"RoleName": "connector", "ManagedPolicyArns": []any{map[string]any{"Ref": "Connect"}},
		"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": "arn:aws:iam::000000000000:root"},
		}}},
	}}
	if snapshot.Templates[n.Stack(names.AccessStack)], err = json.Marshal(access); err != nil {
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
	d := deployed{names: n, administrator: aws.Config{
		BaseEndpoint: aws.String(env.Endpoint()), Region: env.Region(),
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}}
	role, err := sts.NewFromConfig(d.administrator).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/connector"), RoleSessionName: aws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	d.connector = d.administrator.Copy()
	d.connector.Credentials = credentials.NewStaticCredentialsProvider(*role.Credentials.AccessKeyId, *role.Credentials.SecretAccessKey, *role.Credentials.SessionToken)
	return d
}

func TestFunctionsThatAreDeployedAreFoundAndInvoked(t *testing.T) {
	d := deploy(t)
	queues := sqs.NewFromConfig(d.administrator)
	dlq, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("connector-dlq")})
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, lambda.NewFromConfig(d.connector), connector.Config{
		Source: connector.NewTags(resourcegroupstaggingapi.NewFromConfig(d.connector), d.names.Bus()),
		Match:  connector.Wildcard, DLQ: sqsdlq.New(queues, *dlq.QueueUrl),
	})
	if got, want := c.Topics(), []string{"github.*", "payment"}; !slices.Equal(got, want) {
		t.Fatalf("the topics are %v, want %v", got, want)
	}

	t.Run("by a topic", func(t *testing.T) {
		responses, err := c.Invoke(t.Context(), "payment", []byte{0xff, 0}, http.Header{"X-Served-By": {"test"}})
		if err != nil {
			t.Fatal(err)
		}
		if r := responses[0]; r.Status != http.StatusNoContent || r.Function != "message-log" {
			t.Fatalf("the response is %+v", r)
		}
		if line := d.logged(t, `"servedBy"`); !strings.Contains(line, `"topic":"payment","bytes":2`) {
			t.Errorf("the function's log has %s", line)
		}
	})
	t.Run("by name, asynchronously", func(t *testing.T) {
		r, err := c.InvokeFunction(t.Context(), "message-log", []byte("later"), nil, connector.WithTopic("by-name"), connector.WithAsync(true))
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != http.StatusAccepted || r.CallID == "" {
			t.Fatalf("the response is %+v", r)
		}
		if line := d.logged(t, `"REPORT RequestId: `+r.CallID+`"`); line == "" {
			t.Error("the call id is not the request id")
		}
	})
	t.Run("what it refuses is in the DLQ", func(t *testing.T) {
		responses, err := c.Invoke(t.Context(), "github.push", []byte("no JSON"), http.Header{"X-GitHub-Delivery": {"1"}})
		if err != nil || responses[0].Status != http.StatusUnprocessableEntity || !responses[0].DeadLettered || responses[0].Attempt != 1 {
			t.Fatalf("it returned %+v, %v", responses, err)
		}
		got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: dlq.QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"}})
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("the DLQ has %+v, %v", got, err)
		}
		letter, err := sqsdlq.Parse([]byte(*got.Messages[0].Body))
		if err != nil || string(letter.Message) != "no JSON" || letter.Topic != "github.push" || letter.Status != http.StatusUnprocessableEntity {
			t.Errorf("the letter is %+v, %v", letter, err)
		}
		if reason := *got.Messages[0].MessageAttributes["penstock.reason"].StringValue; reason != "function message-log answered 422 Unprocessable Entity" {
			t.Errorf("the reason is %q", reason)
		}
	})
	t.Run("not without permission", func(t *testing.T) {
		elsewhere := connector.Static{{Name: "other", Topics: []string{"x"}, Lambda: "shop-prod-other"}}
		c := start(t, lambda.NewFromConfig(d.connector), connector.Config{Source: elsewhere})
		_, err := c.Invoke(t.Context(), "x", nil, nil)
		var api interface{ ErrorCode() string }
		if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" || !strings.Contains(err.Error(), "attempt 1:") {
			t.Errorf("the error is %v", err)
		}
	})
}

// logged waits for a line of the function's log, and returns it.
func (d deployed) logged(t *testing.T, pattern string) string {
	t.Helper()
	logs := cloudwatchlogs.NewFromConfig(d.administrator)
	for t.Context().Err() == nil {
		out, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String(d.names.LogGroup("message-log")), FilterPattern: &pattern,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Events) > 0 {
			return *out.Events[0].Message
		}
	}
	return ""
}
