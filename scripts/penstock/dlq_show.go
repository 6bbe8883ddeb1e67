package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

func newDLQShow(common *cli.Flags) *cobra.Command {
	var pick pickFlags
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show the events in a subscription's DLQs: why, since when, and what they say",
		Long: `Show the events in the DLQs of a subscription, oldest first: why each was given up,
how often its function received it, when it failed first and last, how often it
was brought back, and the whole event.

` + howReasons,
		Example: `  penstock dlq show withdrawal-fee/withdrawals
  penstock dlq show withdrawal-fee/withdrawals --id 01976e5a-8c00-7000-8000-000000000001
  penstock dlq show withdrawal-fee/withdrawals --reason 'no such account *' --output json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, kinds, err := pick.filter(cmd)
			if err != nil {
				return err
			}
			d, err := openDLQs(cmd.Context(), common)
			if err != nil {
				return err
			}
			queues, err := d.toList(cmd.Context(), args, kinds)
			if err != nil {
				return err
			}
			if len(filter.IDs) > 0 && !cmd.Flags().Changed("limit") {
				pick.limit = dlq.MaxHeld
			}
			l := dlqList{dlqs: d, walk: dlq.Walk{Limit: pick.limit, Chunk: 100}, filter: filter, note: noter(cmd)}
			all := []dlq.Failure{}
			for _, q := range queues {
				failures, seen, err := l.failures(cmd.Context(), q, true)
				if err != nil {
					return d.Explain(err)
				}
				tellUnseen(l.note, q.Queue, seen)
				all = append(all, failures...)
			}
			if common.JSON() {
				err = cli.JSON(cmd.OutOrStdout(), all)
			} else {
				err = printFailures(cmd.OutOrStdout(), all)
			}
			switch {
			case err == nil && len(all) == 0 && len(filter.IDs) > 0:
				return fmt.Errorf("nothing with the id %s is in the DLQs of %s", strings.Join(filter.IDs, " or "), args[0])
			case len(all) == 0:
				l.note("nothing of it is in the DLQs of %s", args[0])
			}
			return err
		},
	}
	pick.add(cmd, shown)
	return cmd
}

func printFailures(out io.Writer, failures []dlq.Failure) error {
	for i, f := range failures {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := printFailure(out, f); err != nil {
			return err
		}
	}
	return nil
}

// byWhom is who gave a message up, for people.
var byWhom = map[dlq.By]string{
	dlq.ByFunction:    "its function, which can never handle it",
	dlq.BySQS:         "SQS, since it failed too often",
	dlq.ByEventBridge: "EventBridge, which could not put it into the queue",
}

func printFailure(out io.Writer, f dlq.Failure) error {
	if f.EventID == "" {
		fmt.Fprintf(out, "no event, message %s\n", f.MessageID)
	} else {
		fmt.Fprintf(out, "%s %s\n", f.EventID, f.Type)
	}
	receives := fmt.Sprint(f.Receives)
	if f.By == dlq.ByEventBridge {
		receives = "0: it never reached the queue"
	}
	rows := [][2]string{
		{"reason", cmp.Or(f.Reason, "not found: the function's log has no outcome of it")},
		{"given up by", byWhom[f.By]},
		{"receives", receives},
		{"first failed", knownTime(f.FirstFailed)},
		{"last failed", knownTime(f.LastFailed)},
		{"occurred", knownTime(f.OccurredAt)},
		{"correlation", cmp.Or(f.CorrelationID, "-")},
		{"message", f.MessageID},
	}
	if f.Redrives > 0 {
		rows = slices.Insert(rows, 3, [2]string{"redriven", plural(f.Redrives, "time") + " before"})
	}
	told := []string{queue.Reason, queue.Receives, queue.Redrives, queue.FirstFailed, "ERROR_CODE", "ERROR_MESSAGE"}
	for _, name := range slices.Sorted(maps.Keys(f.Attributes)) {
		if !slices.Contains(told, name) {
			rows = append(rows, [2]string{strings.TrimPrefix(name, queue.Prefix), f.Attributes[name]})
		}
	}
	for _, row := range rows {
		fmt.Fprintf(out, "  %-12s  %s\n", row[0], strings.TrimRight(strings.ReplaceAll(indented(row[1]), "\n", "\n                "), " \n"))
	}
	var body bytes.Buffer
	if err := json.Indent(&body, f.Body, "  ", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "  %s\n", &body)
	return err
}

// indented is a text, on several lines if it is a JSON object or array.
func indented(text string) string {
	var out bytes.Buffer
	if (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) && json.Indent(&out, []byte(text), "", "  ") == nil {
		return out.String()
	}
	return text
}

// knownTime is a time for people; a hyphen for one that is not known.
func knownTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}
