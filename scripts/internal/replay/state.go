package replay

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

// keeps is how long a temporary queue keeps an event: the longest that SQS does.
const keeps = 14 * 24 * time.Hour

// plan is a Plan as the tags of a temporary queue have it.
type plan struct {
	Subscription string    `json:"subscription"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Pattern      string    `json:"pattern,omitempty"`
	Rate         float64   `json:"rate,omitempty"`
}

// tagPlan begins the tags that hold a plan, one part each: a tag's value takes 256
// characters, of which base64 uses none that is not allowed ("Amazon SQS cost
// allocation tags").
const (
	tagPlan  = "penstock:plan."
	tagValue = 256
)

// MaxPattern is the longest pattern of a plan, in bytes: the plan must fit the 50
// tags of a queue.
const MaxPattern = 2048

func (p Plan) tags() map[string]string {
	text, err := json.Marshal(plan{p.Subscription.String(), p.From, p.To, p.Pattern, p.Rate})
	if err != nil {
		panic(err) // strings, times and a number
	}
	tags := map[string]string{}
	for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(text)), tagValue) {
		tags[tagPlan+strconv.Itoa(len(tags))] = string(part)
	}
	return tags
}

// readPlan reads the plan of a temporary queue.
func (c *Client) readPlan(ctx context.Context, tags map[string]string) (Plan, error) {
	var text strings.Builder
	for i := 0; ; i++ {
		part, ok := tags[tagPlan+strconv.Itoa(i)]
		if !ok {
			break
		}
		text.WriteString(part)
	}
	var p plan
	decoded, err := base64.StdEncoding.DecodeString(text.String())
	if err == nil {
		err = json.Unmarshal(decoded, &p)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("its queue has no plan among its tags: %w", err)
	}
	sub, err := c.subs.Find(ctx, p.Subscription)
	if err != nil {
		sub, err = c.formerly(p.Subscription)
	}
	return Plan{Subscription: sub, From: p.From, To: p.To, Pattern: p.Pattern, Rate: p.Rate}, err
}

// formerly is a subscription that is no longer declared: its names are known.
func (c *Client) formerly(name string) (subscriptions.Subscription, error) {
	fn, sub, ok := strings.Cut(name, "/")
	if !ok {
		return subscriptions.Subscription{}, fmt.Errorf("subscription %q: want function/subscription", name)
	}
	n := c.target.Names
	return subscriptions.Subscription{
		Function: fn, Name: sub, Lambda: n.Function(fn), Rule: n.Rule(fn, sub), Queue: n.Queue(fn, sub), DLQ: n.DLQ(fn, sub), RuleDLQ: n.RuleDLQ(fn, sub),
	}, nil
}

// Status is a replay as it is.
type Status struct {
	Name         string    `json:"name"`
	Subscription string    `json:"subscription,omitempty"` // its NAME; empty of one that this command has not started
	State        string    `json:"state"`                  // see the constants
	Reason       string    `json:"reason,omitempty"`       // why, if EventBridge says
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	StartedAt    time.Time `json:"startedAt,omitzero"`
	EndedAt      time.Time `json:"endedAt,omitzero"`
	LastReplayed time.Time `json:"lastReplayed,omitzero"` // the bus time of the event that was replayed last
	Rate         float64   `json:"rate,omitempty"`
	Pattern      bool      `json:"pattern,omitempty"` // it has one
	Trace        string    `json:"trace,omitempty"`   // the id of the event that a trace looks for by it

	// Waiting is how many events wait in its temporary queue to be forwarded; nil if
	// it has none. About right, as SQS counts.
	Waiting *int `json:"waiting,omitempty"`

	tap *tap.Tap
}

// The states of a replay besides EventBridge's own: Interrupted is one whose events
// nobody forwards, or that nobody has started yet; `resume` goes on with it.
const (
	Starting    = "starting"
	Running     = "running"
	Cancelling  = "cancelling"
	Completed   = "completed"
	Cancelled   = "cancelled"
	Failed      = "failed"
	NotStarted  = "not started"
	Forwarding  = "forwarding" // EventBridge has ended, and events wait to be forwarded
	Interrupted = "interrupted"
)

// ended reports whether EventBridge has ended.
func (s *Status) ended() bool {
	return s.State == Completed || s.State == Cancelled || s.State == Failed
}

// Progress is how far EventBridge has come in the range, 0 to 1.
func (s *Status) Progress() float64 {
	switch {
	case s.State == Completed || s.State == Forwarding || s.State == Interrupted && s.EndedAt.After(s.StartedAt):
		return 1
	case s.LastReplayed.IsZero() || !s.To.After(s.From):
		return 0
	}
	return min(1, max(0, s.LastReplayed.Sub(s.From).Seconds()/s.To.Sub(s.From).Seconds()))
}

// describe is what EventBridge says of a replay; nil if it knows none.
func (c *Client) describe(ctx context.Context, name string) (*Status, error) {
	out, err := c.taps.Events.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &Status{
		Name: name, State: strings.ToLower(string(out.State)), Reason: aws.ToString(out.StateReason),
		From: utc(out.EventStartTime), To: utc(out.EventEndTime), StartedAt: utc(out.ReplayStartTime), EndedAt: utc(out.ReplayEndTime),
		LastReplayed: utc(out.EventLastReplayedTime),
	}
	var d description
	if json.Unmarshal([]byte(aws.ToString(out.Description)), &d) == nil {
		s.Subscription, s.Rate, s.Pattern, s.Trace = d.Subscription, d.Rate, d.Pattern, d.Trace
	}
	return s, nil
}

func utc(t *time.Time) time.Time { return aws.ToTime(t).UTC() }

// Status returns a replay as it is: what EventBridge knows, and what waits in its
// temporary queue. An unknown one is a misuse that offers the nearest.
func (c *Client) Status(ctx context.Context, name string) (*Status, error) {
	s, err := c.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	t, err := c.findTap(ctx, name)
	if err != nil {
		return nil, err
	}
	if s == nil && t == nil {
		return nil, c.unknown(ctx, name)
	}
	return c.withTap(ctx, s, t)
}

// withTap adds to a replay what its tap tells. Either may be nil, not both.
func (c *Client) withTap(ctx context.Context, s *Status, t *tap.Tap) (*Status, error) {
	if t == nil {
		return s, nil
	}
	if s == nil {
		s = &Status{Name: t.Name, State: NotStarted}
		if p, err := c.readPlan(ctx, t.Tags); err == nil {
			s.Subscription, s.From, s.To, s.Rate, s.Pattern = p.Subscription.String(), p.From, p.To, p.Rate, p.Pattern != ""
		}
	}
	n, err := c.waiting(ctx, t.URL)
	if err != nil {
		return nil, err
	}
	s.tap, s.Waiting = t, &n
	_, abandoned := t.Label.Due()
	switch {
	case s.Trace != "":
	case abandoned:
		s.State = Interrupted
	case s.ended():
		s.State = Forwarding
	}
	return s, nil
}

// findTap finds the temporary queue of a replay; nil if there is none.
func (c *Client) findTap(ctx context.Context, name string) (*tap.Tap, error) {
	var missing *sqstypes.QueueDoesNotExist
	at, err := c.taps.Queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := c.taps.At(ctx, name, aws.ToString(at.QueueUrl))
	if errors.As(err, &missing) {
		return nil, nil
	}
	return t, err
}

// waiting is how many messages a queue has, received or not.
func (c *Client) waiting(ctx context.Context, url string) (int, error) {
	names := []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	out, err := c.taps.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range names {
		n, _ := strconv.Atoi(out.Attributes[string(name)])
		sum += n
	}
	return sum, nil
}

// List returns the environment's replays, the newest first: those that EventBridge
// still knows, which it does for 90 days, and at most limit of these; and those with
// a temporary queue, all of them.
func (c *Client) List(ctx context.Context, limit int) ([]*Status, error) {
	taps, err := c.left(ctx)
	if err != nil {
		return nil, err
	}
	known, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(known, func(a, b types.Replay) int {
		return aws.ToTime(b.ReplayStartTime).Compare(aws.ToTime(a.ReplayStartTime))
	})
	var all []*Status
	for _, r := range known[:min(limit, len(known))] {
		s, err := c.describe(ctx, aws.ToString(r.ReplayName))
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		if s, err = c.withTap(ctx, s, taps[s.Name]); err != nil {
			return nil, err
		}
		delete(taps, s.Name)
		all = append(all, s)
	}
	for _, t := range taps {
		s, err := c.describe(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		if s, err = c.withTap(ctx, s, t); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// known lists the environment's replays.
func (c *Client) known(ctx context.Context) ([]types.Replay, error) {
	in := &eventbridge.ListReplaysInput{NamePrefix: aws.String(c.target.Names.ReplayPrefix()), Limit: aws.Int32(100)}
	var all []types.Replay
	for {
		page, err := c.taps.Events.ListReplays(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Replays...)
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return all, nil
		}
	}
}

// left finds the temporary queues of replays, by name.
func (c *Client) left(ctx context.Context) (map[string]*tap.Tap, error) {
	taps := map[string]*tap.Tap{}
	return taps, c.taps.FindQueues(ctx, c.target.Names.ReplayPrefix(), taps, c.note)
}

// unknown is the misuse of a replay that there is not.
func (c *Client) unknown(ctx context.Context, name string) error {
	replays, err := c.known(ctx)
	if err != nil {
		return cli.Misusef("no replay %q", name)
	}
	var names []string
	for _, r := range replays {
		names = append(names, aws.ToString(r.ReplayName))
	}
	return cli.Unknown("replay", name, names)
}
