package handler

import (
	"context"
	"log/slog"
)

type loggerKey struct{}

func withLogger(ctx context.Context, l *slog.Logger) context.Context {
	return context.WithValue(ctx, loggerKey{}, l)
}

// Logger returns the logger for what ctx is about: its lines name the
// invocation, the function and, in a context of one event, the event, with the
// attribute names of the outcome record. Outside of an invocation it is
// slog.Default().
func Logger(ctx context.Context) *slog.Logger {
	l := invocationLogger(ctx)
	if r, ok := ctx.Value(recordKey{}).(*Record); ok {
		// Made only when asked for: most events log nothing of their own.
		l = slog.New(l.Handler().WithAttrs(r.attrs()))
	}
	return l
}

// invocationLogger is the logger without the event's attributes.
func invocationLogger(ctx context.Context) *slog.Logger {
	if l, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return l
	}
	return slog.Default()
}
