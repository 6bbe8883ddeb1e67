// Package stops stops and resumes subscriptions, and records who did, when and
// why. The breaker does so when a subscription fails, the command when a person
// says so.
//
// A subscription that is stopped has its event source mapping disabled: its rule
// goes on filling its queue, and nothing is lost for as long as the queue keeps
// it. The record is what holds: it is written first, and the breaker brings the
// mapping in line with it every minute. So a deployment, or a hand in the
// console, that enables the mapping of a stopped subscription is undone, and what
// died between two steps is finished. AWS does not say whether CloudFormation
// enables a mapping whose template says nothing of it when it changes another
// property; here it does not matter.
//
// The breaker also publishes and tells what was recorded. Of a stop that is
// resumed before it was told, the resumption alone is.
package stops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/penstock-dev/penstock/events/penstock"
)

// Subscription is what there is to know of a subscription to stop it.
type Subscription struct {
	Function string `json:"function"` // the function's short name
	Name     string `json:"name"`
	Event    string `json:"event"` // the type that it receives, as source/NAME

	Lambda string `json:"lambda"` // the function's name on Lambda
	Queue  string `json:"queue"`  // the queue's ARN
	// Alarm is the name of the alarm that has the breaker stop it; empty if its
	// breaker is off.
	Alarm string `json:"alarm,omitempty"`
	// ProbeAfter is how long the breaker waits before it tries the function
	// again; 0: it leaves that to people.
	ProbeAfter time.Duration `json:"probeAfter,omitempty"`
}

// String names the subscription as the command does: function/subscription.
func (s Subscription) String() string { return s.Function + "/" + s.Name }

// Record is what is recorded of a subscription: that it is stopped, or that it
// was and has been resumed. The zero value is a subscription that was never
// stopped.
type Record struct {
	Subscription
	Stopped bool           `json:"stopped"`
	Since   time.Time      `json:"since"`            // of the stop, or of the resumption
	By      penstock.Actor `json:"by"`               // who did either
	Person  string         `json:"person,omitempty"` // the AWS identity of the person, if it was one
	Reason  string         `json:"reason"`           // in a sentence for people

	// Failures is what the breaker measured.
	Failures *penstock.Failures `json:"failures,omitempty"`
	// StoppedSince is, of a resumption, when the subscription was stopped.
	StoppedSince time.Time `json:"stoppedSince,omitzero"`
	// Told says that the event is published and people are notified.
	Told bool `json:"told"`
	// ProbeAt is when the breaker tries the function next.
	ProbeAt time.Time `json:"probeAt,omitzero"`

	version int // of the item; 0: there is none
}

// Cause is who stops or resumes a subscription, and why.
type Cause struct {
	By       penstock.Actor
	Person   string
	Reason   string
	Failures *penstock.Failures
}

// The clients of AWS's services that a Switch needs.
type (
	// Mappings is *lambda.Client.
	Mappings interface {
		lambda.ListEventSourceMappingsAPIClient
		UpdateEventSourceMapping(context.Context, *lambda.UpdateEventSourceMappingInput, ...func(*lambda.Options)) (*lambda.UpdateEventSourceMappingOutput, error)
	}
	// Items is *dynamodb.Client.
	Items interface {
		dynamodb.ScanAPIClient
		GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
		PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	}
	// Alarms is *cloudwatch.Client.
	Alarms interface {
		SetAlarmState(context.Context, *cloudwatch.SetAlarmStateInput, ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error)
	}
)

// Switch stops and resumes the subscriptions of one environment. It is safe for
// concurrent use if its clients are.
type Switch struct {
	Mappings Mappings
	Items    Items
	Alarms   Alarms
	Table    string // the name of the state table
}

// ErrNotDeployed is the error about a subscription that has no mapping.
var ErrNotDeployed = errors.New("it is not deployed: it has no event source mapping")

// ErrChanged is the error of a change to a record that somebody else has changed
// meanwhile.
var ErrChanged = errors.New("somebody else has just changed it: look, and try again")

// Stop records that a subscription is stopped, and disables its mapping. One that
// is stopped keeps its record, but that a person takes over from the breaker,
// which then leaves it to people to resume it.
func (s *Switch) Stop(ctx context.Context, sub Subscription, cause Cause) (Record, error) {
	is, err := s.Get(ctx, sub)
	if err != nil {
		return Record{}, err
	}
	if is.Stopped && (cause.By == penstock.ActorBreaker || is.By == penstock.ActorPerson) {
		return is, s.Apply(ctx, is)
	}
	if _, err := s.mapping(ctx, sub); err != nil {
		return Record{}, err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	next := Record{Subscription: sub, Stopped: true, Since: now, By: cause.By, Person: cause.Person, Reason: cause.Reason, Failures: cause.Failures, version: is.version}
	if sub.ProbeAfter > 0 && cause.By == penstock.ActorBreaker {
		next.ProbeAt = now.Add(sub.ProbeAfter)
	}
	if next, err = s.Put(ctx, next); err != nil {
		return Record{}, err
	}
	return next, s.Apply(ctx, next)
}

// Resume records that a subscription receives again, enables its mapping, and
// sets its alarm to OK: an alarm acts when its state changes, so that one which
// stayed in ALARM would never stop the subscription again. One that no record
// says is stopped is enabled all the same.
func (s *Switch) Resume(ctx context.Context, sub Subscription, cause Cause) (Record, error) {
	is, err := s.Get(ctx, sub)
	if err != nil {
		return Record{}, err
	}
	if !is.Stopped {
		is.Subscription, is.Stopped = sub, false
		return is, s.Apply(ctx, is)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	next, err := s.Put(ctx, Record{Subscription: sub, Since: now, By: cause.By, Person: cause.Person, Reason: cause.Reason, StoppedSince: is.Since, version: is.version})
	if err != nil {
		return Record{}, err
	}
	return next, s.Apply(ctx, next)
}

// Apply brings the mapping in line with a record, and of a resumption the alarm.
func (s *Switch) Apply(ctx context.Context, r Record) error {
	if err := s.enable(ctx, r.Subscription, !r.Stopped); err != nil {
		return fmt.Errorf("subscription %s: %w", r.Subscription, err)
	}
	if r.Stopped {
		return nil
	}
	return s.Reset(ctx, r.Subscription, cmp.Or(r.Reason, "the subscription was enabled"))
}

// Reset sets the alarm of a subscription to OK.
func (s *Switch) Reset(ctx context.Context, sub Subscription, reason string) error {
	if sub.Alarm == "" {
		return nil
	}
	_, err := s.Alarms.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
		AlarmName: &sub.Alarm, StateValue: cwtypes.StateValueOk, StateReason: aws.String(clip(reason, 1023)), // "SetAlarmState"
	})
	if missing := (*cwtypes.ResourceNotFound)(nil); errors.As(err, &missing) {
		return nil // the breaker was turned off in the manifest
	}
	if err != nil {
		return fmt.Errorf("setting alarm %s to OK: %w", sub.Alarm, err)
	}
	return nil
}

