package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// The outbox in DynamoDB and the relay that sweeps it, by the real SDK against
// the local environment. What the stream delivers, and Lambda's part in it, is
// tested there.
func TestConformance(t *testing.T) {
	outboxtest.Run(t, outboxtest.Backend{Open: openStore})
}

const tables = `{"Resources": {
	"Outbox": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "outbox",
		"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}},
	"Marks": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "marks",
		"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}},
	"Rows": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "rows",
		"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}}}}`

// store is an [outboxtest.Store]. Only its sessions and relays are intercepted.
type store struct {
	*outboxdynamo.Store
	outboxtest.Interceptor

	db, intercepted *dynamodb.Client
}

func openStore(t testing.TB) outboxtest.Store {
	t.Helper()
	env, err := local.Start(t.Context(), local.Config{
		Snapshot: &snapshots.Snapshot{App: "shop", Env: "local", Stacks: []string{"tables"}, Templates: map[string]json.RawMessage{"tables": []byte(tables)}},
		Root:     "../../..", DataDir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	endpoint := env.Endpoint()
	config := aws.Config{BaseEndpoint: &endpoint, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, "")}
	s := &store{db: dynamodb.NewFromConfig(config)}
	s.Store = outboxdynamo.NewStore(s.db, "outbox")
	config.HTTPClient = &http.Client{Transport: steps{&s.Interceptor}}
	s.intercepted = dynamodb.NewFromConfig(config)
	return s
}

// steps makes each request, and each answer, a step.
type steps struct{ *outboxtest.Interceptor }

func (s steps) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.Step(); err != nil {
		return nil, err
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := s.Step(); err != nil {
		answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

func (s *store) InTx(ctx context.Context, fn func(outboxtest.Session) error) error {
	ob := outboxdynamo.New(s.intercepted, outboxdynamo.Config{Table: "outbox", MarksTable: "marks"})
	return ob.InTx(ctx, func(in *outboxdynamo.Session) error { return fn(session{in}) })
}

type session struct{ *outboxdynamo.Session }

func (s session) Once(_ context.Context, eventKey string) error { return s.Session.Once(eventKey) }

func (s session) Write(_ context.Context, row string) error {
	return s.Session.Write(types.TransactWriteItem{Put: &types.Put{
		TableName: aws.String("rows"), Item: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: row}},
	}})
}

func (s *store) Rows(ctx context.Context) ([]string, error) {
	var rows []string
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: aws.String("rows"), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			rows = append(rows, keyOf(item))
		}
	}
	return rows, nil
}

// Relay sweeps, as often as it can.
func (s *store) Relay(bus outbox.Bus) func(context.Context) {
	publisher := eventbus.New(busAPI{bus}, "bus", eventbus.WithConcurrency(concurrency))
	r := &relay{bus: publisher, store: outboxdynamo.NewStore(s.intercepted, "outbox"), log: slog.New(slog.DiscardHandler)}
	return func(ctx context.Context) {
		for ctx.Err() == nil {
			// A table that cannot be read is swept again, as by the schedule.
			_ = r.sweep(context.WithoutCancel(ctx))
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

// busAPI is the API of a bus: as on AWS, the publisher in between sends again
// the entries that are throttled, so that an item of many events goes through.
type busAPI struct{ bus outbox.Bus }

func (b busAPI) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{Entries: make([]bustypes.PutEventsResultEntry, len(in.Entries))}
	entries := make([]events.Entry, len(in.Entries))
	for i, e := range in.Entries {
		typ := events.Type{Source: *e.Source, Name: *e.DetailType}
		m, err := outboxdynamo.Decode(outbox.Key(typ, ""), []string{*e.Detail})
		if err != nil {
			return nil, err
		}
		entries[i] = m.Entries[0]
	}
	err := b.bus.PutEntries(ctx, entries)
	var refused *events.PublishError
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	for i, e := range entries {
		if refused == nil {
			break
		}
		for _, f := range refused.Failed {
			if f.ID == e.ID {
				out.Entries[i].ErrorCode, out.Entries[i].ErrorMessage = aws.String(f.Code), aws.String(f.Err.Error())
			}
		}
	}
	return out, nil
}
