package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

// shownSubscription is a subscription as `subscriptions list` and `get` print it
// for programs.
type shownSubscription struct {
	Name  string `json:"name"` // function/subscription
	Event string `json:"event,omitempty"`
	State string `json:"state"` // one of package subscriptions

	Since   time.Time `json:"since,omitzero"` // when it was stopped, or deleted
	By      string    `json:"by,omitempty"`   // breaker, or a person's AWS identity
	Reason  string    `json:"reason,omitempty"`
	ProbeAt time.Time `json:"probeAt,omitzero"` // when the breaker tries it again
	EndsAt  time.Time `json:"endsAt,omitzero"`  // when a deleted one's queue may go

	// What waits. A figure that is not known is null.
	Backlog          *int      `json:"backlog"`
	InFlight         *int      `json:"inFlight,omitempty"` // only get tells it
	OldestAgeSeconds *int      `json:"oldestAgeSeconds"`
	DLQDepth         *int      `json:"dlqDepth"`
	RuleDLQDepth     *int      `json:"ruleDlqDepth"`
	MeasuredAt       time.Time `json:"measuredAt,omitzero"` // the minute of CloudWatch's figures

	Manifest *shownManifest             `json:"manifest,omitempty"`
	Deployed *shownMapping              `json:"deployed,omitempty"`
	Drift    []subscriptions.Difference `json:"drift"`

	Rule    string `json:"rule"`
	Queue   string `json:"queue"`
	DLQ     string `json:"dlq"`
	RuleDLQ string `json:"ruleDlq"`
}

// shownManifest is what the manifest says, defaults included.
type shownManifest struct {
	BatchSize          int              `json:"batchSize"`
	BatchWindowSeconds int              `json:"batchWindowSeconds"`
	MaxConcurrency     int              `json:"maxConcurrency"`
	MaxReceiveCount    int              `json:"maxReceiveCount"`
	Filter             json.RawMessage  `json:"filter,omitempty"`
	Receive            manifest.Receive `json:"receive"`
	Retry              manifest.Retry   `json:"retry"`
	Breaker            manifest.Breaker `json:"breaker"`
	Enabled            *bool            `json:"enabled,omitempty"`
}

// shownMapping is the event source mapping as it is.
type shownMapping struct {
	UUID               string `json:"uuid"`
	State              string `json:"state"`
	BatchSize          int    `json:"batchSize"`
	BatchWindowSeconds int    `json:"batchWindowSeconds"`
	MaxConcurrency     int    `json:"maxConcurrency,omitempty"`
}

func showSubscription(l subscriptions.Live) shownSubscription {
	out := shownSubscription{
		Name: l.String(), Event: l.Event(), State: l.State,
		MeasuredAt: l.Figures.MeasuredAt.UTC(), Drift: l.Drift,
		Rule: l.Rule, Queue: l.Queue, DLQ: l.DLQ, RuleDLQ: l.RuleDLQ,
	}
	if out.Drift == nil {
		out.Drift = []subscriptions.Difference{}
	}
	f := l.Figures
	if f.Exact {
		out.InFlight = &f.InFlight
	}
	if f.Exact || f.Unknown == nil {
		out.Backlog, out.DLQDepth, out.RuleDLQDepth = &f.Backlog, &f.DLQ, &f.RuleDLQ
	}
	if f.Unknown == nil {
		out.OldestAgeSeconds = new(int(f.OldestAge.Seconds()))
	}
	if s := l.Stop; s != nil {
		out.Since, out.By, out.Reason, out.ProbeAt = s.Since, s.By, s.Reason, s.ProbeAt
	}
	if l.Deleted() {
		out.Since, out.EndsAt = l.DeletedAt, l.Ends()
	}
	if m := l.Subscription.Manifest; m != nil {
		out.Manifest = &shownManifest{
			m.BatchSize, m.BatchWindowSeconds, l.MaxConcurrency, m.MaxReceiveCount, m.Filter, cmp.Or(m.Receive, manifest.Events), m.Retry, m.Breaker, m.Enabled,
		}
	}
	if m := l.Mapping; m != nil {
		out.Deployed = &shownMapping{m.UUID, m.State, m.BatchSize, m.WindowSeconds, m.MaxConcurrency}
	}
	return out
}

