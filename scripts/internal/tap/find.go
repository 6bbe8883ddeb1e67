package tap

import (
	"context"
	"errors"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// FindRules adds the taps of which there is a rule on the bus.
func (c *Client) FindRules(ctx context.Context, bus, prefix string, taps map[string]*Tap) error {
	in := &eventbridge.ListRulesInput{EventBusName: &bus, NamePrefix: &prefix}
	for {
		page, err := c.Events.ListRules(ctx, in)
		if err != nil {
			return err
		}
		for _, r := range page.Rules {
			if l, ok := readDescription(aws.ToString(r.Description)); ok && l.Bus == bus {
				taps[aws.ToString(r.Name)] = c.Tap(l, aws.ToString(r.Name))
			}
		}
		if page.NextToken == nil {
			return nil
		}
		in.NextToken = page.NextToken
	}
}

// FindQueues adds the taps of which there is a queue, on whatever bus. What it
// cannot tell of one queue is noted.
func (c *Client) FindQueues(ctx context.Context, prefix string, taps map[string]*Tap, note func(string, ...any)) error {
	pages := sqs.NewListQueuesPaginator(c.Queues, &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, url := range page.QueueUrls {
			name := path.Base(url)
			var gone *sqstypes.QueueDoesNotExist
			out, err := c.Queues.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
			if errors.As(err, &gone) {
				continue // another program has ended, or swept, meanwhile
			}
			if err != nil {
				note("whose queue %s is cannot be told: %s", name, cli.Brief(err))
				continue
			}
			p := taps[name]
			if l, ok := readTags(out.Tags); ok && p == nil {
				p = c.Tap(l, name)
				taps[name] = p
			}
			if p != nil {
				p.URL, p.Tags = url, out.Tags
			}
		}
	}
	return nil
}
