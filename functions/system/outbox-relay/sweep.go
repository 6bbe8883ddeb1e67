package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/penstock-dev/penstock/events/outbox"
)

const (
	// sweepAfter is how long an item is left to the stream, which has it within
	// a second.
	sweepAfter = time.Minute
	// sweepMargin is how long before the function's timeout a sweep stops
	// reading, so that what it has under way is finished.
	sweepMargin = 10 * time.Second
)

// backlog is what a sweep has found in the table.
type backlog struct {
	events   int           // that wait
	oldest   time.Duration // the age of the oldest of them
	setAside int           // events that were set aside, by this sweep or before
	complete bool          // whether the whole table was looked at
}

// sweep looks through the table, page by page, and sends what has waited for
// longer than sweepAfter. It may send what the stream's batch is sending at the
// same time: the same events, with the same ids; neither removes what was not
// sent. It stops before the function's time is up, and if the bus does not take
// everything, since the next sweep is soon enough; then it goes on from there.
func (r *relay) sweep(ctx context.Context) error {
	start := time.Now()
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = start.Add(time.Minute) // as Lambda's
	}
	found := backlog{complete: r.next == ""}
	var total result
	for {
		items, next, err := r.store.Page(ctx, r.next)
		if err != nil {
			return err
		}
		var messages []outbox.Message
		var bad []outbox.Refusal
		for _, item := range items {
			age := max(start.Sub(item.EnqueuedAt), 0)
			switch {
			case item.SetAside != "":
				found.setAside += size(item.Message)
				continue
			case age < r.after:
			case item.Err != nil:
				bad = append(bad, outbox.Refusal{Message: item.Message, Reason: item.Err.Error()})
			default:
				messages = append(messages, item.Message)
			}
			found.events += size(item.Message)
			if !item.EnqueuedAt.IsZero() {
				found.oldest = max(found.oldest, age)
			}
		}
		out := r.send(ctx, messages, bad)
		total.sent += out.sent
		total.failed += out.failed
		total.setAside += out.setAside
		total.err = out.err
		// What failed comes when all other pages had their turn: a page that
		// fails every time keeps no other waiting.
		if r.next = next; next == "" || out.failed > 0 || time.Until(deadline) < sweepMargin {
			break
		}
	}
	found.complete = found.complete && r.next == ""
	found.setAside += total.setAside
	r.report(ctx, "swept", total, time.Since(start), &found)
	return nil
}

func (b *backlog) attributes() []slog.Attr {
	return []slog.Attr{
		slog.Int(metricBacklog, b.events),
		slog.Float64(metricOldestAge, b.oldest.Seconds()),
		slog.Int(metricSetAside, b.setAside),
		slog.Bool("complete", b.complete),
	}
}
