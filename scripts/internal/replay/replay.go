// Package replay sends the events of an environment's archive to one subscription
// again.
//
// A replay that is neither picked nor paced is EventBridge's alone: it is started
// for the subscription's rule and no other, and goes on without this process.
//
// EventBridge can neither pick events nor send them at a pace. With a pattern or a
// rate there is a tap in between (package tap), a temporary rule and queue:
//
//	archive ── replay ──▶ temporary rule ──▶ temporary queue ── here, at the rate ──▶ the subscription's queue
//
// The life of such a replay:
//
//  1. The tap is made. Its rule has the pattern of the subscription's rule and the
//     replay's name, so that no live event comes this way; its target makes of an
//     event what the subscription's target would. The plan is in the tags of its
//     queue.
//  2. The replay is started for that rule alone.
//  3. Messages are taken from the temporary queue, sent to the subscription's at
//     the rate, and only then deleted. Those that do not match the pattern are
//     deleted at once.
//  4. When the replay has ended and the queue is empty, the tap is removed.
//
// The temporary queue is all the state there is. Killed at any moment, nothing is
// lost: what was not forwarded waits in it, for up to 14 days, and [Client.Follow]
// goes on at whatever step was reached. What was forwarded and not yet deleted is
// forwarded again; handlers know it by its event key.
package replay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

// Client starts and follows the replays of an environment.
type Client struct {
	target *cli.Target
	subs   *subscriptions.Environment
	taps   *tap.Client
	notes  io.Writer
	times  times
}

// times are how long AWS takes for what the local environment does at once.
type times struct {
	rule  time.Duration // until a new rule works everywhere
	quiet time.Duration // how long a queue must look empty to be so
	poll  time.Duration // between two questions about a replay
}

var (
	// A rule takes "a short period of time" ("PutRule", EventBridge API reference).
	// The counts of a queue are right a minute after the last message was sent
	// ("GetQueueAttributes", Amazon SQS API reference).
	awsTimes   = times{rule: 30 * time.Second, quiet: time.Minute, poll: 5 * time.Second}
	localTimes = times{poll: 100 * time.Millisecond}
)

// Open asks AWS whose account the target is. Notes is told of progress.
func Open(ctx context.Context, subs *subscriptions.Environment, notes io.Writer) (*Client, error) {
	taps, err := tap.NewClient(ctx, subs.AWS)
	if err != nil {
		return nil, subs.Explain(err)
	}
	c := &Client{target: subs.Target, subs: subs, taps: taps, notes: notes, times: awsTimes}
	if subs.Env.Endpoint != "" {
		c.times = localTimes
	}
	return c, nil
}

// Lag is how long an event may take to its archive: so long after it was published,
// all are there ("Archiving and replaying events in Amazon EventBridge").
const Lag = 10 * time.Minute

// Plan is a replay as somebody wants it.
type Plan struct {
	Subscription subscriptions.Subscription
	From, To     time.Time // events whose bus time is from From on and before To, to the second
	Pattern      string    // the events that match this pattern; empty: all that the subscription gets
	Rate         float64   // so many a second at most, at least MinRate; 0: as fast as it goes
	Reprocess    bool      // whether idempotent handlers handle them anew
}

// MinRate and MaxRate bound a plan's rate.
const (
	MinRate = 0.1
	MaxRate = 10_000
)

// picked reports whether the plan needs a tap.
func (p Plan) picked() bool { return p.Pattern != "" || p.Rate > 0 }

// maxName is the longest name of a rule ("PutRule", EventBridge API reference) and of
// a replay ("StartReplay"); a queue's may be longer.
const maxName = 64

// newName is a name for a replay; those of a reprocessing one are told by their ends.
// Six characters tell it from others, or fewer where the environment's name leaves no
// room.
func (c *Client) newName(reprocess bool) string {
	prefix, suffix := c.target.Names.ReplayPrefix(), ""
	if reprocess {
		suffix = handler.ReprocessSuffix
	}
	return prefix + strings.ToLower(rand.Text()[:min(6, maxName-len(prefix)-len(suffix))]) + suffix
}

// Archive returns how long the environment's archive keeps events, and since when
// it has. Where there is no archive, it is an error that says how to get one.
func (c *Client) Archive(ctx context.Context) (*eventbridge.DescribeArchiveOutput, error) {
	name := c.target.Names.Archive()
	out, err := c.taps.Events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, cli.Refusedf(`environment %q keeps no archive: say "archiveRetentionDays" for it in infra/environments.json and deploy its bus; events are kept from then on`, c.target.Env.Name)
	}
	return out, c.target.Explain(err)
}

// Start starts a replay and returns its name. The events of one that needs a tap
// wait there for Follow. If it fails, nothing is left, unless ctx has ended: then
// there may be a tap, by which Follow can go on.
func (c *Client) Start(ctx context.Context, p Plan) (string, error) {
	name, bus := c.newName(p.Reprocess), c.target.Names.Bus()
	if !p.picked() {
		return name, c.start(ctx, name, p, c.taps.Account.RuleARN(bus, p.Subscription.Rule))
	}
	t := c.taps.Tap(tap.NewLabel(bus, keeps), name)
	err := c.begin(ctx, t, p)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, t.Remove(ctx))
	}
	return name, err
}

// description is what a replay is, in its Description.
type description struct {
	Subscription string  `json:"subscription,omitempty"` // its NAME
	Pattern      bool    `json:"pattern,omitempty"`      // there is one
	Rate         float64 `json:"rate,omitempty"`
	Trace        string  `json:"trace,omitempty"` // the id of an event that is looked for
}

// start starts a replay for one rule. Its events' times are to the second
// ("PutEventsRequestEntry"), so the range grows to whole seconds.
func (c *Client) start(ctx context.Context, name string, p Plan, rule string) error {
	return c.startFor(ctx, name, p.From, p.To, rule, description{Subscription: p.Subscription.String(), Pattern: p.Pattern != "", Rate: p.Rate})
}

func (c *Client) startFor(ctx context.Context, name string, from, to time.Time, rule string, d description) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if whole := to.Truncate(time.Second); whole.Before(to) {
		to = whole.Add(time.Second)
	}
	account, bus := c.taps.Account, c.target.Names.Bus()
	_, err = c.taps.Events.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &name, Description: aws.String(string(text)),
		EventSourceArn: aws.String(account.ARN("events", "archive/"+c.target.Names.Archive())),
		EventStartTime: aws.Time(from.Truncate(time.Second)), EventEndTime: &to,
		Destination: &types.ReplayDestination{Arn: aws.String(account.ARN("events", "event-bus/"+bus)), FilterArns: []string{rule}},
	})
	var limit *types.LimitExceededException
	if errors.As(err, &limit) {
		return fmt.Errorf("ten replays are under way, as many as an account has in a region: wait for one to end, or cancel one: %w", err)
	}
	return err
}

// note tells of progress.
func (c *Client) note(format string, args ...any) { fmt.Fprintf(c.notes, format+"\n", args...) }
