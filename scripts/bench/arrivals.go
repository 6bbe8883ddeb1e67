package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events/eventbus"
)

// arrivals is a client that both sides publish with, and that notes when each
// event was handed to PutEvents, once the bus has accepted it.
type arrivals struct {
	eventbus.API

	mu     sync.Mutex
	called map[string]time.Time // by metadata.id
	want   int
	all    chan struct{}
}

// expect forgets what has arrived, and returns what is closed when n events
// have.
func (a *arrivals) expect(n int) (all <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.called, a.want, a.all = make(map[string]time.Time, n), n, make(chan struct{})
	return a.all
}

// PutEvents implements [eventbus.API].
func (a *arrivals) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, opts ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	called := time.Now()
	out, err := a.API.PutEvents(ctx, in, opts...)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.called)
	for i, e := range in.Entries {
		if out.Entries[i].ErrorCode != nil {
			continue
		}
		id := idOf(*e.Detail)
		if _, ok := a.called[id]; !ok {
			a.called[id] = called
		}
	}
	if before < a.want && len(a.called) >= a.want {
		close(a.all)
	}
	return out, nil
}

// idOf reads metadata.id from a detail, without decoding it: it comes first.
func idOf(detail string) string {
	_, rest, _ := strings.Cut(detail, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}
