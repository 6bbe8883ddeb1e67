package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/penstock-dev/penstock/events"
)

// The logger that Start makes the default is not that of an invocation: what it
// says of one comes from the context alone.
func TestTheDefaultLoggerNamesWhatTheContextIsAbout(t *testing.T) {
	var out bytes.Buffer
	l, err := newLogger(&out, "")
	if err != nil {
		t.Fatal(err)
	}
	r := &Record{Function: "fee", Subscription: "withdrawals", MessageID: "m-1", Metadata: events.Metadata{ID: "e-1", CorrelationID: "c-1"}}
	inBatch := invoked(t.Context(), l, "request-1", "fee")
	for want, ctx := range map[string]context.Context{
		`{"requestId":"request-1","function":"fee","eventKey":"fee/withdrawals/e-1","id":"e-1","type":"","subscription":"withdrawals","messageId":"m-1","attempt":0,"correlationId":"c-1","mine":1}`: r.Context(inBatch),
		`{"requestId":"request-1","function":"fee","mine":1}`: inBatch,
		`{"mine":1}`: t.Context(),
	} {
		out.Reset()
		l.LogAttrs(ctx, slog.LevelInfo, "here", slog.Int("mine", 1))
		if _, got, _ := strings.Cut(out.String(), `"msg":"here",`); "{"+got != want+"\n" {
			t.Errorf("logged %s, want the end %s", out.String(), want)
		}
	}
}

func TestTheLoggersHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return withContext(slog.NewJSONHandler(&out, nil))
	}, func(t *testing.T) map[string]any {
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	})
}