func newSubscriptionsList(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the subscriptions: state, backlog, DLQs, and drift from the manifest",
		Long: `List the subscriptions as they are in the environment.

STATE is enabled, disabled (by a person, or by its manifest), stopped (by the
breaker), deleted (its queue collects events until it ends), or not deployed.
BACKLOG is how many events wait, OLDEST for how long the oldest of them has, DLQ
how many the function failed to handle, RULE DLQ how many EventBridge could not
put into the queue. DRIFT is in what it differs from its function.json; ` + "`get`" + `
tells it in full.

The numbers are CloudWatch's, which counts each minute and tells it some minutes
later, and nothing of a queue that nobody has used for six hours: that is a 0. In
the local environment they are those of this moment. ` + "`get`" + ` asks SQS itself. On AWS a
list costs some cents for a thousand subscriptions, and a dozen calls for 300.`,
		Example: "  penstock subscriptions list\n  penstock subscriptions list --env prod --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openSubscriptions(cmd.Context(), common)
			if err != nil {
				return err
			}
			all, err := s.List(cmd.Context())
			if err != nil {
				return s.Explain(err)
			}
			for _, l := range all {
				if l.Figures.Unknown != nil {
					tellUnknown(cmd.ErrOrStderr(), l.Figures)
					break
				}
			}
			if common.JSON() {
				shown := []shownSubscription{}
				for _, l := range all {
					shown = append(shown, showSubscription(l))
				}
				return cli.JSON(cmd.OutOrStdout(), shown)
			}
			return listSubscriptions(cmd.OutOrStdout(), all)
		},
	}
}

func listSubscriptions(out io.Writer, all []subscriptions.Live) error {
	var rows [][]string
	for _, l := range all {
		since, reason := "-", "-"
		switch {
		case l.Stop != nil:
			since, reason = l.Stop.Since.Format(time.RFC3339), cmp.Or(l.Stop.Reason, "-")
		case l.Deleted():
			since, reason = l.DeletedAt.UTC().Format(time.RFC3339), "deleted: its queue collects events until "+l.Ends().UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{
			l.String(), cmp.Or(l.Event(), "-"), l.State, waiting(l.Figures, l.Figures.Backlog), age(l.Figures), waiting(l.Figures, l.Figures.DLQ), waiting(l.Figures, l.Figures.RuleDLQ),
			drifted(l.Drift), since, reason,
		})
	}
	return cli.Table(out, []string{"SUBSCRIPTION", "EVENT", "STATE", "BACKLOG", "OLDEST", "DLQ", "RULE DLQ", "DRIFT", "SINCE", "REASON"}, rows)
}

// tellUnknown warns of figures that CloudWatch did not tell.
func tellUnknown(out io.Writer, f subscriptions.Figures) {
	if f.Unknown != nil {
		fmt.Fprintln(out, "warning: CloudWatch does not tell what waits, which is shown as -:", f.Unknown)
	}
}

// waiting is a number of messages, if it is known.
func waiting(f subscriptions.Figures, n int) string {
	if f.Unknown != nil && !f.Exact {
		return "-"
	}
	return strconv.Itoa(n)
}

// age is that of the oldest event that waits. CloudWatch's is the most of a minute,
// which is still told when nothing waits any more.
func age(f subscriptions.Figures) string {
	if f.OldestAge == 0 || f.Backlog+f.InFlight == 0 {
		return "-"
	}
	return f.OldestAge.String()
}

