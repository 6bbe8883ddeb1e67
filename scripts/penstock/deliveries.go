package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func newDeliveries(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "The log of what was delivered to functions on HTTP, and delivering again",
		Long: `The log of what was delivered to functions on HTTP: each attempt with its request,
the start of its response, and what became of it. It holds no secret and no function
session. Attempts are kept for 14 days, or for what infra/environments.json says:
"webhooks": {"logDays": 30}.`,
	}
	cmd.AddCommand(newDeliveriesList(common), newDeliveriesShow(common), newDeliveriesResend(common))
	return cmd
}

// deliveryLog is the log of an environment, and the functions that it is of.
type deliveryLog struct {
	*cli.Target
	deliveries.Log
	functions []string
}

// openDeliveries opens the log, of one function or of all.
func openDeliveries(cmd *cobra.Command, common *cli.Flags, function string) (*deliveryLog, error) {
	t, err := common.Target(cmd.Context())
	if err != nil {
		return nil, err
	}
	all, err := manifest.Load(os.DirFS(t.Root))
	if err != nil {
		return nil, err
	}
	d := &deliveryLog{Target: t, Log: deliveries.Log{API: dynamodb.NewFromConfig(t.AWS), Table: t.Names.Table(names.DeliveriesTable)}}
	for _, f := range all {
		if f.Kind() == manifest.KindHTTP {
			d.functions = append(d.functions, f.Name)
		}
	}
	switch {
	case len(d.functions) == 0:
		return nil, cli.Misusef("the project has no function on HTTP: make one with `penstock functions create-http`")
	case function == "":
	case !slices.Contains(d.functions, function):
		return nil, cli.Unknown("function on HTTP", function, d.functions)
	default:
		d.functions = []string{function}
	}
	return d, nil
}

// explain says what to do about a log that is not there.
func (d *deliveryLog) explain(err error) error {
	if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		return fmt.Errorf("environment %s has no log of deliveries yet: deploy its data stack (in the local environment, start `penstock dev`)", d.Env.Name)
	}
	return d.Explain(err)
}

// attemptFlags say which attempts a list has.
type attemptFlags struct {
	event, outcome, status, from, to, page string
	limit                                  int
}

func (f *attemptFlags) query(functions []string, now time.Time) (q deliveries.Query, err error) {
	q = deliveries.Query{Functions: functions, Limit: f.limit, Page: f.page}
	if f.limit < 1 || f.limit > 1000 {
		return q, cli.Misusef("--limit %d: want 1 to 1000", f.limit)
	}
	if q.From, err = cli.ParseTime("--from", f.from, now); err != nil {
		return q, err
	}
	q.To = now.Add(time.Minute) // clocks differ
	if f.to != "" {
		if q.To, err = cli.ParseTime("--to", f.to, now); err != nil {
			return q, err
		}
	}
	if !q.From.Before(q.To) {
		return q, cli.Misusef("--from %s is not before --to %s", f.from, f.to)
	}
	if f.outcome != "" {
		o := deliveries.Outcome(f.outcome)
		if !slices.Contains(deliveries.Outcomes, o) {
			return q, cli.Misusef("--outcome %q: want one of %v", f.outcome, deliveries.Outcomes)
		}
		q.Outcomes = []deliveries.Outcome{o}
	}
	q.Keep, err = statusFilter(f.status)
	return q, err
}

// statusFilter keeps the attempts whose response had a status: 503, 5xx, or none.
func statusFilter(text string) (func(deliveries.Attempt) bool, error) {
	least, most := 0, 0
	class, isClass := strings.CutSuffix(text, "xx")
	n, err := strconv.Atoi(class)
	switch {
	case text == "":
		return nil, nil
	case text == "none":
	case isClass && err == nil && n >= 1 && n <= 5:
		least, most = 100*n, 100*n+99
	case !isClass && err == nil && n >= 100 && n <= 999:
		least, most = n, n
	default:
		return nil, cli.Misusef(`--status %q: want a status such as 503, a class such as 5xx, or "none" for those without a response`, text)
	}
	return func(a deliveries.Attempt) bool { return a.Status >= least && a.Status <= most }, nil
}

