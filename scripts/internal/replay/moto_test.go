package replay

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/mototest"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

// The same replays against another implementation of the services.
func TestReplaysAtAnotherImplementationOfTheServices(t *testing.T) {
	moto := mototest.Start(t)
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	target := &cli.Target{Root: root, Env: manifest.Environment{Name: "local", Endpoint: moto.URL}, Names: names.New("penstock", "local"), AWS: moto.AWS("us-east-1")}
	subs, err := subscriptions.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	var notes strings.Builder
	c, err := Open(t.Context(), subs, &notes)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := subs.Find(t.Context(), "trade-allocated/allocations")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Archive(t.Context()); err == nil || !strings.Contains(err.Error(), `say "archiveRetentionDays" for it in infra/environments.json`) {
		t.Errorf("without an archive: %v", err)
	}

	bus, account := target.Names.Bus(), c.taps.Account
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.taps.Events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &bus}))
	must(c.taps.Events.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{ArchiveName: aws.String(target.Names.Archive()), EventSourceArn: aws.String(account.ARN("events", "event-bus/"+bus))}))
	queue, err := c.taps.Queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &sub.Queue})
	must(queue, err)
	must(c.taps.Events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &sub.Rule, EventBusName: &bus, EventPattern: aws.String(`{"source":["trading"]}`)}))
	must(c.taps.Events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &sub.Rule, EventBusName: &bus, Targets: []ebtypes.Target{{Id: aws.String("queue"), Arn: aws.String(account.ARN("sqs", sub.Queue))}}}))
	for i := range 3 {
		must(c.taps.Events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{
			EventBusName: &bus, Source: aws.String("trading"), DetailType: aws.String("TRADE_ALLOCATED"), Detail: aws.String(fmt.Sprintf(`{"data":{"n":%d}}`, i)),
		}}}))
	}
	if n, err := c.waiting(t.Context(), *queue.QueueUrl); err != nil || n != 3 {
		t.Fatalf("%d live events; %v", n, err)
	}

	plan := Plan{Subscription: sub, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Minute)}
	follow := func(p Plan) Result {
		t.Helper()
		name, err := c.Start(t.Context(), p)
		must(name, err)
		r, err := c.Follow(t.Context(), name, func(*Status, Result) {})
		must(r, err)
		if r.State != Completed {
			t.Errorf("%s is %s", name, r.State)
		}
		return r
	}
	follow(plan)
	if n, err := c.waiting(t.Context(), *queue.QueueUrl); err != nil || n != 6 {
		t.Errorf("after a replay there are %d events, want 6; %v", n, err)
	}
	plan.Pattern, plan.Rate, plan.Reprocess = `{"detail":{"data":{"n":[{"numeric":[">",0]}]}}}`, 100, true
	if r := follow(plan); *r.Forwarded != 2 || *r.LeftOut != 1 {
		t.Errorf("%d forwarded and %d left out, want 2 and 1", *r.Forwarded, *r.LeftOut)
	}
	// moto replays to all rules, whatever FilterArns says: so the subscription's own has
	// sent all three again, besides the two that were forwarded.
	if n, err := c.waiting(t.Context(), *queue.QueueUrl); err != nil || n != 6+3+2 {
		t.Errorf("after a replay of two there are %d events, want 11; %v", n, err)
	}
	all, err := c.List(t.Context(), 10)
	must(all, err)
	if len(all) != 2 || slices.ContainsFunc(all, func(s *Status) bool { return s.Subscription != sub.String() || s.Waiting != nil }) {
		t.Errorf("listed: %+v", all)
	}
	if left, err := c.left(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left: %v; %v", left, err)
	}
}
