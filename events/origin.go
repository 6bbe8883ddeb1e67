package events

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Origin is on whose behalf, and as part of what, events happen. Set it once
// at the edge (an HTTP middleware, a command's main) with [WithOrigin].
type Origin struct {
	CorrelationID  string
	UserID         string
	OrganisationID string
	Traceparent    string // W3C Trace Context
}

type originKey struct{}

// WithOrigin returns a context whose events carry o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom returns the origin that ctx carries; the zero Origin if none.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// WithCause returns a context for handling one event that may be delivered
// again. What is stamped with it continues m's origin, names m as its cause,
// is one deeper, and takes an id derived from key, the event's type and its number among the
// events of that type made so far in this context: handled again, the same
// code makes the same events. key is the event key, which tells apart two
// subscriptions that handle the same event.
//
// The handler runtime sets it for every event. Code that publishes several
// events of one type from several goroutines numbers them in no fixed order,
// and should stamp them itself.
func WithCause(ctx context.Context, m Metadata, key string) context.Context {
	ctx = WithOrigin(ctx, Origin{
		CorrelationID:  m.CorrelationID,
		UserID:         m.UserID,
		OrganisationID: m.OrganisationID,
		Traceparent:    m.Traceparent,
	})
	return context.WithValue(ctx, causeKey{}, &cause{id: m.ID, depth: m.Depth, key: key, at: m.OccurredAt})
}

type causeKey struct{}

// cause is the event being handled, and how many events it has caused so far.
type cause struct {
	id    string
	depth int
	key   string
	at    time.Time

	mu      sync.Mutex
	count   map[Type]int
	effects []Effect // the first maxEffects of them
	more    int      // those after
}

// Effect is an event that was stamped while another one was handled.
type Effect struct {
	Type Type
	ID   string
}

// maxEffects is how many effects of one event are remembered: so that they fit a
// line of a log.
const maxEffects = 50

// Effects returns what has been stamped so far in a context of [WithCause], in
// that order: the first 50, and how many more there were. Stamped does not mean
// published: a transaction may be rolled back.
func Effects(ctx context.Context) (first []Effect, more int) {
	c := causeFrom(ctx)
	if c == nil {
		return nil, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.effects), c.more
}

func causeFrom(ctx context.Context) *cause {
	c, _ := ctx.Value(causeKey{}).(*cause)
	return c
}

func (c *cause) derive(t Type) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[Type]int{}
	}
	n := c.count[t]
	c.count[t] = n + 1
	id := DeriveID(c.at, c.key, t, n)
	if len(c.effects) < maxEffects {
		c.effects = append(c.effects, Effect{t, id})
	} else {
		c.more++
	}
	return id
}
