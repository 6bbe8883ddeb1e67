package scenarios

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// bus makes a bus, whose name it returns.
func (r *run) bus() *string {
	name := str(r.name("bus"))
	must(r.events.CreateEventBus(r.ctx, &eventbridge.CreateEventBusInput{Name: name}))
	r.later(func() error {
		_, err := r.events.DeleteEventBus(r.ctx, &eventbridge.DeleteEventBusInput{Name: name})
		return ignore[*types.ResourceNotFoundException](err)
	})
	return name
}

// rule makes a rule, whose name it returns.
func (r *run) rule(bus *string, suffix, pattern string) *string {
	name := str(r.name(suffix))
	must(r.events.PutRule(r.ctx, &eventbridge.PutRuleInput{EventBusName: bus, Name: name, EventPattern: &pattern}))
	r.removeRule(bus, name)
	return name
}

// removeRule removes a rule and its targets at the end.
func (r *run) removeRule(bus, name *string) {
	r.later(func() error {
		targets, err := r.events.ListTargetsByRule(r.ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: bus, Rule: name})
		if err == nil && len(targets.Targets) > 0 {
			var ids []string
			for _, t := range targets.Targets {
				ids = append(ids, *t.Id)
			}
			_, err = r.events.RemoveTargets(r.ctx, &eventbridge.RemoveTargetsInput{EventBusName: bus, Rule: name, Ids: ids})
		}
		if err == nil {
			_, err = r.events.DeleteRule(r.ctx, &eventbridge.DeleteRuleInput{EventBusName: bus, Name: name})
		}
		return ignore[*types.ResourceNotFoundException](err)
	})
}

