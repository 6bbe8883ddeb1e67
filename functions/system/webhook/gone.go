package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
)

// subscription is one of the function's.
type subscription struct {
	Name, Event string
	Queue       string // its queue's name
}

// disabler stops the subscriptions of an endpoint that is gone, as the breaker
// stops those that fail: they stay stopped until a person enables them.
type disabler struct {
	function      string // its short name
	lambda        string // its name on Lambda
	subscriptions []subscription
	mappings      stops.Mappings
	stops         *stops.Switch
}

// readQueues reads the names of the subscriptions' queues.
func (d *disabler) readQueues(text string) error {
	var queues map[string]string
	if text != "" {
		if err := json.Unmarshal([]byte(text), &queues); err != nil {
			return fmt.Errorf("PENSTOCK_QUEUES is %q, which the deployment makes of the manifest: %w", text, err)
		}
	}
	for i := range d.subscriptions {
		d.subscriptions[i].Queue = queues[d.subscriptions[i].Name]
	}
	return nil
}

func (d *disabler) disable(ctx context.Context, reason string) error {
	pages := awslambda.NewListEventSourceMappingsPaginator(d.mappings, &awslambda.ListEventSourceMappingsInput{FunctionName: &d.lambda})
	var faults []error
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, m := range page.EventSourceMappings {
			arn := aws.ToString(m.EventSourceArn)
			for _, s := range d.subscriptions {
				if s.Queue == "" || !strings.HasSuffix(arn, ":"+s.Queue) {
					continue
				}
				_, err := d.stops.Stop(ctx, stops.Subscription{Function: d.function, Name: s.Name, Event: s.Event, Lambda: d.lambda, Queue: arn},
					stops.Cause{By: penstock.ActorBreaker, Reason: reason})
				if err != nil && !errors.Is(err, stops.ErrChanged) { // another batch has just stopped it
					faults = append(faults, err)
				}
			}
		}
	}
	return errors.Join(faults...)
}
