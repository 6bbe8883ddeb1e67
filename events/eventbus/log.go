package eventbus

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/events"
)

// WithLogger has the publisher write one line for each call in which the bus
// accepted something: "published", with the bus and, for each entry accepted,
// the event's id and the id that EventBridge gave it, under which its targets,
// its archive and AWS's support know the event. Without this option the lines
// go to slog.Default at the level Debug.
func WithLogger(log *slog.Logger, level slog.Level) Option {
	return func(p *Publisher) { p.log, p.logLevel = log, level }
}

// published is an entry in a line of the log.
type published struct {
	ID      string `json:"id"`      // metadata.id
	EventID string `json:"eventId"` // what EventBridge returned
}

// logPublished writes the line of a call.
func (p *Publisher) logPublished(ctx context.Context, entries []events.Entry, results []types.PutEventsResultEntry) {
	log := p.log
	if log == nil {
		log = slog.Default()
	}
	if !log.Enabled(ctx, p.logLevel) {
		return
	}
	var accepted []published
	for i, e := range entries[:min(len(entries), len(results))] {
		if results[i].ErrorCode == nil {
			accepted = append(accepted, published{e.ID, deref(results[i].EventId)})
		}
	}
	if len(accepted) > 0 {
		log.LogAttrs(ctx, p.logLevel, "published", slog.String("bus", p.bus), slog.Any("events", accepted))
	}
}