// route makes a queue the target of a rule.
func (r *run) route(bus, rule *string, id string, queue *string) {
	arn := r.queueARN(queue)
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q}]}`, arn)
	r.set(queue, "Policy", policy)
	must(r.events.PutTargets(r.ctx, &eventbridge.PutTargetsInput{EventBusName: bus, Rule: rule, Targets: []types.Target{{Id: &id, Arn: &arn}}}))
}

const anyPattern = `{"source":[{"prefix":""}]}`

func eventBuses() []Scenario {
	return scenarios("events",
		Scenario{Name: "a bus is made, described and listed", play: func(r *run) {
			name := r.name("bus")
			r.see(r.events.CreateEventBus(r.ctx, &eventbridge.CreateEventBusInput{Name: &name, Description: str("orders"), Tags: []types.Tag{{Key: str("team"), Value: str("a")}}}))
			r.see(r.events.CreateEventBus(r.ctx, &eventbridge.CreateEventBusInput{Name: &name}))
			described, err := r.events.DescribeEventBus(r.ctx, &eventbridge.DescribeEventBusInput{Name: &name})
			r.see(described, err)
			r.see(r.events.ListEventBuses(r.ctx, &eventbridge.ListEventBusesInput{NamePrefix: &name}))
			r.see(r.events.ListTagsForResource(r.ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: described.Arn}))
			r.see(r.events.DeleteEventBus(r.ctx, &eventbridge.DeleteEventBusInput{Name: &name}))
			r.see(r.events.DescribeEventBus(r.ctx, &eventbridge.DescribeEventBusInput{Name: &name}))
			r.see(r.events.DeleteEventBus(r.ctx, &eventbridge.DeleteEventBusInput{Name: &name}))
		}},
		Scenario{Name: "names of buses are checked, and the default bus stays", play: func(r *run) {
			for _, name := range []string{"default", "with space", strings.Repeat("x", 257)} {
				r.see(r.events.CreateEventBus(r.ctx, &eventbridge.CreateEventBusInput{Name: &name}))
			}
			r.see(r.events.DeleteEventBus(r.ctx, &eventbridge.DeleteEventBusInput{Name: str("default")}))
		}},
		Scenario{Name: "a bus with rules cannot be deleted", play: func(r *run) {
			bus := r.bus()
			r.rule(bus, "rule", anyPattern)
			r.see(r.events.DeleteEventBus(r.ctx, &eventbridge.DeleteEventBusInput{Name: bus}))
			r.see(r.events.DescribeEventBus(r.ctx, &eventbridge.DescribeEventBusInput{Name: bus}))
		}},
		Scenario{Name: "a rule is made, described, changed and deleted", play: func(r *run) {
			bus := r.bus()
			in := &eventbridge.PutRuleInput{EventBusName: bus, Name: str(r.name("rule")), EventPattern: str(`{"source":["shop"]}`), Description: str("first")}
			r.see(r.events.PutRule(r.ctx, in))
			r.rule(bus, "rule", anyPattern) // to remove it
			r.see(r.events.PutRule(r.ctx, in))
			which := &eventbridge.DescribeRuleInput{EventBusName: bus, Name: in.Name}
			r.see(r.events.DescribeRule(r.ctx, which))
			r.see(r.events.DisableRule(r.ctx, &eventbridge.DisableRuleInput{EventBusName: bus, Name: in.Name}))
			r.see(r.events.DescribeRule(r.ctx, which))
			r.see(r.events.EnableRule(r.ctx, &eventbridge.EnableRuleInput{EventBusName: bus, Name: in.Name}))
			in.Description, in.EventPattern = nil, str(`{"source":["store"]}`)
			r.see(r.events.PutRule(r.ctx, in))
			r.see(r.events.DescribeRule(r.ctx, which))
			r.see(r.events.DeleteRule(r.ctx, &eventbridge.DeleteRuleInput{EventBusName: bus, Name: in.Name}))
			r.see(r.events.DeleteRule(r.ctx, &eventbridge.DeleteRuleInput{EventBusName: bus, Name: in.Name}))
			r.see(r.events.DescribeRule(r.ctx, which))
		}},
		Scenario{Name: "rules are checked", play: func(r *run) {
			bus := r.bus()
			r.rule(bus, "rule", anyPattern)
			for _, in := range []*eventbridge.PutRuleInput{
				{Name: str(r.name("rule"))},
				{Name: str("with space"), EventPattern: str(anyPattern)},
				{Name: str(strings.Repeat("x", 65)), EventPattern: str(anyPattern)},
				{Name: str(r.name("rule")), EventPattern: str(`{`)},
				{Name: str(r.name("rule")), EventPattern: str(`{"source":"shop"}`)},
				{Name: str(r.name("rule")), EventPattern: str(`{"source":[{"sufix":"x"}]}`)},
				{Name: str(r.name("rule")), EventPattern: str(`{"source":["` + strings.Repeat("x", 2048) + `"]}`)},
			} {
				in.EventBusName = bus
				r.see(r.events.PutRule(r.ctx, in))
			}
			r.see(r.events.PutRule(r.ctx, &eventbridge.PutRuleInput{EventBusName: str(r.name("none")), Name: str("rule"), EventPattern: str(anyPattern)}))
			r.see(r.events.DescribeRule(r.ctx, &eventbridge.DescribeRuleInput{EventBusName: bus, Name: str(r.name("rule"))}))
		}},
		Scenario{Name: "rules are listed by prefix, in pages", play: func(r *run) {
			bus := r.bus()
			for _, suffix := range []string{"a-1", "a-2", "a-3", "b-1"} {
				r.rule(bus, suffix, anyPattern)
			}
			r.see(r.events.ListRules(r.ctx, &eventbridge.ListRulesInput{EventBusName: bus, NamePrefix: str(r.name("a"))}))
			in := &eventbridge.ListRulesInput{EventBusName: bus, Limit: new(int32(3))}
			first := must(r.events.ListRules(r.ctx, in))
			in.NextToken = first.NextToken
			second := must(r.events.ListRules(r.ctx, in))
			r.note("first page", len(first.Rules))
			r.note("second page", len(second.Rules))
			r.note("more", second.NextToken != nil)
			r.see(r.events.ListRules(r.ctx, &eventbridge.ListRulesInput{EventBusName: str(r.name("none"))}))
		}},
		Scenario{Name: "targets are put, listed, replaced and removed", play: func(r *run) {
			bus, queue, dlq := r.bus(), r.queue("q"), r.queue("dlq")
			rule := r.rule(bus, "rule", anyPattern)
			arn := r.queueARN(queue)
			put := func(targets ...types.Target) {
				r.see(r.events.PutTargets(r.ctx, &eventbridge.PutTargetsInput{EventBusName: bus, Rule: rule, Targets: targets}))
			}
			see := func() {
				r.see(r.events.ListTargetsByRule(r.ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: bus, Rule: rule}))
			}
			put(types.Target{Id: str("one"), Arn: &arn, RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: new(int32(3)), MaximumEventAgeInSeconds: new(int32(3600))},
				DeadLetterConfig: &types.DeadLetterConfig{Arn: str(r.queueARN(dlq))}})
			see()
			put(types.Target{Id: str("one"), Arn: str(r.queueARN(dlq)), RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: new(int32(5)), MaximumEventAgeInSeconds: new(int32(60))}})
			put(types.Target{Id: str("two"), Arn: &arn, RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: new(int32(0)), MaximumEventAgeInSeconds: new(int32(60))}})
			see()
			r.see(r.events.ListRuleNamesByTarget(r.ctx, &eventbridge.ListRuleNamesByTargetInput{EventBusName: bus, TargetArn: &arn}))
			r.see(r.events.DeleteRule(r.ctx, &eventbridge.DeleteRuleInput{EventBusName: bus, Name: rule}))
			remove := func(ids ...string) {
				r.see(r.events.RemoveTargets(r.ctx, &eventbridge.RemoveTargetsInput{EventBusName: bus, Rule: rule, Ids: ids}))
			}
			remove("one")
			see()
			remove("two")
			see()
		}},
		Scenario{Name: "targets are checked", play: func(r *run) {
			bus := r.bus()
			rule := r.rule(bus, "rule", anyPattern)
			arn := r.queueARN(r.queue("q"))
			for _, t := range []types.Target{
				{Id: str("with space"), Arn: &arn},
				{Id: str("age"), Arn: &arn, RetryPolicy: &types.RetryPolicy{MaximumEventAgeInSeconds: new(int32(59))}},
				{Id: str("attempts"), Arn: &arn, RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: new(int32(186))}},
			} {
				r.see(r.events.PutTargets(r.ctx, &eventbridge.PutTargetsInput{EventBusName: bus, Rule: rule, Targets: []types.Target{t}}))
			}
			r.see(r.events.PutTargets(r.ctx, &eventbridge.PutTargetsInput{EventBusName: bus, Rule: str(r.name("none")), Targets: []types.Target{{Id: str("x"), Arn: &arn}}}))
			r.see(r.events.ListTargetsByRule(r.ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: bus, Rule: str(r.name("none"))}))
			r.see(r.events.RemoveTargets(r.ctx, &eventbridge.RemoveTargetsInput{EventBusName: bus, Rule: str(r.name("none")), Ids: []string{"x"}}))
			r.see(r.events.ListTargetsByRule(r.ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: bus, Rule: rule}))
		}},
		Scenario{Name: "a rule has at most five targets", play: func(r *run) {
			bus := r.bus()
			rule := r.rule(bus, "rule", anyPattern)
			queue := r.queue("q")
			for _, id := range []string{"1", "2", "3", "4", "5"} {
				r.route(bus, rule, id, queue)
			}
			arn := r.queueARN(queue)
			r.see(r.events.PutTargets(r.ctx, &eventbridge.PutTargetsInput{EventBusName: bus, Rule: rule, Targets: []types.Target{{Id: str("6"), Arn: &arn}}}))
		}},
		Scenario{Name: "rules have tags", play: func(r *run) {
			bus := r.bus()
			rule := r.rule(bus, "rule", anyPattern)
			arn := must(r.events.DescribeRule(r.ctx, &eventbridge.DescribeRuleInput{EventBusName: bus, Name: rule})).Arn
			r.see(r.events.TagResource(r.ctx, &eventbridge.TagResourceInput{ResourceARN: arn, Tags: []types.Tag{{Key: str("team"), Value: str("a")}, {Key: str("env"), Value: str("x")}}}))
			r.see(r.events.UntagResource(r.ctx, &eventbridge.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"env"}}))
			r.see(r.events.ListTagsForResource(r.ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: arn}))
			r.see(r.events.ListTagsForResource(r.ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: str(*arn + "-none")}))
		}},
	)
}
