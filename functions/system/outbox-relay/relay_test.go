package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/savings"
)

// services is a bus and a table: it keeps what was published and what was removed,
// in the order of the calls.
type services struct {
	refuse    string // an account whose events the bus refuses
	removeErr error

	mu        sync.Mutex
	published []string // details
	removed   []string // keys
}

func (s *services) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &eventbridge.PutEventsOutput{Entries: make([]bustypes.PutEventsResultEntry, len(in.Entries))}
	for i, e := range in.Entries {
		if s.refuse != "" && strings.Contains(*e.Detail, s.refuse) {
			out.Entries[i].ErrorCode = aws.String("MalformedDetail")
			out.FailedEntryCount++
			continue
		}
		s.published = append(s.published, *e.Detail)
	}
	return out, nil
}

func (s *services) BatchWriteItem(_ context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removeErr != nil {
		return nil, s.removeErr
	}
	var keys []string
	for _, request := range in.RequestItems["outbox"] {
		key := request.DeleteRequest.Key["pk"].(*dbtypes.AttributeValueMemberS).Value
		if slices.Contains(keys, key) {
			return nil, errors.New("ValidationException: Provided list of item keys contains duplicates")
		}
		keys = append(keys, key)
	}
	s.removed = append(s.removed, keys...)
	return &dynamodb.BatchWriteItemOutput{}, nil
}

// record is a stream record as Lambda delivers it, with the sequence number
// 100 + its index in the batch.
type record struct {
	change string // INSERT, MODIFY, REMOVE
	key    string
	image  string // the JSON of NewImage
}

// item is the record of a withdrawal from account written to the outbox.
func item(t *testing.T, change, account string) record {
	t.Helper()
	entry, err := events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = account })).Entry()
	if err != nil {
		t.Fatal(err)
	}
	key := outbox.Key(entry.Type, entry.ID)
	detail, err := json.Marshal(string(entry.Detail))
	if err != nil {
		t.Fatal(err)
	}
	return record{change, key, fmt.Sprintf(`{"pk": {"S": %q}, "events": {"L": [{"S": %s}]}}`, key, detail)}
}

