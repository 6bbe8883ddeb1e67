package handler

// Records calls h with all records of a batch that no other route of the function
// takes, of whatever event types; their data is not decoded. It is for programs
// that know events by their JSON alone. The error of a record that failed counts
// as that of a function: see [Permanent], [RetryAfter], and [ErrNotStarted] for
// one that h had no time for.
//
// As with [Batch], h gets a context that ends a margin before the invocation does,
// and uses [Record.Context] for what it does on behalf of one event; a panic fails
// the whole batch. Records panics for the option Concurrency.
func Records(h Handler, opts ...Option) Route {
	o := newOptions(opts)
	if o.concurrency != 0 {
		panic("handler: Records makes one call for all records: the option Concurrency is for Each")
	}
	return Route{handler: chain(h, stack(o)...)}
}