// drifted names in what a subscription differs from its manifest.
func drifted(drift []subscriptions.Difference) string {
	var what []string
	for _, d := range drift {
		name, _, _ := strings.Cut(d.What, ":")
		what = append(what, name)
	}
	return cmp.Or(strings.Join(what, ", "), "-")
}

func newSubscriptionsGet(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "get NAME",
		Short: "Show one subscription: settings, state, who stopped it and why, what waits, drift",
		Long: `Show one subscription: its settings, its state, who stopped it and why, what waits
in its queues, and in what it differs from its function.json.

SQS is asked for the numbers of messages, which it calls approximate. The age of
the oldest is CloudWatch's, up to some minutes old; an event that was received
three times or more does not count for it.`,
		Example:           "  penstock subscriptions get withdrawal-fee/withdrawals",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSubscriptions(cmd.Context(), common)
			if err != nil {
				return err
			}
			sub, err := s.Find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			live, err := s.Get(cmd.Context(), sub)
			if err != nil {
				return s.Explain(err)
			}
			tellUnknown(cmd.ErrOrStderr(), live.Figures)
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), showSubscription(live))
			}
			if err := getSubscription(cmd.OutOrStdout(), live); err != nil {
				return err
			}
			for _, next := range nextFor(live, s.Env.Name) {
				fmt.Fprintln(cmd.ErrOrStderr(), "next:", next)
			}
			return nil
		},
	}
}

// nextFor are the commands that help with what a subscription shows.
func nextFor(l subscriptions.Live, env string) []string {
	var next []string
	if l.Stop != nil {
		next = append(next, fmt.Sprintf("once the cause is mended, penstock subscriptions enable %s --reason WHY%s", l, envFlag(env)))
	}
	if l.Figures.DLQ+l.Figures.RuleDLQ > 0 {
		next = append(next, fmt.Sprintf("penstock dlq list %s%s", l, envFlag(env)))
	}
	if len(l.Drift) > 0 && l.Subscription.Manifest != nil {
		next = append(next, fmt.Sprintf("penstock functions deploy %s%s brings it to what its manifest says", l.Function, envFlag(env)))
	}
	return next
}

func getSubscription(out io.Writer, l subscriptions.Live) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) { fmt.Fprintf(w, what+"\t"+format+"\n", args...) }
	fmt.Fprintf(w, "%s receives %s: %s\n", l, cmp.Or(l.Event(), "what no manifest tells"), l.State)
	if s := l.Stop; s != nil {
		line("since", "%s", s.Since.Format(time.RFC3339))
		line("by", "%s", s.By)
		line("reason", "%s", s.Reason)
		if !s.ProbeAt.IsZero() {
			line("tried again", "%s", s.ProbeAt.Format(time.RFC3339))
		}
	}
	if l.Deleted() {
		line("since", "%s", l.DeletedAt.UTC().Format(time.RFC3339))
		line("its queue", "collects events until %s; created again before, it resumes with them", l.Ends().UTC().Format(time.RFC3339))
	}
	f := l.Figures
	line("backlog", "%d, and %d in flight", f.Backlog, f.InFlight)
	line("oldest", "%s", age(f))
	line("DLQ", "%d", f.DLQ)
	line("rule DLQ", "%d", f.RuleDLQ)
	if m := l.Subscription.Manifest; m != nil {
		line("batch", "%d or %d s, up to %d at once", m.BatchSize, m.BatchWindowSeconds, l.MaxConcurrency)
		line("receives", "%d, then it goes to the DLQ", m.MaxReceiveCount)
		if m.Filter != nil {
			line("filter", "%s", compact(m.Filter))
		}
		if m.Receive == manifest.Notifications {
			line("given", "notifications")
		}
		if m.Breaker.Off {
			line("breaker", "off")
		}
	}
	line("queue", "%s", l.Queue)
	for _, d := range l.Drift {
		line("drift", "%s", d)
	}
	return w.Flush()
}
