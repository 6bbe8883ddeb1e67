package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/savings"
)

// mails is a function that logs its notifications.
const mails = `package main

import (
	"context"
	_ "embed"

	"github.com/penstock-dev/penstock/functions/handler"
)

//go:embed notifications.json
var templates []byte

func main() { handler.Start(handler.Notifications(send, handler.Templates(templates))) }

func send(ctx context.Context, n *handler.Notification) error {
	handler.Logger(ctx).InfoContext(ctx, "mail", "template", n.Template, "body", n.Body)
	return nil
}
`

// A function of notifications is added beside a running `penstock dev`, and a
// template that is changed takes effect.
func TestNotificationsAreMadeOfEvents(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: a synthesis needs Node, and there is no node on the PATH")
	}
	s := startShop(t, "")
	s.write(t, "functions/mails/main.go", mails)
	s.write(t, "functions/mails/notifications.json", "[]\n")
	s.write(t, "functions/mails/function.json", `{"name": "mails", "subscriptions": [{"name": "withdrawals", "event": "savings/SAVINGS_WITHDRAWAL", "receive": "notifications"}]}`)
	s.screen.shows(t, "created Lambda::Function penstock-local-mails\n")
	s.penstock(t, "notifications", "create", "left", "--function", "mails", "--event", "SAVINGS_WITHDRAWAL",
		"--condition", `{"data": {"amount": [{"numeric": [">", 100]}]}}`, "--kind", "json", "--body", `{"text": "{data.amount} left {data.accountId}"}`)

	publisher := eventbus.New(eventbridge.NewFromConfig(s.aws), "penstock-local")
	eventually(t, "a withdrawal is told of", func() bool {
		// The first may come to the program without the template, which is
		// swapped meanwhile: then nothing is told of it.
		withdrawal := events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = `A "1"` }))
		if err := publisher.Publish(t.Context(), withdrawal); err != nil {
			t.Fatal(err)
		}
		var log string
		eventually(t, "a withdrawal is handled", func() bool {
			log = s.penstock(t, "functions", "logs", "mails", "--event-id", withdrawal.ID)
			return strings.Contains(log, `"outcome":"handled"`)
		})
		return strings.Contains(log, `"template":"left"`) && strings.Contains(log, `"body":"{\"text\": \"250 left A \\\"1\\\"\"}"`)
	})
}
