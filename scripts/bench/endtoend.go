package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

// numbered is the event that recorders take, see the command recorder: a usual
// event with a number.
type numbered struct {
	Number uint64 `json:"number"`
	published
}

// stream publishes numbered events to a project of recorders, and knows what
// became of each.
type stream struct {
	fleet  *fleet
	client *eventbridge.Client

	next    atomic.Uint64
	handled atomic.Int64 // as often as they were, see watch
}

// newStream starts the project of one recorder.
func (b *bench) newStream(ctx context.Context, r recorder) (*stream, *devtest.Dev, error) {
	fleet, err := b.newFleet(r)
	if err != nil {
		return nil, nil, err
	}
	dev, err := fleet.dev(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	return &stream{fleet: fleet, client: eventbridge.NewFromConfig(dev.AWS())}, dev, nil
}

// put publishes the next n events, at most ten, in one call, and returns the
// number of the first.
func (s *stream) put(ctx context.Context, n int) (first uint64, err error) {
	entries := make([]types.PutEventsRequestEntry, n)
	first = s.next.Add(uint64(n)) - uint64(n)
	for i := range entries {
		id := uuid.Must(uuid.NewV7()).String()
		detail, err := json.Marshal(struct {
			Metadata events.Metadata `json:"metadata"`
			Data     numbered        `json:"data"`
		}{events.Metadata{ID: id, CorrelationID: id, OccurredAt: time.Now().UTC()}, numbered{first + uint64(i), published{}.Schema().(published)}})
		if err != nil {
			return 0, err
		}
		entries[i] = types.PutEventsRequestEntry{
			EventBusName: aws.String(bus), Source: aws.String(recordedSource), DetailType: aws.String(recordedEvent), Detail: aws.String(string(detail)),
		}
	}
	out, err := s.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err == nil && out.FailedEntryCount > 0 {
		err = errors.New("the bus refused an event")
	}
	return first, err
}

// watch counts what was handled, until ctx ends.
func (s *stream) watch(ctx context.Context) error {
	const look = 5 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		info, err := os.Stat(s.fleet.records)
		if err != nil {
			return err
		}
		s.handled.Store(info.Size() / recordBytes)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// recordBytes is how long a recorder's record is: a number and a time.
const recordBytes = 16

// times returns when each event was handled, by its number, the first time. It
// waits until all are.
func (s *stream) times(ctx context.Context) ([]time.Time, error) {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		data, err := os.ReadFile(s.fleet.records)
		if err != nil {
			return nil, err
		}
		times := make([]time.Time, s.next.Load())
		missing := len(times)
		for ; len(data) >= recordBytes; data = data[recordBytes:] {
			n, at := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
			if n >= uint64(len(times)) {
				return nil, fmt.Errorf("event %d was handled and never published", n)
			}
			if times[n].IsZero() {
				times[n] = time.Unix(0, int64(at))
				missing--
			}
		}
		if missing == 0 {
			return times, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d events were not handled within %v", missing, len(times), patience)
		}
	}
}

// endToEnd measures how many events a second pass through the whole
// environment while clients publish as many as it takes.
func endToEnd(ctx context.Context, b *bench) error {
	s, dev, err := b.newStream(ctx, recorder{"bulk", 500, 1})
	if err != nil {
		return err
	}
	defer dev.Kill()
	const (
		clients = 8
		perCall = 10
		ahead   = 10_000 // so many events are not yet handled, at most
	)
	running, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return s.watch(running) })
	for range clients {
		group.Go(func() error {
			for running.Err() == nil {
				if int64(s.next.Load())-s.handled.Load() > ahead {
					pause(running, time.Millisecond)
					continue
				}
				// What was begun is finished, so that it is known to be published.
				if _, err := s.put(ctx, perCall); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// A round has many batches, since they come in whole ones.
	round := 4 * b.scale.round
	var rates []float64
	last, lastAt := int64(0), time.Now()
	for i := range b.scale.rounds + 1 {
		if !pause(running, round) {
			break
		}
		now, at := s.handled.Load(), time.Now()
		if i > 0 {
			rates = append(rates, float64(now-last)/at.Sub(lastAt).Seconds())
		}
		last, lastAt = now, at
	}
	stop()
	if err := group.Wait(); err != nil {
		return err
	}
	if _, err := s.times(ctx); err != nil { // that none was lost is part of it
		return err
	}
	b.report.add(result{Name: "end_to_end", Value: quantile(rates, 0.5), Unit: "1/s", Goal: "≥ 5000"})
	return nil
}

// endToEndLatency measures how long an event takes through the environment that
// is not at its limits.
func endToEndLatency(ctx context.Context, b *bench) error {
	s, dev, err := b.newStream(ctx, recorder{"prompt", 10, 0})
	if err != nil {
		return err
	}
	defer dev.Kill()
	const rate = 500 // a second
	warmUp := int(rate * b.scale.round.Seconds())
	total := warmUp * (b.scale.rounds + 1)
	began := make([]time.Time, total)
	var mu sync.Mutex
	group, running := errgroup.WithContext(ctx)
	start := time.Now()
	for i := range total {
		due := start.Add(time.Duration(i) * time.Second / rate)
		if !pause(running, time.Until(due)) {
			break
		}
		group.Go(func() error {
			n, err := s.put(running, 1)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			began[n] = due // a late start counts, too
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	times, err := s.times(ctx)
	if err != nil {
		return err
	}
	var took []time.Duration
	for i, at := range times[:total] {
		if began[i].Sub(start) >= time.Duration(warmUp)*time.Second/rate {
			took = append(took, at.Sub(began[i]))
		}
	}
	milliseconds := func(part float64) float64 { return quantile(took, part).Seconds() * 1000 }
	b.note("  half within %s ms, the longest %s ms", strconv.FormatFloat(milliseconds(0.5), 'f', 1, 64), strconv.FormatFloat(milliseconds(1), 'f', 1, 64))
	b.report.add(result{Name: "end_to_end_p99", Value: milliseconds(0.99), Unit: "ms", Goal: "< 50"})
	return nil
}

// pause waits, and reports whether ctx went on meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
