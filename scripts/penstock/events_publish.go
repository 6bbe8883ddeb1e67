package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
)

// dataFlags say what the data of an event made by hand is.
type dataFlags struct {
	file string
	set  []string
}

func (f *dataFlags) add(cmd *cobra.Command, typeName func(args []string) string) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "data", "", "a `file` with the event's data, a JSON object (- is stdin); the type's sample if not given")
	flags.StringArrayVar(&f.set, "set", nil, "a field to change, `path=value`, as in amount=100 or allocations[0].quantity=5 (may be repeated)")
	_ = cmd.RegisterFlagCompletionFunc("set", func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return completePaths(typeName(args))
	})
}

// event makes the event: the sample or the file's data, edited. misfit is what
// the type's schema finds wrong with it. With anyField, --set may set a field
// that the type does not have.
func (f *dataFlags) event(in io.Reader, t *eventType, anyField bool) (event events.Event, misfit, err error) {
	data, from := t.sample, eventtypes.SampleFile(t.Type)
	if f.file != "" {
		if data, err = readInput("data", f.file, in); err != nil {
			return nil, nil, err
		}
		from = "--data " + f.file
	}
	open := t.open
	if anyField {
		open = func(string) bool { return true }
	}
	data, err = eventtypes.Edit(data, t.sample, f.set, open)
	if err != nil {
		return nil, nil, fmt.Errorf("%s of %s: %w", from, t, err)
	}
	err = t.types.ValidateStrict(t.Type, data)
	if violated, ok := errors.AsType[*schema.Error](err); ok {
		misfit, err = describeMisfit(violated), nil
	}
	return eventtypes.Raw{Type: t.Type, Code: t.code, Data: data}, misfit, err
}

// describeMisfit lists violations, one a line.
func describeMisfit(violated *schema.Error) error {
	var text strings.Builder
	fmt.Fprintf(&text, "this is no %s:", violated.Type)
	for _, v := range violated.Violations {
		fmt.Fprintf(&text, "\n  %v", v)
	}
	if violated.More > 0 {
		fmt.Fprintf(&text, "\n  and %d more", violated.More)
	}
	return errors.New(text.String())
}

// readInput reads the file that a flag names; - is stdin.
func readInput(flag, file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, cli.Misusef("--%s: %w", flag, err)
	}
	return data, nil
}

type publishFlags struct {
	dataFlags
	common     *cli.Flags
	count      int
	rate       float64
	noValidate bool
}

func newEventsPublish(common *cli.Flags) *cobra.Command {
	f := publishFlags{common: common}
	cmd := &cobra.Command{
		Use:   "publish TYPE",
		Short: "Publish events of a type, and print their ids",
		Long: `Publish events of a type to the environment's bus, and print their ids, one a
line; with --output json, one JSON object a line.

The data is the type's sample, or that of --data, changed by each --set. A path
is the fields' names with dots between them, and the index of a list in
brackets: allocations[0].quantity. ` + "`penstock events show TYPE`" + ` lists them. A value
is JSON, and text if it is not.

What the type's schema does not allow is refused before anything is sent, and so
is a field that it does not have; --no-validate sends it all the same.

Each event has an id of its own. What the bus does not accept is listed, and
the exit status is 1.`,
		Example: `  penstock events publish SAVINGS_WITHDRAWAL
  penstock events publish savings/SAVINGS_WITHDRAWAL --set amount=100 --set currency=CHF
  penstock events publish trading/TRADE_ALLOCATED --set 'allocations[1].quantity=7'
  penstock events publish SAVINGS_WITHDRAWAL --count 1000 --rate 50
  penstock events sample SAVINGS_WITHDRAWAL | penstock events publish SAVINGS_WITHDRAWAL --data -`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTypes,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd, func(args []string) string {
		if len(args) == 0 {
			return ""
		}
		return args[0]
	})
	cmd.Flags().IntVar(&f.count, "count", 1, "how many events to publish")
	cmd.Flags().Float64Var(&f.rate, "rate", 0, "so many `events` a second at most; 0 is as fast as it goes")
	cmd.Flags().BoolVar(&f.noValidate, "no-validate", false, "send data that violates the type's schema")
	return cmd
}