// handle runs the relay as Lambda does, on the JSON of a batch; it returns the
// sequence number from which Lambda would retry ("" if none) and the log.
func handle(t *testing.T, s *services, records ...record) (retryFrom, log string) {
	t.Helper()
	var batch []string
	for i, r := range records {
		image := ""
		if r.image != "" {
			image = `"NewImage": ` + r.image + `,`
		}
		batch = append(batch, fmt.Sprintf(`{
			"eventID": "e%d", "eventName": %q, "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
			"dynamodb": {"ApproximateCreationDateTime": 1767225600, "Keys": {"pk": {"S": %q}}, %s
				"SequenceNumber": "%d", "SizeBytes": 400, "StreamViewType": "NEW_IMAGE"},
			"eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/2026-01-01T00:00:00.000"
		}`, i, r.change, r.key, image, 100+i))
	}
	var out bytes.Buffer
	r, err := newRelay(s, s, environment, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := lambda.NewHandler(r.handle).Invoke(t.Context(), []byte(`{"Records": [`+strings.Join(batch, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal(response, &answer); err != nil || answer.BatchItemFailures == nil || len(answer.BatchItemFailures) > 1 {
		t.Fatalf("the response is %s", response)
	}
	for _, f := range answer.BatchItemFailures {
		retryFrom = f.ItemIdentifier
	}
	return retryFrom, out.String()
}

func environment(name string) string {
	return map[string]string{"PENSTOCK_BUS": "bus", "PENSTOCK_OUTBOX_TABLE": "outbox"}[name]
}

// accounts tells whose withdrawals the published details are of.
func accounts(t *testing.T, details []string) []string {
	t.Helper()
	out := []string{}
	for _, d := range details {
		var e struct{ Data savings.Withdrawal }
		if err := json.Unmarshal([]byte(d), &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Data.AccountID)
	}
	return out
}

func sorted(keys ...string) []string { return slices.Sorted(slices.Values(keys)) }

func TestWhatWasCommittedIsPublishedInOrderAndRemoved(t *testing.T) {
	s := &services{}
	a, b := item(t, "INSERT", "A"), item(t, "INSERT", "B")
	retryFrom, log := handle(t, s, a, b)
	if retryFrom != "" {
		t.Errorf("retries from %s", retryFrom)
	}
	if got := accounts(t, s.published); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("published %v", got)
	}
	if !slices.Equal(sorted(s.removed...), sorted(a.key, b.key)) {
		t.Errorf("removed %v", s.removed)
	}
	if !strings.Contains(log, "sent=2 failed=0") {
		t.Errorf("log is %s", log)
	}
}

func TestTheRelaysOwnDeletionsAreNothingToSend(t *testing.T) {
	s := &services{}
	retryFrom, log := handle(t, s, record{change: "REMOVE", key: "savings/SAVINGS_WITHDRAWAL#1"})
	if retryFrom != "" || len(s.published) != 0 || len(s.removed) != 0 {
		t.Errorf("retries from %q, published %v, removed %v", retryFrom, s.published, s.removed)
	}
	if !strings.Contains(log, "sent=0 failed=0") {
		t.Errorf("log is %s", log)
	}
}

func TestAnItemWrittenAgainIsSentAgain(t *testing.T) {
	s := &services{}
	first := item(t, "INSERT", "A")
	second := item(t, "MODIFY", "B")
	second.image = strings.ReplaceAll(second.image, second.key, first.key)
	second.key = first.key
	if retryFrom, _ := handle(t, s, first, second); retryFrom != "" {
		t.Errorf("retries from %s", retryFrom)
	}
	if got := accounts(t, s.published); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("published %v", got)
	}
}

func TestWhatTheBusRefusesStaysAndComesBack(t *testing.T) {
	s := &services{refuse: "ACC-BAD"}
	a, bad, c := item(t, "INSERT", "A"), item(t, "INSERT", "ACC-BAD"), item(t, "INSERT", "C")
	retryFrom, log := handle(t, s, a, bad, c)
	if retryFrom != "101" {
		t.Errorf("retries from %q, want 101", retryFrom)
	}
	if !slices.Equal(sorted(s.removed...), sorted(a.key, c.key)) {
		t.Errorf("removed %v", s.removed)
	}
	if !strings.Contains(log, "sent=2 failed=1") || !strings.Contains(log, "MalformedDetail") {
		t.Errorf("log is %s", log)
	}
}

func TestWhatCannotBeRemovedComesBack(t *testing.T) {
	s := &services{removeErr: errors.New("AccessDeniedException")}
	retryFrom, log := handle(t, s, item(t, "INSERT", "A"), item(t, "INSERT", "B"))
	if retryFrom != "100" {
		t.Errorf("retries from %q, want 100", retryFrom)
	}
	if !strings.Contains(log, "sent=0 failed=2") || !strings.Contains(log, "AccessDeniedException") {
		t.Errorf("log is %s", log)
	}
}

func TestAnUnreadableRecordIsNeverDropped(t *testing.T) {
	good := item(t, "INSERT", "A")
	for what, image := range map[string]string{
		"no image":                  "",
		"no events":                 `{"pk": {"S": "savings/SAVINGS_WITHDRAWAL#1"}}`,
		"events of another type":    `{"pk": {"S": "savings/SAVINGS_WITHDRAWAL#1"}, "events": {"S": "x"}}`,
		"an event that is a number": `{"pk": {"S": "savings/SAVINGS_WITHDRAWAL#1"}, "events": {"L": [{"N": "1"}]}}`,
		"an event that is not JSON": `{"pk": {"S": "savings/SAVINGS_WITHDRAWAL#1"}, "events": {"L": [{"S": "{"}]}}`,
		"a key without a type":      `{"pk": {"S": "1"}, "events": {"L": []}}`,
		"a numeric key":             `{"pk": {"N": "1"}, "events": {"L": []}}`,
	} {
		t.Run(what, func(t *testing.T) {
			s := &services{}
			retryFrom, log := handle(t, s, good, record{"INSERT", "bad", image}, good)
			if retryFrom != "101" {
				t.Errorf("retries from %q, want 101", retryFrom)
			}
			if len(s.published) != 2 {
				t.Errorf("its neighbours were published %d times", len(s.published))
			}
			if !strings.Contains(log, "sequenceNumber=101") || !strings.Contains(log, "sent=2 failed=1") {
				t.Errorf("log is %s", log)
			}
		})
	}
}

func TestAMissingSettingIsNamed(t *testing.T) {
	for _, name := range []string{"PENSTOCK_BUS", "PENSTOCK_OUTBOX_TABLE"} {
		_, err := newRelay(&services{}, &services{}, func(n string) string {
			if n == name {
				return ""
			}
			return environment(n)
		}, slog.Default())
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}
