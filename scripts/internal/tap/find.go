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
			found, err := c.At(ctx, name, url)
			var gone *sqstypes.QueueDoesNotExist
			switch {
			case errors.As(err, &gone): // another program has ended, or swept, meanwhile
			case err != nil:
				note("whose queue %s is cannot be told: %s", name, cli.Brief(err))
			case found != nil:
				taps[name] = found
			case taps[name] != nil: // its rule says that it is one
				taps[name].URL = url
			}
		}
	}
	return nil
}

// At is the tap of which there is this queue, with its tags; nil if it is no tap's.
func (c *Client) At(ctx context.Context, name, url string) (*Tap, error) {
	out, err := c.Queues.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return nil, err
	}
	l, ok := readTags(out.Tags)
	if !ok {
		return nil, nil
	}
	t := c.Tap(l, name)
	t.URL, t.Tags = url, out.Tags
	return t, nil
}

// Adopt makes a tap that was found this process's own. Its expiry stays.
func (t *Tap) Adopt(ctx context.Context) error {
	me := self()
	t.Label.Owner, t.Label.Process = me.owner, me.process
	_, err := t.Queues.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &t.URL, Tags: t.Label.tags()})
	return err
}
