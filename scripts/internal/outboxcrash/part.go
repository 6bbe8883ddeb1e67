package outboxcrash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/infra/names"
)

// Spec says which part a process plays. It travels as text: the campaign makes
// it, and gives it to the process, which gives it to [Play].
type Spec struct {
	Part    string `json:"part"` // one of the parts below
	Backend string `json:"backend"`
	API     string `json:"api,omitempty"`   // of PostgreSQL: sql or pgx
	Where   string `json:"where"`           // the database, as the backend names it
	Bus     string `json:"bus"`             // the bus's URL
	Seed    uint64 `json:"seed,omitempty"`  // of a writer
	Fault   string `json:"fault,omitempty"` // one of the broken ways below, for the campaign's own tests
}

// The parts.
const (
	writerPart      = "writer"
	relayPart       = "relay"
	environmentPart = "environment"
)

// Ways to be broken that a campaign must catch.
const (
	DropsRefused          = "drops what the bus does not take" // a relay
	RemovesFirst          = "removes before it sends"          // a relay
	PublishesBeforeCommit = "publishes before the commit"      // a writer
)

// The programming interfaces of PostgreSQL.
const (
	sqlAPI = "sql" // database/sql
	pgxAPI = "pgx"
)

func (s Spec) text() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings and a number
	}
	return string(text)
}

// Play plays the part that spec, a Spec in JSON, describes, until in ends. It
// tells out what happens.
func Play(ctx context.Context, spec string, in io.Reader, out io.Writer) error {
	var s Spec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return fmt.Errorf("part of a campaign: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	var mu sync.Mutex
	tell := func(l line) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(out).Encode(l) // nobody reads any more: the campaign has ended
	}
	// What is expected here, faults, is no news.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	switch s.Part {
	case writerPart:
		return write(ctx, s, tell)
	case relayPart:
		return relay(ctx, s, tell)
	case environmentPart:
		return environment(ctx, s, tell)
	}
	return fmt.Errorf("part of a campaign: no part %q", s.Part)
}

// aws is the configuration by which a part reaches the bus, and what is behind
// it.
func (s Spec) aws() aws.Config {
	return aws.Config{
		BaseEndpoint: &s.Bus, Region: "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}
}

// busName is the bus of the local environment; the campaign's own takes any.
const busName = "penstock-local"

func (s Spec) publisher() *eventbus.Publisher {
	return eventbus.New(eventbridge.NewFromConfig(s.aws()), busName)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
