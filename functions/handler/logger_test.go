package handler_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func TestTheLoggerNamesTheEvent(t *testing.T) {
	for form, route := range map[string]handler.Route{
		"Each": handler.Each(func(ctx context.Context, _ *withdrawal) error {
			handler.Logger(ctx).Info("here", "mine", 1)
			return nil
		}),
		"Batch": handler.Batch(func(ctx context.Context, messages []*withdrawal) error {
			handler.Logger(messages[0].Context(ctx)).Info("here", "mine", 1)
			return nil
		}),
	} {
		t.Run(form, func(t *testing.T) {
			e := events.Stamp(t.Context(), account("A"))
			_, log := run(t, t.Context(), Payload(t, queueName, e), route)
			got := log.lines(t, "here")[0]
			for name, want := range map[string]any{
				"mine": 1.0, "id": e.ID, "correlationId": e.CorrelationID, "messageId": MessageID(0),
				"eventKey": "withdrawal-fee/withdrawals/" + e.ID, "requestId": "request-1", "function": "withdrawal-fee",
			} {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
		})
	}
}

func TestTheLoggerOfABatchNamesTheInvocationAlone(t *testing.T) {
	_, log := run(t, t.Context(), Payload(t, queueName, account("A")),
		handler.Batch(func(ctx context.Context, _ []*withdrawal) error {
			handler.Logger(ctx).Info("here")
			return nil
		}))
	got := log.lines(t, "here")[0]
	if got["requestId"] != "request-1" || got["id"] != nil {
		t.Errorf("got %v", got)
	}
}

func TestOutsideOfAnInvocationTheLoggerIsTheDefault(t *testing.T) {
	if handler.Logger(t.Context()) != slog.Default() {
		t.Error("it is another")
	}
}

// logged runs a batch of one event through a function that logs with log, and
// returns the line "here".
func logged(t *testing.T, log func(context.Context, *slog.Logger)) line {
	t.Helper()
	book := new(logbook)
	f := handler.New(handler.Each(func(ctx context.Context, _ *withdrawal) error {
		log(ctx, handler.Logger(ctx))
		return nil
	})).WithNames("withdrawal-fee", lambdaName).WithLogger(book.logger())
	if _, err := f.Invoke(invocation(t.Context(), "request-1"), Payload(t, queueName, account("A"))); err != nil {
		t.Fatal(err)
	}
	lines := book.lines(t, "here")
	if len(lines) != 1 {
		t.Fatalf("logged %v", lines)
	}
	return lines[0]
}

func TestEveryWayOfLoggingNamesTheEventOnceAndOutsideOfGroups(t *testing.T) {
	for what, log := range map[string]func(context.Context, *slog.Logger){
		"without the context": func(_ context.Context, l *slog.Logger) { l.Info("here", "mine", 1) },
		"with the context":    func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "here", "mine", 1) },
		"with an attribute":   func(ctx context.Context, l *slog.Logger) { l.With("mine", 1).InfoContext(ctx, "here") },
		"with another context": func(ctx context.Context, l *slog.Logger) {
			l.InfoContext(context.Background(), "here", "mine", 1)
		},
	} {
		t.Run(what, func(t *testing.T) {
			got := logged(t, log)
			if got["mine"] != 1.0 || got["requestId"] != "request-1" || got["function"] != "withdrawal-fee" ||
				got["subscription"] != "withdrawals" || got["type"] != "savings/SAVINGS_WITHDRAWAL" || got["id"] == nil || got["correlationId"] == nil {
				t.Errorf("got %v", got)
			}
		})
	}
	got := logged(t, func(ctx context.Context, l *slog.Logger) {
		l.WithGroup("g").With("a", 1).InfoContext(ctx, "here", "b", 2)
	})
	group, _ := got["g"].(map[string]any)
	if got["id"] == nil || group["a"] != 1.0 || group["b"] != 2.0 || len(group) != 2 {
		t.Errorf("with a group: got %v", got)
	}
}

func TestALineNamesWhatItsContextIsAboutOnlyOnce(t *testing.T) {
	var out bytes.Buffer
	f := handler.New(handler.Batch(func(ctx context.Context, messages []*withdrawal) error {
		handler.Logger(ctx).InfoContext(messages[0].Context(ctx), "here")
		handler.Logger(messages[0].Context(ctx)).InfoContext(messages[0].Context(ctx), "here")
		return nil
	})).WithLogger(slog.New(slog.NewJSONHandler(&out, nil)))
	if _, err := f.Invoke(invocation(t.Context(), "request-1"), Payload(t, queueName, account("A"))); err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(out.String()) {
		if strings.Count(text, `"messageId"`) != 1 || strings.Count(text, `"requestId"`) != 1 || strings.Count(text, `"function"`) != 1 {
			t.Errorf("logged %s", text)
		}
	}
}

func TestTheLevelIsThatOfTheEnvironmentAndOutcomesAreAlwaysThere(t *testing.T) {
	for level, want := range map[string]string{"": "info warn", "debug": "debug info warn", "WARN": "warn"} {
		t.Run("level "+level, func(t *testing.T) {
			t.Setenv("LOG_LEVEL", level)
			// The logger of the environment writes to standard output.
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout := os.Stdout
			os.Stdout = w
			defer func() { os.Stdout = stdout }()
			f := handler.New(handler.Each(func(ctx context.Context, _ *withdrawal) error {
				handler.Logger(ctx).Debug("debug")
				handler.Logger(ctx).Info("info")
				handler.Logger(ctx).Warn("warn")
				return nil
			}))
			_, err = f.Invoke(t.Context(), Payload(t, queueName, account("A")))
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			book := new(logbook)
			book.out.Write(text)
			var got []string
			for _, message := range []string{"debug", "info", "warn"} {
				for range book.lines(t, message) {
					got = append(got, message)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("logged %v, want %s", got, want)
			}
			if outcomes := book.lines(t, "outcome"); len(outcomes) != 1 || outcomes[0]["outcome"] != "handled" || outcomes[0]["level"] != "INFO" {
				t.Errorf("outcomes are %v", outcomes)
			}
		})
	}
}

func TestALevelThatThereIsNotIsNamed(t *testing.T) {
	t.Setenv("LOG_LEVEL", "loud")
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, `LOG_LEVEL is "loud": want debug, info, warn or error`) {
			t.Errorf("got %s", got)
		}
	}()
	handler.New(handler.Each(func(context.Context, *withdrawal) error { return nil }))
}
