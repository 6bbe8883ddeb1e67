package eventbus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/events/eventbus"
)

// naming gives each event an id, and refuses the second of every call.
type naming struct{}

func (naming) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}
	for i := range in.Entries {
		out.Entries[i].EventId = aws.String(fmt.Sprint("bus-", i))
		if i == 1 {
			out.Entries[i] = types.PutEventsResultEntry{ErrorCode: aws.String("MalformedDetail")}
		}
	}
	return out, nil
}

func TestEachCallLogsTheIdsThatTheBusGave(t *testing.T) {
	var log bytes.Buffer
	publisher := eventbus.New(naming{}, "shop-test", eventbus.WithConcurrency(1),
		eventbus.WithLogger(slog.New(slog.NewJSONHandler(&log, nil)), slog.LevelInfo))
	if err := publisher.PutEntries(t.Context(), entries(slices.Repeat([]int{0}, 13)...)); err == nil {
		t.Fatal("nothing was refused")
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines for two calls: %s", len(lines), log.String())
	}
	var line struct {
		Msg, Level, Bus string
		Events          []struct{ ID, EventID string }
	}
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", line), "{Msg:published Level:INFO Bus:shop-test Events:[{ID:id-10 EventID:bus-0} {ID:id-12 EventID:bus-2}]}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestALoggerThatLeavesOutTheLevelIsToldNothing(t *testing.T) {
	var log bytes.Buffer
	publisher := eventbus.New(naming{}, "shop-test", eventbus.WithLogger(slog.New(slog.NewJSONHandler(&log, nil)), slog.LevelDebug))
	if err := publisher.PutEntries(t.Context(), entries(0)); err != nil || log.Len() > 0 {
		t.Errorf("%v, log %s", err, log.String())
	}
}
