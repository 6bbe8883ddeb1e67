package stacks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// newDeliveries adds the log of deliveries. See package deliveries for its items.
func newDeliveries(p *project, stack awscdk.Stack) awsdynamodb.Table {
	return p.newTable(stack, "Deliveries", names.DeliveriesTable, &awsdynamodb.TableProps{
		PartitionKey:        stringKey("pk"),
		SortKey:             stringKey("sk"),
		TimeToLiveAttribute: jsii.String("expires"),
	})
}

// webhookVariables are those of a function on HTTP that depend on the environment.
func webhookVariables(p *project, m *manifest.Function) map[string]string {
	env := p.props.Env
	v := map[string]string{
		names.VarWebhookURL:     m.URL(env),
		names.VarDeliveriesDays: fmt.Sprint(env.Webhooks.LogDaysOrDefault()),
	}
	if env.Webhooks.AllowLoopback {
		v[names.VarEgress] = names.EgressLocal
	}
	if env.StorageAPI {
		for name, value := range sessionVariables(p) {
			v[name] = value
		}
	}
	return v
}

// webhooks allows a function on HTTP what it does besides: to read its secret, both
// versions, and the keys of sessions where there are any; to write its own part of
// the log; and to stop its own subscriptions when its endpoint is gone.
func webhooks(p *project, m *manifest.Function) []statement {
	if m.Kind() != manifest.KindHTTP {
		return nil
	}
	n := p.names
	own := func(prefix string) map[string]any {
		return map[string]any{"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": []string{prefix + m.Name + "/*"}}}
	}
	policy := []statement{
		{actions: []string{"secretsmanager:GetSecretValue"}, resources: []*string{secretARN(n.Secret(m.HTTP.Secret))}},
		{actions: []string{"dynamodb:BatchWriteItem"}, resources: []*string{tableARN(n.Table(names.DeliveriesTable))}, conditions: own("")},
		{actions: []string{"dynamodb:GetItem", "dynamodb:PutItem"}, resources: []*string{tableARN(n.Table(names.StateTable))}, conditions: own("subscription#")},
		{actions: []string{"lambda:ListEventSourceMappings"}, resources: *jsii.Strings("*")},
		{
			actions:    []string{"lambda:UpdateEventSourceMapping"},
			resources:  []*string{arn("lambda", "event-source-mapping:*")},
			conditions: map[string]any{"ArnLike": map[string]any{"lambda:FunctionArn": arn("lambda", "function:"+n.Function(m.Name))}},
		},
	}
	if p.props.Env.StorageAPI {
		policy = append(policy, readSessionKeys(p))
	}
	return policy
}
