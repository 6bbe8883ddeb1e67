package local_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/infra/local"
)

// needed fails the test if what it has done has not used a grant, which the
// project's roles would be better without then. resource is the end of its ARN.
func needed(t *testing.T, env *local.Environment, action, resource string) {
	t.Helper()
	of := func(g local.Grant) bool { return g.Action == action && strings.HasSuffix(g.Resource, resource) }
	if !slices.ContainsFunc(env.Grants(), func(g local.Grant) bool { return of(g) && g.Used }) {
		t.Errorf("no grant of %s on …%s was used", action, resource)
	}
}

// idle are the grants of the project's roles that handling an event does not use,
// and why they are there: action, the end of the resource, and the reason.
var idle = [][3]string{
	{"sqs:ChangeMessageVisibility", "", "a message that failed waits (retry_test.go)"},
	{"sqs:SendMessage", "", "an event is sent afresh, or to the DLQ (retry_test.go)"},
	{"dynamodb:Scan", "table/" + outboxTable, "the sweep (outbox_test.go)"},
	{"dynamodb:UpdateItem", "table/" + outboxTable, "an event that cannot be sent is set aside (outbox_test.go)"},
	{"events:PutEvents", "", "the relay sends the events of every source: here, those of savings"},
	{"dynamodb:", "table/penstock-local-ledger", "a manifest's readWrite is granted as a whole"},
}

// resting are the programs that have nothing to do in the test, by a part of their
// roles' names, and where they do it.
var resting = [][2]string{
	{"BreakerRole", "nothing fails: breaker_test.go"},
	{"penstock-local-storage-", "nobody asks the data API: storage_test.go, triggers_test.go"},
	{"penstock-local-callback-", "nobody waits for a result: async_test.go"},
	{"penstock-local-message-log-", "there is no connector: async_test.go"},
	{"penstock-local-trade-allocation-", "no document is piped: pipeline_test.go"},
	{"penstock-local-portfolio-shares-", "and so nothing is asked of its function"},
}

func TestEveryGrantOfTheProjectHasAReason(t *testing.T) {
	env, db := startOutbox(t)
	createToken(t, env.Endpoint())
	event := withdrawal(t)
	put(t, db, event.Type, time.Now(), string(event.Detail))
	one := trade(t, "ACME")
	if err := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local").Publish(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	until(t, "both are handled", func() bool { return len(fees(t, db)) == 1 && len(attempts(t, env, one.ID)) == 1 })
	used := 0
	for _, g := range env.Grants() {
		if g.Used {
			used++
			continue
		}
		if slices.ContainsFunc(resting, func(known [2]string) bool { return strings.Contains(g.Role, known[0]) }) {
			continue
		}
		if !slices.ContainsFunc(idle, func(known [3]string) bool {
			return strings.HasPrefix(g.Action, known[0]) && strings.HasSuffix(g.Resource, known[1])
		}) {
			t.Errorf("role %s, statement %s: nothing uses %s on %s (%s)", g.Role, g.Statement, g.Action, g.Resource, strings.Join(g.Conditions, "; "))
		}
	}
	if used == 0 {
		t.Error("no grant was used: the check proves nothing")
	}
}
