package local_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// resourcesOf edits the resources of a stack's template.
func resourcesOf(t *testing.T, snapshot *snapshots.Snapshot, stack string, edit func(resources map[string]any)) {
	t.Helper()
	var template map[string]any
	if err := json.Unmarshal(snapshot.Templates[stack], &template); err != nil {
		t.Fatal(err)
	}
	edit(template["Resources"].(map[string]any))
	text, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Templates[stack] = text
}

// account lets everybody of the account assume a role, as far as their own
// policies do.
var account = map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": "arn:aws:iam::000000000000:root"}}

// role is a role for people, with one managed policy.
func role(name, policy string) map[string]any {
	return map[string]any{"Type": "AWS::IAM::Role", "Properties": map[string]any{
		"RoleName": name, "ManagedPolicyArns": []any{map[string]any{"Ref": policy}},
		"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{account}},
	}}
}

// refusal is the code and the message of a service's error; empty for none.
func refusal(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}

const feeRole = "penstock-local-withdrawal-fee-FunctionRole111A5701"

// TestRolesMayDoWhatTheirPoliciesSay runs the project's own templates. What they
// lack here: withdrawal-fee may not read its secret. What they have besides: roles
// for people with the policies of the access stack, and its role can be assumed.
func TestRolesMayDoWhatTheirPoliciesSay(t *testing.T) {
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(name string) bool { return strings.HasSuffix(name, "trade-allocated") })
	resourcesOf(t, snapshot, "penstock-local-access", func(resources map[string]any) {
		resources["Publisher"] = role("publisher", "Publishsavings")
		resources["Operator"] = role("operator", "Operate")
		stranger := role("stranger", "Operate")
		stranger["Properties"].(map[string]any)["AssumeRolePolicyDocument"].(map[string]any)["Statement"] = []any{with(account, "Condition", map[string]any{"StringEquals": map[string]any{"sts:ExternalId": "shop"}})}
		resources["Stranger"] = stranger
	})
	resourcesOf(t, snapshot, "penstock-local-withdrawal-fee", func(resources map[string]any) {
		properties := resources["FunctionRole111A5701"].(map[string]any)["Properties"].(map[string]any)
		trust := properties["AssumeRolePolicyDocument"].(map[string]any)
		trust["Statement"] = append(trust["Statement"].([]any), account)
		document := properties["Policies"].([]any)[0].(map[string]any)["PolicyDocument"].(map[string]any)
		before := len(document["Statement"].([]any))
		document["Statement"] = slices.DeleteFunc(document["Statement"].([]any), func(s any) bool {
			text, err := json.Marshal(s)
			return err == nil && strings.Contains(string(text), "secretsmanager:")
		})
		if len(document["Statement"].([]any)) != before-1 {
			t.Fatal("the role has no grant of the secret to take away")
		}
	})
	env := start(t, snapshot, t.TempDir())
	t.Cleanup(func() { _ = env.Close() })
	createToken(t, env.Endpoint())

	t.Run("a function without a grant is refused, and its log says what it lacks", func(t *testing.T) {
		publisher := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
		if err := publisher.Publish(t.Context(), events.Stamp(t.Context(), savings.SampleWithdrawal())); err != nil {
			t.Fatal(err)
		}
		want := "User: arn:aws:sts::000000000000:assumed-role/" + feeRole + "/penstock-local-withdrawal-fee is not authorized to perform: secretsmanager:"
		logs := cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint()))
		await(t, "the log of withdrawal-fee says "+want, func() bool {
			page, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{
				LogGroupName: aws.String("/aws/lambda/penstock-local-withdrawal-fee"), FilterPattern: aws.String(`"` + want + `"`),
			})
			return err == nil && len(page.Events) > 0
		})
	})

	t.Run("a publisher publishes the types that its policy names", func(t *testing.T) {
		as := assume(t, env, "publisher")
		entry := func(source, detailType string) ebtypes.PutEventsRequestEntry {
			return ebtypes.PutEventsRequestEntry{EventBusName: aws.String("penstock-local"), Source: &source, DetailType: &detailType, Detail: aws.String("{}")}
		}
		out, err := eventbridge.NewFromConfig(as).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
			entry("savings", "ACCOUNT_OPENED"), entry("savings", "UNDECLARED"), entry("trading", "TRADE_EXECUTED"),
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"", "NotAuthorizedForDetailTypeException", "NotAuthorizedForSourceException"} {
			e := out.Entries[i]
			if aws.ToString(e.ErrorCode) != want {
				t.Errorf("entry %d: %s %s, want %q", i, aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage), want)
			}
			if says := "arn:aws:sts::000000000000:assumed-role/publisher/ann is not authorized to perform: events:PutEvents on resource: arn:aws:events:us-east-1:000000000000:event-bus/penstock-local"; want != "" && !strings.Contains(aws.ToString(e.ErrorMessage), says) {
				t.Errorf("entry %d: %s", i, aws.ToString(e.ErrorMessage))
			}
		}
		other := entry("savings", "ACCOUNT_OPENED")
		other.EventBusName = aws.String("default")
		_, err = eventbridge.NewFromConfig(as).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{other}})
		if got := refusal(err); !strings.HasPrefix(got, "AccessDeniedException: User: ") {
			t.Errorf("on another bus: %s", got)
		}
		_, err = sqs.NewFromConfig(as).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("penstock-local-withdrawal-fee-withdrawals")})
		if got := refusal(err); !strings.HasPrefix(got, "AccessDenied: ") || !strings.Contains(got, "sqs:getqueueurl") {
			t.Errorf("a queue: %s", got)
		}
	})

	t.Run("a function marks events for itself, and for no other", func(t *testing.T) {
		db := dynamodb.NewFromConfig(assume(t, env, feeRole))
		mark := func(key string) error {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{
				TableName: aws.String("penstock-local-idempotency"), Item: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: key}},
			})
			return err
		}
		if err := mark("withdrawal-fee/withdrawals/1"); err != nil {
			t.Error(err)
		}
		if got := refusal(mark("trade-allocated/allocations/1")); !strings.HasPrefix(got, "AccessDeniedException: ") || !strings.Contains(got, "dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/penstock-local-idempotency") {
			t.Errorf("another function's mark: %s", got)
		}
	})

	t.Run("an operator sees everything but the values of secrets", func(t *testing.T) {
		as := assume(t, env, "operator")
		if _, err := lambda.NewFromConfig(as).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("penstock-local-withdrawal-fee")}); err != nil {
			t.Errorf("a function: %v", err)
		}
		secrets := secretsmanager.NewFromConfig(as)
		if _, err := secrets.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("penstock/local/core-api-token")}); err != nil {
			t.Errorf("a secret's description: %v", err)
		}
		_, err := secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("penstock/local/core-api-token")})
		if got := refusal(err); !strings.HasPrefix(got, "AccessDeniedException: ") || !strings.HasSuffix(got, "with an explicit deny in an identity-based policy") {
			t.Errorf("a secret's value: %s", got)
		}
	})

	t.Run("an operator stops and resumes a subscription", func(t *testing.T) {
		as := assume(t, env, "operator")
		by := &stops.Switch{Mappings: lambda.NewFromConfig(as), Items: dynamodb.NewFromConfig(as), Alarms: cloudwatch.NewFromConfig(as), Table: "penstock-local-state"}
		cause := stops.Cause{By: penstock.ActorPerson, Person: "ann", Reason: "a drill"}
		if _, err := by.Stop(t.Context(), withdrawals, cause); err != nil {
			t.Error(err)
		}
		if all, err := by.All(t.Context()); err != nil || len(all) != 1 || !all[0].Stopped {
			t.Errorf("recorded: %+v, %v", all, err)
		}
		if _, err := by.Resume(t.Context(), withdrawals, cause); err != nil {
			t.Error(err)
		}
	})

	t.Run("a key that nobody has is refused, and so is a role that nobody may assume", func(t *testing.T) {
		stranger := awsConfig(env.Endpoint())
		stranger.Credentials = credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "x", "")
		_, err := dynamodb.NewFromConfig(stranger).ListTables(t.Context(), &dynamodb.ListTablesInput{})
		if got := refusal(err); !strings.HasPrefix(got, "UnrecognizedClientException: ") {
			t.Errorf("DynamoDB: %s", got)
		}
		_, err = sts.NewFromConfig(stranger).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if got := refusal(err); !strings.HasPrefix(got, "InvalidClientTokenId: ") {
			t.Errorf("STS: %s", got)
		}
		relay := slices.IndexFunc(env.Grants(), func(g local.Grant) bool { return strings.Contains(g.Role, "RelayRole") })
		_, err = sts.NewFromConfig(awsConfig(env.Endpoint())).AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::000000000000:role/" + env.Grants()[relay].Role), RoleSessionName: aws.String("ann"),
		})
		if got := refusal(err); !strings.HasPrefix(got, "AccessDenied: User: arn:aws:iam::000000000000:user/administrator is not authorized to perform: sts:AssumeRole") {
			t.Errorf("the relay's role: %s", got)
		}
	})

	t.Run("a role that asks for an external id can be assumed with that one alone", func(t *testing.T) {
		for id, want := range map[string]string{"": "AccessDenied", "other": "AccessDenied", "shop": ""} {
			in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/stranger"), RoleSessionName: aws.String("ann")}
			if id != "" {
				in.ExternalId = &id
			}
			_, err := sts.NewFromConfig(awsConfig(env.Endpoint())).AssumeRole(t.Context(), in)
			if got, _, _ := strings.Cut(refusal(err), ":"); got != want {
				t.Errorf("with %q: %v, want %q", id, err, want)
			}
		}
	})
}

// with is a map with another member.
func with(m map[string]any, key string, value any) map[string]any {
	m = maps.Clone(m)
	m[key] = value
	return m
}

// assume returns the configuration of a session of a role, which says of itself
// who it is.
func assume(t *testing.T, env *local.Environment, role string) aws.Config {
	t.Helper()
	as := awsConfig(env.Endpoint())
	out, err := sts.NewFromConfig(as).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/" + role), RoleSessionName: aws.String("ann"), DurationSeconds: aws.Int32(900),
	})
	if err != nil {
		t.Fatal(err)
	}
	as.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	who, err := sts.NewFromConfig(as).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:sts::000000000000:assumed-role/"+role+"/ann" || *who.UserId != *out.AssumedRoleUser.AssumedRoleId {
		t.Fatal(who, err)
	}
	return as
}