func newDeliveriesList(common *cli.Flags) *cobra.Command {
	var f attemptFlags
	cmd := &cobra.Command{
		Use:   "list [FUNCTION]",
		Short: "List attempts to deliver, the newest first",
		Long: `List the attempts to deliver events to functions on HTTP, or to one of them, the
newest first: of the last 24 hours, unless --from says otherwise. NEXT is when an
event is tried again at the earliest.`,
		Example: `  penstock deliveries list
  penstock deliveries list order-hook --outcome failed --from 7d
  penstock deliveries list --status 5xx --limit 200 --output json
  penstock deliveries list --event 0197a0b1-2c3d-7e4f-8a5b-6c7d8e9f0a1b`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDeliveries(cmd, common, strings.Join(args, ""))
			if err != nil {
				return err
			}
			q, err := f.query(d.functions, time.Now())
			if err != nil {
				return err
			}
			var page []deliveries.Attempt
			next := ""
			if f.event != "" {
				page, err = d.OfEvent(cmd.Context(), d.functions, f.event)
				slices.Reverse(page)
				page = slices.DeleteFunc(page, func(a deliveries.Attempt) bool {
					return len(q.Outcomes) > 0 && !slices.Contains(q.Outcomes, a.Outcome) || q.Keep != nil && !q.Keep(a)
				})
			} else {
				page, next, err = d.List(cmd.Context(), q)
			}
			if err != nil {
				return d.explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), struct {
					Attempts []deliveries.Attempt `json:"attempts"`
					Next     string               `json:"next,omitempty"`
				}{append([]deliveries.Attempt{}, page...), next})
			}
			var rows [][]string
			for _, a := range page {
				wait := "-"
				if !a.Next.IsZero() {
					wait = a.Next.Format(time.RFC3339)
				}
				rows = append(rows, []string{a.At.Format("2006-01-02T15:04:05.000Z07:00"), a.Function + "/" + a.Subscription, a.Event, strconv.Itoa(a.Number), string(a.Outcome), statusText(a.Status), duration(a), wait})
			}
			if err := cli.Table(cmd.OutOrStdout(), []string{"TIME", "SUBSCRIPTION", "EVENT", "ATTEMPT", "OUTCOME", "STATUS", "TOOK", "NEXT"}, rows); err != nil {
				return err
			}
			if next != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more: add --page '%s'\n", next)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.event, "event", "", "only of the event of this `id`, whatever its time")
	flags.StringVar(&f.outcome, "outcome", "", "only with this `outcome`: delivered, retrying, or failed for good")
	flags.StringVar(&f.status, "status", "", "only with this `status` of the response: 503, 5xx, or none")
	flags.StringVar(&f.from, "from", "24h", "from this `time` on: 2h back, 7d, or 2026-03-02T09:00:00Z")
	flags.StringVar(&f.to, "to", "", "before this `time`")
	flags.IntVar(&f.limit, "limit", 50, "at most so many `attempts`, 1 to 1000")
	flags.StringVar(&f.page, "page", "", "go on behind what a list said there is more of")
	for flag, values := range map[string][]string{"outcome": {"delivered", "retrying", "failed"}, "status": {"2xx", "4xx", "5xx", "none"}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

func statusText(status int) string {
	if status == 0 {
		return "-"
	}
	return strconv.Itoa(status)
}

func duration(a deliveries.Attempt) string { return a.Duration.Round(time.Millisecond).String() }

func newDeliveriesShow(common *cli.Flags) *cobra.Command {
	var function string
	cmd := &cobra.Command{
		Use:   "show EVENT",
		Short: "Show every attempt to deliver an event, with requests and responses",
		Long: `Show every attempt to deliver an event, the oldest first: the request without its
secrets, and the start of the response.`,
		Example:           `  penstock deliveries show 0197a0b1-2c3d-7e4f-8a5b-6c7d8e9f0a1b`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDeliveries(cmd, common, function)
			if err != nil {
				return err
			}
			all, err := d.OfEvent(cmd.Context(), d.functions, args[0])
			if err != nil {
				return d.explain(err)
			}
			if len(all) == 0 {
				return fmt.Errorf("there is no attempt to deliver event %s to %s in environment %s: its id is wrong, its attempts have expired, or it is still in its queue", args[0], strings.Join(d.functions, ", "), d.Env.Name)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), all)
			}
			out := cmd.OutOrStdout()
			for i, a := range all {
				if i > 0 {
					fmt.Fprintln(out)
				}
				fmt.Fprintf(out, "%s  %s/%s  attempt %d: %s\n", a.At.Format(time.RFC3339Nano), a.Function, a.Subscription, a.Number, a.Outcome)
				line := func(name, format string, args ...any) {
					fmt.Fprintf(out, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
				}
				line("event", "%s %s", a.Type, a.Event)
				line("took", "%s", duration(a))
				if a.Error != "" {
					line("error", "%s", a.Error)
				}
				if !a.Next.IsZero() {
					line("next", "%s, at the earliest", a.Next.Format(time.RFC3339))
				}
				line("POST", "%s", a.Request.URL)
				for _, name := range slices.Sorted(maps.Keys(a.Request.Header)) {
					line("", "%s: %s", name, a.Request.Header[name])
				}
				line("", "%s", a.Request.Body)
				if !a.Request.Whole() && a.Request.Bytes > 0 {
					line("", "(the start of %d bytes)", a.Request.Bytes)
				}
				if a.Status != 0 {
					line("response", "%d %s  %s", a.Status, http.StatusText(a.Status), a.Response.ContentType)
					body := cmp.Or(a.Response.Body, "(empty)")
					for text := range strings.Lines(body) {
						line("", "%q", strings.TrimRight(text, "\n"))
					}
					if a.Response.Truncated {
						line("", "(there was more)")
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&function, "function", "", "only to the function of this `name`")
	_ = cmd.RegisterFlagCompletionFunc("function", completeFunctions)
	return cmd
}