func (f *publishFlags) run(cmd *cobra.Command, typeName string) error {
	ctx := cmd.Context()
	switch {
	case f.count < 1:
		return cli.Misusef("--count %d: want at least 1", f.count)
	case !(f.rate >= 0 && f.rate <= maxRate):
		return cli.Misusef("--rate %v: want 0 to %d events per second", f.rate, maxRate)
	}
	target, err := f.common.Target(ctx)
	if err != nil {
		return err
	}
	t, err := findType(typeName)
	if err != nil {
		return err
	}
	event, misfit, err := f.event(cmd.InOrStdin(), t, f.noValidate)
	if err != nil {
		return err
	}
	if misfit != nil && !f.noValidate {
		return cli.Misusef("%w\n(penstock events show %s tells what it may be; --no-validate sends it as it is)", misfit, t)
	}
	if err := target.Guard(ctx); err != nil {
		return err
	}
	p := publication{
		publisher: eventbus.New(eventbridge.NewFromConfig(target.AWS), target.Names.Bus()),
		event:     event, count: f.count, rate: f.rate,
		published: f.printer(cmd.OutOrStdout()), notes: cmd.ErrOrStderr(),
	}
	if err := p.run(ctx); err != nil {
		return target.Explain(err)
	}
	return nil
}

// printer prints an event that was published.
func (f *publishFlags) printer(out io.Writer) func(events.Entry) error {
	if !f.common.JSON() {
		return func(e events.Entry) error {
			_, err := fmt.Fprintln(out, e.ID)
			return err
		}
	}
	encoder := json.NewEncoder(out)
	return func(e events.Entry) error {
		return encoder.Encode(struct {
			ID   string      `json:"id"`
			Type events.Type `json:"type"`
		}{e.ID, e.Type})
	}
}

const (
	maxRate = 100_000 // far above what a bus takes by default
	// maxChunk is how many events are stamped and sent together.
	maxChunk = 500
	// progressAfter is how often the progress is told.
	progressAfter = 5 * time.Second
)

// publication publishes one event many times, each with an id of its own.
type publication struct {
	publisher interface {
		PutEntries(context.Context, []events.Entry) error
	}
	event     events.Event
	count     int
	rate      float64 // per second; 0 has no limit
	published func(events.Entry) error
	notes     io.Writer // progress and failures
}

func (p *publication) run(ctx context.Context) error {
	begin := time.Now()
	told := begin
	sent, failed := 0, 0
	for sent < p.count {
		n, err := p.due(ctx, begin, sent)
		if err != nil {
			return fmt.Errorf("interrupted: %d of %d events were published", sent-failed, p.count)
		}
		f, err := p.send(ctx, n)
		sent, failed = sent+n, failed+f
		if err != nil {
			return err
		}
		if time.Since(told) >= progressAfter && sent < p.count {
			told = time.Now()
			fmt.Fprintf(p.notes, "%d of %d events, %.0f a second\n", sent, p.count, float64(sent)/time.Since(begin).Seconds())
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d events were not published", failed, p.count)
	}
	return nil
}

// due waits until the rate allows at least one more event, and returns how
// many it allows now. The event i is due i/rate seconds after the beginning.
func (p *publication) due(ctx context.Context, begin time.Time, sent int) (int, error) {
	left := min(p.count-sent, maxChunk)
	if p.rate == 0 {
		return left, ctx.Err()
	}
	next := begin.Add(time.Duration(float64(sent) / p.rate * float64(time.Second)))
	if wait := time.Until(next); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	allowed := int(time.Since(begin).Seconds()*p.rate) + 1 - sent
	return min(max(allowed, 1), left), ctx.Err()
}

// send publishes n events and returns how many of them failed. Its error means
// that there is no use in going on.
func (p *publication) send(ctx context.Context, n int) (int, error) {
	batch := make([]events.Event, n)
	for i := range batch {
		batch[i] = p.event
	}
	entries, err := events.StampAll(ctx, batch)
	if err != nil {
		return 0, cli.Misuse{Err: err} // the data is too large
	}
	failed := map[string]bool{}
	err = p.publisher.PutEntries(ctx, entries)
	var partial *events.PublishError
	switch {
	case errors.As(err, &partial):
		for _, f := range partial.Failed {
			failed[f.ID] = true
		}
	case err != nil:
		return n, err
	}
	for _, e := range entries {
		if failed[e.ID] {
			continue
		}
		if err := p.published(e); err != nil {
			return len(failed), err
		}
	}
	if len(failed) == n {
		return n, err // nothing passes: more of the same would not either
	}
	if partial != nil {
		for _, f := range partial.Failed {
			fmt.Fprintf(p.notes, "not published: %s %s (%s: %v)\n", f.Type, f.ID, f.Code, f.Err)
		}
	}
	return len(failed), nil
}