func clip(text string, most int) string {
	if len(text) > most {
		return text[:most]
	}
	return text
}

// A mapping on its way to another state cannot be changed; on AWS that takes up
// to a minute.
const (
	settleEvery  = time.Second
	settleWithin = 2 * time.Minute
)

// enable enables or disables a subscription's mapping.
func (s *Switch) enable(ctx context.Context, sub Subscription, enabled bool) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for {
		m, err := s.mapping(ctx, sub)
		if err != nil {
			return err
		}
		switch aws.ToString(m.State) {
		case "Enabled", "Enabling", "Creating":
			if enabled {
				return nil
			}
		case "Disabled", "Disabling":
			if !enabled {
				return nil
			}
		}
		_, err = s.Mappings.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: &enabled})
		if busy := (*lambdatypes.ResourceInUseException)(nil); !errors.As(err, &busy) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(settleEvery):
		}
	}
}

func (s *Switch) mapping(ctx context.Context, sub Subscription) (m lambdatypes.EventSourceMappingConfiguration, err error) {
	out, err := s.Mappings.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: &sub.Lambda, EventSourceArn: &sub.Queue})
	if missing := (*lambdatypes.ResourceNotFoundException)(nil); errors.As(err, &missing) || err == nil && len(out.EventSourceMappings) == 0 {
		return m, ErrNotDeployed
	}
	if err != nil {
		return m, err
	}
	return out.EventSourceMappings[0], nil
}

// The attributes of an item of the table: its key, a number that grows with each
// change, and the record as JSON.
const (
	keyAttribute     = "pk"
	versionAttribute = "version"
	recordAttribute  = "record"
)

func key(sub Subscription) types.AttributeValue {
	return &types.AttributeValueMemberS{Value: "subscription#" + sub.String()}
}

// Get reads the record of a subscription; the zero Record if there is none.
func (s *Switch) Get(ctx context.Context, sub Subscription) (Record, error) {
	out, err := s.Items.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.Table, Key: map[string]types.AttributeValue{keyAttribute: key(sub)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil || out.Item == nil {
		return Record{}, err
	}
	return decode(out.Item)
}

// All reads every record.
func (s *Switch) All(ctx context.Context) ([]Record, error) {
	var all []Record
	pages := dynamodb.NewScanPaginator(s.Items, &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			r, err := decode(item)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func decode(item map[string]types.AttributeValue) (r Record, err error) {
	text, _ := item[recordAttribute].(*types.AttributeValueMemberS)
	version, _ := item[versionAttribute].(*types.AttributeValueMemberN)
	if text == nil || version == nil {
		return r, fmt.Errorf("state table: item %v is no record of a subscription", item[keyAttribute])
	}
	if err := json.Unmarshal([]byte(text.Value), &r); err != nil {
		return r, fmt.Errorf("state table: %w", err)
	}
	r.version, err = strconv.Atoi(version.Value)
	return r, err
}

// Put writes a record, which must be as it was read but for what the caller
// changes. The error is ErrChanged if it has been changed since.
func (s *Switch) Put(ctx context.Context, r Record) (Record, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	was := strconv.Itoa(r.version)
	r.version++
	in := &dynamodb.PutItemInput{
		TableName: &s.Table,
		Item: map[string]types.AttributeValue{
			keyAttribute:     key(r.Subscription),
			versionAttribute: &types.AttributeValueMemberN{Value: strconv.Itoa(r.version)},
			recordAttribute:  &types.AttributeValueMemberS{Value: string(text)},
		},
		ConditionExpression:      aws.String("attribute_not_exists(#pk)"),
		ExpressionAttributeNames: map[string]string{"#pk": keyAttribute},
	}
	if was != "0" {
		in.ConditionExpression = aws.String("#version = :was")
		in.ExpressionAttributeNames = map[string]string{"#version": versionAttribute}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":was": &types.AttributeValueMemberN{Value: was}}
	}
	_, err = s.Items.PutItem(ctx, in)
	if changed := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &changed) {
		return r, fmt.Errorf("subscription %s: %w", r.Subscription, ErrChanged)
	}
	return r, err
}
