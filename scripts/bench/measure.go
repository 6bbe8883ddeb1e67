package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// side is one of those that are compared.
type side struct {
	// prepare runs before each work and is not measured; nil is nothing.
	prepare func(context.Context) error
	// work does it once, and returns how many units that was.
	work func(context.Context) (units int, err error)
	// watch starts what work is timed with; nil is passing.
	watch func() stopwatch
}

// stopwatch tells how long it is since it was started.
type stopwatch func() time.Duration

// passing measures the time that passes.
func passing() stopwatch {
	started := time.Now()
	return func() time.Duration { return time.Since(started) }
}

// computing measures for how long this process has a processor. It is for work
// that computes and waits for nothing: who else uses the machine does not count.
func computing() stopwatch {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err) // it fails only for an argument that is none
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	started := used()
	return func() time.Duration { return used() - started }
}

// rates measures sides that take turns, and returns for each the median of its
// rounds, in units a second. A round repeats a side's work until it has lasted
// long enough; the first round of each warms up and does not count.
func (s scale) rates(ctx context.Context, sides ...side) ([]float64, error) {
	measured := make([][]float64, len(sides))
	// The order changes, since each finds the machine as the last has left it.
	order := rand.New(rand.NewPCG(1, 1))
	for round := range s.rounds + 1 {
		for _, i := range order.Perm(len(sides)) {
			rate, err := s.measure(ctx, sides[i])
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round, err)
			}
			if round > 0 {
				measured[i] = append(measured[i], rate)
			}
		}
	}
	medians := make([]float64, len(sides))
	for i, rounds := range measured {
		medians[i] = quantile(rounds, 0.5)
	}
	return medians, nil
}

// measure is one round of one side.
func (s scale) measure(ctx context.Context, one side) (rate float64, err error) {
	var (
		units int
		took  time.Duration
	)
	watch := one.watch
	if watch == nil {
		watch = passing
	}
	for units == 0 || took < s.round {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if one.prepare != nil {
			if err := one.prepare(ctx); err != nil {
				return 0, err
			}
		}
		elapsed := watch()
		n, err := one.work(ctx)
		took += elapsed()
		if err != nil {
			return 0, err
		}
		units += n
	}
	return float64(units) / took.Seconds(), nil
}

// quantile returns the value at or below which the given part of the values
// lies. It panics without values.
func quantile[V ~float64 | ~int64](values []V, part float64) V {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}
