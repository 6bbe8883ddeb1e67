package handler

import (
	"context"
	"fmt"
	"runtime/debug"
)

// recoverPanic makes of a panic the failure of the records under way, and logs
// its stack.
func recoverPanic(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, records []*Record) (failed *Failures) {
		defer func() {
			if v := recover(); v != nil {
				err := fmt.Errorf("panic: %v", v)
				Logger(ctx).ErrorContext(ctx, "panic", "reason", err.Error(), "stack", string(debug.Stack()))
				failed = failAll(records, err)
			}
		}()
		return next.Handle(ctx, records)
	})
}
