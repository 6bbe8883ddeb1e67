package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

const (
	// looked is how many messages of a DLQ `dlq list` looks at by default, and shown
	// how many `dlq show` does.
	looked = 1000
	shown  = 100
)

// howReasons is told by several commands.
const howReasons = `Why an event was given up is said by its message, where its function sent it
there or EventBridge did; of a message that SQS moved after maxReceiveCount
receives it is read in the function's log. A function that crashed, or ran out of
time, has left no line there, and then the reason is not known.`

func newDLQList(common *cli.Flags) *cobra.Command {
	var pick pickFlags
	cmd := &cobra.Command{
		Use:   "list [NAME]",
		Short: "List what is in the DLQs, by reason",
		Long: `List what is in the DLQs of all subscriptions, or of one, grouped by reason. The *
in a reason stands for what each has of its own; --reason takes it as it is. SENT
is when the oldest was sent: to the DLQ by its function, or to the queue if SQS
moved it.

` + howReasons,
		Example: `  penstock dlq list
  penstock dlq list withdrawal-fee/withdrawals --newer-than 1h
  penstock dlq list withdrawal-fee/withdrawals --limit 20000 --output json`,
		Args:              cobra.MaximumNArgs(1),
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
			l := dlqList{dlqs: d, walk: dlq.Walk{Limit: pick.limit, Chunk: 100}, filter: filter, note: noter(cmd)}
			all := []listedDLQ{}
			for _, q := range queues {
				listed, err := l.list(cmd.Context(), q)
				if err != nil {
					return d.Explain(err)
				}
				all = append(all, listed)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), all)
			}
			return printDLQs(cmd, all)
		},
	}
	pick.add(cmd, looked)
	return cmd
}

// ownedDLQ is a DLQ and whose it is.
type ownedDLQ struct {
	*dlq.Queue
	owner subscriptions.Subscription
}

// toList opens the DLQs of the subscription that is named, or all that are not
// empty.
func (d *dlqs) toList(ctx context.Context, args []string, kinds []dlq.Kind) (queues []ownedDLQ, err error) {
	if len(args) > 0 {
		owner, err := d.Find(ctx, args[0])
		if err != nil {
			return nil, err
		}
		opened, err := d.open(ctx, owner, kinds)
		for _, q := range opened {
			queues = append(queues, ownedDLQ{q, owner})
		}
		return queues, err
	}
	var (
		mu    sync.Mutex
		calls sync.WaitGroup
		slots = make(chan struct{}, 10)
		errs  []error
	)
	for _, owner := range d.Declared {
		for _, kind := range kinds {
			slots <- struct{}{}
			calls.Go(func() {
				defer func() { <-slots }()
				q, err := dlq.Open(ctx, d.sqs, kind, dlqName(owner, kind))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, dlq.ErrNoQueue): // it is not deployed
				case err != nil:
					errs = append(errs, err)
				case q.Depth.Total() > 0:
					queues = append(queues, ownedDLQ{q, owner})
				}
			})
		}
	}
	calls.Wait()
	slices.SortFunc(queues, func(a, b ownedDLQ) int {
		return cmp.Or(strings.Compare(a.owner.String(), b.owner.String()), cmp.Compare(a.Kind, b.Kind))
	})
	if len(errs) > 0 {
		return nil, d.Explain(errs[0])
	}
	return queues, nil
}

// listedDLQ is a DLQ as programs see it.
type listedDLQ struct {
	Subscription string   `json:"subscription"`
	Queue        dlq.Kind `json:"queue"`
	Name         string   `json:"name"`
	// Looked is how many messages were looked at, and Unseen about how many more
	// there are.
	Looked int `json:"looked"`
	Unseen int `json:"unseen"`
	// UnknownReasons is how many messages have a reason that was not found.
	UnknownReasons int         `json:"unknownReasons"`
	Groups         []dlq.Group `json:"groups"`
}

// dlqList reads DLQs.
type dlqList struct {
	*dlqs
	walk   dlq.Walk
	filter dlq.Filter
	note   func(string, ...any)
}

// failures reads what the filter picks of a DLQ, oldest first. whole has it keep
// attributes and bodies.
func (l *dlqList) failures(ctx context.Context, q ownedDLQ, whole bool) (failures []dlq.Failure, seen dlq.Seen, err error) {
	history := l.history(q.owner)
	picker := dlq.Picker{Filter: l.filter, History: history, Note: l.note}
	seen, err = q.Walk(ctx, l.walk, func(ctx context.Context, batch []*dlq.Message) ([]*dlq.Message, error) {
		if err := history.Read(ctx, batch); errors.Is(err, dlq.ErrLongLog) {
			l.note("%s: %v", q.owner, err)
		} else if err != nil {
			return nil, err
		}
		picked, err := picker.Pick(ctx, batch)
		for _, m := range picked {
			f := dlq.Describe(m, history)
			if !whole {
				f.Attributes, f.Body = nil, nil
			}
			failures = append(failures, f)
		}
		if n := len(l.filter.IDs); err == nil && n > 0 && len(failures) >= n {
			err = dlq.ErrEnough
		}
		return nil, err
	})
	slices.SortStableFunc(failures, func(a, b dlq.Failure) int { return a.SentAt.Compare(b.SentAt) })
	return failures, seen, err
}

func (l *dlqList) list(ctx context.Context, q ownedDLQ) (listedDLQ, error) {
	failures, seen, err := l.failures(ctx, q, false)
	if err != nil {
		return listedDLQ{}, err
	}
	tellUnseen(l.note, q.Queue, seen)
	out := listedDLQ{
		Subscription: q.owner.String(), Queue: q.Kind, Name: q.Name, Looked: seen.Messages, Unseen: seen.Unseen, Groups: dlq.Groups(failures),
	}
	for _, f := range failures {
		if f.Reason == "" {
			out.UnknownReasons++
		}
	}
	return out, nil
}

func printDLQs(cmd *cobra.Command, all []listedDLQ) error {
	var rows [][]string
	unknown := 0
	for _, d := range all {
		rows = append(rows, groupRows(d.Subscription, d.Groups)...)
		unknown += d.UnknownReasons
	}
	if len(rows) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing is in the DLQs")
		return nil
	}
	if unknown > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "reasons that were not found: %d (the log has no outcome of these: their function crashed or ran out of time, or it was moments ago, or too long ago for the log)\n", unknown)
	}
	return cli.Table(cmd.OutOrStdout(), groupHeader, rows)
}

var groupHeader = []string{"SUBSCRIPTION", "QUEUE", "EVENTS", "REDRIVEN", "TYPE", "SENT", "REASON"}

func groupRows(subscription string, groups []dlq.Group) (rows [][]string) {
	for _, g := range groups {
		rows = append(rows, []string{subscription, string(g.Queue), fmt.Sprint(g.Count), fmt.Sprint(g.Redriven), cmp.Or(g.Type, "-"),
			g.Oldest.Format(time.RFC3339), brief(cmp.Or(g.Reason, "-"), 120)})
	}
	return rows
}
