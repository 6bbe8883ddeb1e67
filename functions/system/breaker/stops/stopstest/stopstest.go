// Package stopstest stands in for the services of AWS that package stops uses, in
// tests.
package stopstest

import (
	"context"
	"maps"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Mapping is one event source mapping. The zero value is not deployed.
type Mapping struct {
	State string // as Lambda has it; empty: there is none
	Busy  int    // so many changes are refused, since it is on its way to another state
}

// ListEventSourceMappings implements stops.Mappings.
func (m *Mapping) ListEventSourceMappings(context.Context, *lambda.ListEventSourceMappingsInput, ...func(*lambda.Options)) (*lambda.ListEventSourceMappingsOutput, error) {
	out := &lambda.ListEventSourceMappingsOutput{}
	if m.State != "" {
		out.EventSourceMappings = []lambdatypes.EventSourceMappingConfiguration{{UUID: aws.String("mapping"), State: aws.String(m.State)}}
	}
	return out, nil
}

// UpdateEventSourceMapping implements stops.Mappings.
func (m *Mapping) UpdateEventSourceMapping(_ context.Context, in *lambda.UpdateEventSourceMappingInput, _ ...func(*lambda.Options)) (*lambda.UpdateEventSourceMappingOutput, error) {
	if m.Busy > 0 {
		m.Busy--
		return nil, &lambdatypes.ResourceInUseException{}
	}
	m.State = "Disabled"
	if *in.Enabled {
		m.State = "Enabled"
	}
	return &lambda.UpdateEventSourceMappingOutput{}, nil
}

// Table is the state table. The zero value is empty.
type Table struct {
	mu    sync.Mutex
	items map[string]map[string]types.AttributeValue
}

func pk(item map[string]types.AttributeValue) string {
	return item["pk"].(*types.AttributeValueMemberS).Value
}

// GetItem implements stops.Items.
func (t *Table) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &dynamodb.GetItemOutput{Item: t.items[pk(in.Key)]}, nil
}

// PutItem implements stops.Items. It knows the two conditions of package stops:
// that there is no item, and that it has a version.
func (t *Table) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, was := t.items[pk(in.Item)], in.ExpressionAttributeValues[":was"]
	if (is == nil) != (was == nil) || is != nil && is["version"].(*types.AttributeValueMemberN).Value != was.(*types.AttributeValueMemberN).Value {
		return nil, &types.ConditionalCheckFailedException{}
	}
	if t.items == nil {
		t.items = map[string]map[string]types.AttributeValue{}
	}
	t.items[pk(in.Item)] = maps.Clone(in.Item)
	return &dynamodb.PutItemOutput{}, nil
}

// Scan implements stops.Items.
func (t *Table) Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := &dynamodb.ScanOutput{}
	for _, item := range t.items {
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// Alarm is one alarm, with the state that it was set to last; nil: there is none.
type Alarm struct{ cwtypes.MetricAlarm }

// SetAlarmState implements stops.Alarms.
func (a *Alarm) SetAlarmState(_ context.Context, in *cloudwatch.SetAlarmStateInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error) {
	if a == nil {
		return nil, &cwtypes.ResourceNotFound{}
	}
	a.StateValue, a.StateReason = in.StateValue, in.StateReason
	return &cloudwatch.SetAlarmStateOutput{}, nil
}
