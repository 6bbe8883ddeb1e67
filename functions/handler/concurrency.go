package handler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

const defaultConcurrency = 10

// Concurrency sets how many events of a batch [Each] handles at once, at least
// 1. The default is 10: the events of a batch mostly wait for the network.
func Concurrency(n int) Option {
	if n < 1 {
		panic(fmt.Sprintf("handler: Concurrency(%d): must be at least 1", n))
	}
	return func(o *options) { o.concurrency = n }
}

// errUnfinished is the reason of an event whose goroutine ended under it.
var errUnfinished = errors.New("the function ended its goroutine (runtime.Goexit)")

// spread hands the records of a batch to next one by one, n at once.
func spread(n int) Middleware {
	return func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
			errs := make([]error, len(records))
			for i := range errs {
				// Until next has returned for it, a record is not handled.
				errs[i] = errUnfinished
			}
			var (
				taken   atomic.Int64
				workers sync.WaitGroup
			)
			for range min(n, len(records)) {
				workers.Go(func() {
					for i := int(taken.Add(1)) - 1; i < len(records); i = int(taken.Add(1)) - 1 {
						r := records[i]
						errs[i] = next.Handle(r.Context(ctx), records[i:i+1:i+1]).Of(r)
					}
				})
			}
			workers.Wait()

			failed := new(Failures)
			for i, r := range records {
				failed.Add(r, errs[i])
			}
			return failed
		})
	}
}
