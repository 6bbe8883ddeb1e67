package eventbridge

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseb "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
)

func tagged(t *testing.T, c *awseb.Client, arn string) string {
	t.Helper()
	out, err := c.ListTagsForResource(t.Context(), &awseb.ListTagsForResourceInput{ResourceARN: &arn})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, tag := range out.Tags {
		all = append(all, *tag.Key+"="+*tag.Value)
	}
	return strings.Join(all, " ")
}

func TestBusesAndRulesKeepTheirTags(t *testing.T) {
	dir := t.TempDir()
	s, st := newService(t, dir, &queues{})
	c := serve(t, s)
	ctx := t.Context()
	tag := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
	bus, err := c.CreateEventBus(ctx, &awseb.CreateEventBusInput{Name: aws.String("shop"), Description: aws.String("the shop's"), Tags: []types.Tag{tag("a", "1")}})
	if err != nil {
		t.Fatal(err)
	}
	put := func(tags ...types.Tag) string {
		t.Helper()
		out, err := c.PutRule(ctx, &awseb.PutRuleInput{EventBusName: aws.String("shop"), Name: aws.String("r"), EventPattern: aws.String(`{"source":["s"]}`), Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
		return *out.RuleArn
	}
	rule := put(tag("owner", "me"))
	put(tag("owner", "another")) // the tags of a rule that exists are TagResource's to change
	for _, arn := range []string{*bus.EventBusArn, rule} {
		if _, err := c.TagResource(ctx, &awseb.TagResourceInput{ResourceARN: &arn, Tags: []types.Tag{tag("b", "2"), tag("c", "3")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.UntagResource(ctx, &awseb.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"b", "missing"}}); err != nil {
			t.Fatal(err)
		}
	}
	// What a deployment says of them leaves the tags of others alone.
	mustRule(t, s, Rule{Bus: "shop", Name: "r", Pattern: []byte(`{"source":["s"]}`)})
	if err := s.EnsureBus(Bus{Name: "shop", Description: "the shop's", Tags: map[string]string{"d": "4"}}); err != nil {
		t.Fatal(err)
	}
	st.Close()
	s, st = newService(t, dir, &queues{})
	defer st.Close()
	c = serve(t, s)
	if got := tagged(t, c, *bus.EventBusArn); got != "a=1 c=3 d=4" {
		t.Errorf("the bus has %s", got)
	}
	if got := tagged(t, c, rule); got != "c=3 owner=me" {
		t.Errorf("the rule has %s", got)
	}
	described, err := c.DescribeEventBus(ctx, &awseb.DescribeEventBusInput{Name: aws.String("shop")})
	if err != nil || *described.Description != "the shop's" || described.CreationTime.IsZero() {
		t.Fatal(err, described)
	}
	one, err := c.DescribeRule(ctx, &awseb.DescribeRuleInput{EventBusName: aws.String("shop"), Name: aws.String("r")})
	if err != nil || *one.CreatedBy != "000000000000" || *one.Arn != rule {
		t.Fatal(err, one)
	}
}

func TestListsComeInPagesAndALateRuleMovesNoOther(t *testing.T) {
	c, s := client(t, &queues{})
	ctx := t.Context()
	for i := range 7 {
		mustRule(t, s, Rule{Bus: "shop", Name: fmt.Sprint("r", i), Pattern: []byte(`{"source":["s"]}`), Targets: []Target{{ID: "1", ARN: arn + "q"}}})
	}
	var names []string
	in := &awseb.ListRulesInput{EventBusName: aws.String("shop"), Limit: aws.Int32(3)}
	for i := 0; ; i++ {
		page, err := c.ListRules(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rules {
			names = append(names, *r.Name)
		}
		if page.NextToken == nil {
			break
		}
		in.NextToken = page.NextToken
		mustRule(t, s, Rule{Bus: "shop", Name: fmt.Sprint("a", i), Pattern: []byte(`{"source":["s"]}`)})
	}
	if got := strings.Join(names, " "); got != "r0 r1 r2 r3 r4 r5 r6" {
		t.Errorf("got %s", got)
	}
	byTarget, err := c.ListRuleNamesByTarget(ctx, &awseb.ListRuleNamesByTargetInput{EventBusName: aws.String("shop"), TargetArn: aws.String(arn + "q"), Limit: aws.Int32(2)})
	if err != nil || strings.Join(byTarget.RuleNames, " ") != "r0 r1" || byTarget.NextToken == nil {
		t.Fatal(err, byTarget)
	}
	buses, err := c.ListEventBuses(ctx, &awseb.ListEventBusesInput{Limit: aws.Int32(1)})
	if err != nil || len(buses.EventBuses) != 1 || *buses.EventBuses[0].Name != "default" || buses.NextToken == nil {
		t.Fatal(err, buses)
	}
	targets, err := c.ListTargetsByRule(ctx, &awseb.ListTargetsByRuleInput{EventBusName: aws.String("shop"), Rule: aws.String("r0"), Limit: aws.Int32(1)})
	if err != nil || len(targets.Targets) != 1 || targets.NextToken != nil {
		t.Fatal(err, targets)
	}
}

func TestWhatEventBridgeWouldRefuseOrOneMachineDoesNotDoIsRefused(t *testing.T) {
	c, s := client(t, &queues{})
	ctx := t.Context()
	mustRule(t, s, Rule{Bus: "shop", Name: "r", Pattern: []byte(`{"source":["s"]}`)})
	bus, rule := aws.String("shop"), aws.String("r")
	put := func(target types.Target) error {
		_, err := c.PutTargets(ctx, &awseb.PutTargetsInput{EventBusName: bus, Rule: rule, Targets: []types.Target{target}})
		return err
	}
	_, limit := c.ListRules(ctx, &awseb.ListRulesInput{EventBusName: bus, Limit: aws.Int32(101)})
	_, token := c.ListRules(ctx, &awseb.ListRulesInput{EventBusName: bus, NextToken: aws.String("made up")})
	_, event := c.TestEventPattern(ctx, &awseb.TestEventPatternInput{EventPattern: aws.String(`{"source":["s"]}`), Event: aws.String(`{"source":"s"}`)})
	_, tags := c.ListTagsForResource(ctx, &awseb.ListTagsForResourceInput{ResourceARN: aws.String("arn:aws:events:us-east-1:000000000000:rule/shop/none")})
	_, endpoint := c.DescribeEndpoint(ctx, &awseb.DescribeEndpointInput{Name: aws.String("a")})
	_, policy := c.CreateEventBus(ctx, &awseb.CreateEventBusInput{Name: aws.String("x"), KmsKeyIdentifier: aws.String("k")})
	for _, test := range []struct {
		err        error
		code, text string
	}{
		{limit, "ValidationException", "want 1 to 100 (got 101)"},
		{token, "ValidationException", `NextToken "made up" is not valid`},
		{event, "ValidationException", `it has no field "id"`},
		{tags, "ResourceNotFoundException", "Rule none does not exist"},
		{endpoint, "UnknownOperationException", "DescribeEndpoint is not supported"},
		{policy, "ValidationException", "parameter KmsKeyIdentifier is not supported"},
		{put(types.Target{Id: aws.String("1"), Arn: aws.String(arn + "q"), Input: aws.String("{}")}), "ValidationException", "parameter Targets[0].Input is not supported"},
		{put(types.Target{Id: aws.String("1"), Arn: aws.String(arn + "q"), InputPath: aws.String("$.detail")}), "ValidationException", "parameter Targets[0].InputPath is not supported"},
		{put(types.Target{Id: aws.String("1"), Arn: aws.String(arn + "q"), InputTransformer: &types.InputTransformer{InputTemplate: aws.String("<a>")}}), "ValidationException", "parameter Targets[0].InputTransformer is not supported"},
		{put(types.Target{Id: aws.String("1"), Arn: aws.String(arn + "q"), SqsParameters: &types.SqsParameters{MessageGroupId: aws.String("g")}}), "ValidationException", "parameter Targets[0].SqsParameters is not supported"},
		{put(types.Target{Id: aws.String("1"), Arn: aws.String("arn:aws:lambda:us-east-1:000000000000:function:f")}), "ValidationException", "only SQS queues"},
		{put(types.Target{Id: aws.String("1"), Arn: aws.String(arn + "q"), RetryPolicy: &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(59)}}), "ValidationException", "want 60 to 86400 (got 59)"},
		{put(types.Target{Id: aws.String("a b"), Arn: aws.String(arn + "q")}), "ValidationException", `target id "a b"`},
	} {
		var api smithy.APIError
		if !errors.As(test.err, &api) || api.ErrorCode() != test.code || !strings.Contains(api.ErrorMessage(), test.text) {
			t.Errorf("got %v, want %s with %q", test.err, test.code, test.text)
		}
	}
}
