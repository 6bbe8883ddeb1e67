package handler

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"time"
)

// levelVariable sets the least level that a function logs. The manifest gives
// it, among the function's variables.
const levelVariable = "LOG_LEVEL"

// newLogger is the logger that a function begins with: JSON, a line each.
// level is as slog writes it, in any case, with or without an offset: "debug",
// "INFO+2"; empty is Info.
func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var least slog.Level
	if level != "" {
		if err := least.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("handler: %s is %q: want debug, info, warn or error", levelVariable, level)
		}
	}
	whole := &wholeWrites{w: w}
	h := withContext(slog.NewJSONHandler(whole, &slog.HandlerOptions{Level: least}))
	h.plain = whole
	return slog.New(h), nil
}

// invocation is what log lines say of an invocation.
type invocation struct {
	logger *slog.Logger // whose lines say it already
	attrs  []slog.Attr
	plain  *plainLines // nil if slog writes all lines
}

type invocationKey struct{}

// invoked returns ctx for an invocation whose lines go to l.
func invoked(ctx context.Context, l *slog.Logger, requestID, function string) context.Context {
	i := &invocation{attrs: []slog.Attr{slog.String("requestId", requestID), slog.String("function", function)}}
	h := withContext(l.Handler())
	if h.plain != nil {
		i.plain = &plainLines{h.plain, i.attrs}
	}
	h = h.with(i.attrs)
	h.namesInvocation = true
	i.logger = slog.New(h)
	return context.WithValue(ctx, invocationKey{}, i)
}

// Logger returns the logger for what ctx is about: its lines name the
// invocation, the function and, in a context of one event, the event, with the
// attribute names of the outcome record. Outside of an invocation it is
// slog.Default().
//
// On Lambda slog.Default() writes the same lines, if it is given the context:
// slog.InfoContext(ctx, …) names the event in code that knows nothing of this
// package.
func Logger(ctx context.Context) *slog.Logger {
	l := invocationLogger(ctx)
	r, ok := ctx.Value(recordKey{}).(*Record)
	if !ok {
		return l
	}
	// Made only when asked for: most events log nothing of their own.
	h := withContext(l.Handler()).with(r.appendAttrs(nil))
	h.namesEvent = true
	return slog.New(h)
}

// invocationLogger is the logger without the event's attributes.
func invocationLogger(ctx context.Context) *slog.Logger {
	if i, ok := ctx.Value(invocationKey{}).(*invocation); ok {
		return i.logger
	}
	return slog.Default()
}

// logAlways writes a line that is not the function's own: it is there whatever
// the level, and has the attributes given and those of the invocation, no
// others.
func logAlways(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if i, ok := ctx.Value(invocationKey{}).(*invocation); ok && i.plain.write(level, message, attrs) {
		return
	}
	h := alwaysHandler(ctx)
	line := slog.NewRecord(time.Now(), level, message, 0)
	line.AddAttrs(attrs...)
	_ = h.Handle(ctx, line) // as slog.Logger does: there is nowhere to say that one cannot log
}

// written reports whether logAlways writes: not to a handler that takes lines of
// no level, such as slog.DiscardHandler.
func written(ctx context.Context) bool {
	return alwaysHandler(ctx).Enabled(ctx, math.MaxInt)
}

func alwaysHandler(ctx context.Context) slog.Handler {
	h := invocationLogger(ctx).Handler()
	if c, ok := h.(*contextHandler); ok {
		return c.Handler
	}
	return h
}

// contextHandler adds to each line what its context is about, unless the logger
// names it already. Whatever groups a logger has, that stands outside of them.
type contextHandler struct {
	slog.Handler // with all attributes and groups that the logger was given

	outside slog.Handler                      // Handler before its first group
	within  []func(slog.Handler) slog.Handler // what was given from the first group on

	namesInvocation, namesEvent bool

	plain io.Writer // where all lines go, if it is only that: without attributes, groups or options
}

// withContext returns h as a contextHandler of its own.
func withContext(h slog.Handler) *contextHandler {
	if c, ok := h.(*contextHandler); ok {
		clone := *c
		return &clone
	}
	return &contextHandler{Handler: h, outside: h}
}

// Handle implements slog.Handler.
func (h *contextHandler) Handle(ctx context.Context, line slog.Record) error {
	var attrs []slog.Attr
	if i, ok := ctx.Value(invocationKey{}).(*invocation); ok && !h.namesInvocation {
		attrs = append(attrs, i.attrs...)
	}
	if r, ok := ctx.Value(recordKey{}).(*Record); ok && !h.namesEvent {
		attrs = r.appendAttrs(attrs)
	}
	if len(attrs) == 0 {
		return h.Handler.Handle(ctx, line)
	}
	return h.with(attrs).Handler.Handle(ctx, line)
}

// with returns h with attributes outside of its groups.
func (h *contextHandler) with(attrs []slog.Attr) *contextHandler {
	clone := *h
	clone.plain = nil
	clone.outside = h.outside.WithAttrs(attrs)
	clone.Handler = clone.outside
	for _, add := range h.within {
		clone.Handler = add(clone.Handler)
	}
	return &clone
}

// WithAttrs implements slog.Handler.
func (h *contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.within) == 0 {
		return h.with(attrs)
	}
	return h.inside(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *contextHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h // as slog demands
	}
	return h.inside(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *contextHandler) inside(add func(slog.Handler) slog.Handler) *contextHandler {
	clone := *h
	clone.plain = nil
	clone.Handler = add(h.Handler)
	clone.within = append(slices.Clip(h.within), add)
	return &clone
}
