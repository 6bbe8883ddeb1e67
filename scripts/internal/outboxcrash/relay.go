package outboxcrash

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// relay moves events until ctx ends.
func relay(ctx context.Context, s Spec, tell func(line)) error {
	queue, closeQueue, err := openQueue(ctx, s)
	if err != nil {
		return err
	}
	defer closeQueue()
	var bus outbox.Bus = telling{s.publisher(), tell}
	switch s.Fault {
	case DropsRefused:
		bus = dropping{bus}
	case RemovesFirst:
		queue = hasty{queue}
	}
	tell(line{What: "ready"})
	poller := &outbox.Poller{Bus: bus, Queue: queue, Batch: 40, PollInterval: 100 * time.Millisecond, MaxBackoff: time.Second}
	poller.Run(ctx)
	return nil
}

// telling tells when it sends.
type telling struct {
	outbox.Bus
	tell func(line)
}

func (b telling) PutEntries(ctx context.Context, entries []events.Entry) error {
	b.tell(line{What: "sending"})
	defer b.tell(line{What: "sent"})
	return b.Bus.PutEntries(ctx, entries)
}

// dropping is broken: it takes what the bus has not for sent.
type dropping struct{ outbox.Bus }

func (b dropping) PutEntries(ctx context.Context, entries []events.Entry) error {
	_ = b.Bus.PutEntries(ctx, entries)
	return nil
}

// hasty is broken: what is taken from it is removed at once.
type hasty struct{ outbox.Queue }

func (q hasty) Take(ctx context.Context, n int) (outbox.Claim, error) {
	claim, err := q.Queue.Take(ctx, n)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, m := range claim.Messages() {
		keys = append(keys, m.Key)
	}
	return settled{claim}, claim.Settle(ctx, keys, claim.Unreadable())
}

type settled struct{ outbox.Claim }

func (settled) Settle(context.Context, []string, []outbox.Refusal) error { return nil }
