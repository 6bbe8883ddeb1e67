// Command tester is an example of a connector, and a way to try functions that
// declare topics: it sends a message at an interval.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/connecting"
)

func main() { cli.Main("tester", newCommand) }

// tester is the command as its flags describe it.
type tester struct {
	flags      *cli.Flags
	connecting connecting.Flags

	topic, message string
	interval       time.Duration
	count          int
}

func newCommand(flags *cli.Flags) *cobra.Command {
	t := tester{flags: flags}
	cmd := &cobra.Command{
		Use:   "tester",
		Short: "Send a message to the functions that declare a topic, again and again",
		Long: `Send a message to the functions that declare a topic, again and again, until
Ctrl-C. Each response is one line: topic, function, status, how long it took, and
the id by which the function's log names the call.`,
		Example: `  tester
  tester --topic payment.made --message '{"amount": 12}' --interval 100ms --count 50
  tester --async --callback-url https://example.com/done`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd) },
	}
	t.connecting.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&t.topic, "topic", "payment", "the message's `topic`")
	f.StringVar(&t.message, "message", `{"amount": 12.50, "currency": "EUR"}`, "the `message`")
	f.DurationVar(&t.interval, "interval", 2*time.Second, "how often it is sent")
	f.IntVar(&t.count, "count", 0, "end after `N` messages, with exit status 1 if one was not delivered; 0 means no end")
	f.StringVar(&t.connecting.Config.ContentType, "content-type", "application/json", "the message's content `type`")
	f.BoolVar(&t.connecting.Config.Async, "async", false, "have Lambda accept each call, and make it later")
	f.StringVar(&t.connecting.Config.CallbackURL, "callback-url", "", "where the results of --async go: a `URL` of the environment's callbackHosts")
	return cmd
}

func (t *tester) run(cmd *cobra.Command) error {
	if t.interval <= 0 || t.count < 0 {
		return cli.Misusef("--interval %v, --count %d: neither may be negative, and the interval not 0", t.interval, t.count)
	}
	ctx := cmd.Context()
	target, err := t.flags.Target(ctx)
	if err != nil {
		return err
	}
	if err := target.Guard(ctx); err != nil {
		return err
	}
	t.connecting.Config.UserAgent = "penstock/tester"
	t.connecting.Config.Header = http.Header{"X-Served-By": {"scripts/connector/tester"}}
	c, err := t.connecting.Start(ctx, target, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
	if err != nil {
		return err
	}
	c.Subscribe(connecting.NewReport(cmd.OutOrStdout()))
	failed := t.send(ctx, c)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(failed, c.Close(closing))
}

// send sends the messages, and returns why some of a counted number were not
// delivered.
func (t *tester) send(ctx context.Context, c *connector.Connector) error {
	ticker := time.NewTicker(t.interval)
	defer ticker.Stop()
	failed := 0
	for sent := 1; ; sent++ {
		if _, err := c.Invoke(ctx, t.topic, []byte(t.message), nil); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			failed++ // the report says why
		}
		if sent == t.count {
			if failed > 0 {
				return fmt.Errorf("%d of %d messages were not delivered", failed, sent)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
