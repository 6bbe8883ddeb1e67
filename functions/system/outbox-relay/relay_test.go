package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

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

// services is a bus and a table: it keeps what was published, what was removed
// and what was set aside, in the order of the calls.
type services struct {
	refuse    string // an account whose events the bus refuses
	throttle  string // one whose events it cannot take now
	hang      bool   // whether it never answers
	removeErr error
	updateErr error
	scanErr   error
	pages     [][]map[string]dbtypes.AttributeValue // of a scan

	mu        sync.Mutex
	published []string // details
	removed   []string // keys
	setAside  map[string]string
	scanned   []string // where the pages that were read begin
}

func (s *services) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.updateErr != nil {
		return nil, s.updateErr
	}
	if s.setAside == nil {
		s.setAside = map[string]string{}
	}
	key := in.Key["pk"].(*dbtypes.AttributeValueMemberS).Value
	s.setAside[key] = in.ExpressionAttributeValues[":reason"].(*dbtypes.AttributeValueMemberS).Value
	return &dynamodb.UpdateItemOutput{}, nil
}

// Scan answers the page whose number is the key that it is to begin after.
func (s *services) Scan(_ context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scanErr != nil {
		return nil, s.scanErr
	}
	i := 0
	after, ok := in.ExclusiveStartKey["pk"].(*dbtypes.AttributeValueMemberS)
	if ok {
		i, _ = strconv.Atoi(after.Value)
	}
	s.scanned = append(s.scanned, strconv.Itoa(i))
	out := &dynamodb.ScanOutput{}
	if i < len(s.pages) {
		out.Items = s.pages[i]
	}
	if i+1 < len(s.pages) {
		out.LastEvaluatedKey = map[string]dbtypes.AttributeValue{"pk": &dbtypes.AttributeValueMemberS{Value: strconv.Itoa(i + 1)}}
	}
	return out, nil
}

func (s *services) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	if s.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &eventbridge.PutEventsOutput{Entries: make([]bustypes.PutEventsResultEntry, len(in.Entries))}
	for i, e := range in.Entries {
		if s.refuse != "" && strings.Contains(*e.Detail, s.refuse) {
			out.Entries[i].ErrorCode = aws.String("MalformedDetail")
			out.FailedEntryCount++
			continue
		}
		if s.throttle != "" && strings.Contains(*e.Detail, s.throttle) {
			out.Entries[i].ErrorCode = aws.String("ThrottlingException")
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

// item is the record of an outbox item that holds withdrawals from accounts.
func item(t *testing.T, change string, accounts ...string) record {
	t.Helper()
	var entries []events.Entry
	var details []string
	for _, account := range accounts {
		entry, err := events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = account })).Entry()
		if err != nil {
			t.Fatal(err)
		}
		detail, err := json.Marshal(string(entry.Detail))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
		details = append(details, fmt.Sprintf(`{"S": %s}`, detail))
	}
	key := outbox.Key(entries[0].Type, entries[0].ID)
	return record{change, key, fmt.Sprintf(`{"pk": {"S": %q}, "events": {"L": [%s]}}`, key, strings.Join(details, ","))}
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
	return map[string]string{"PENSTOCK_BUS": "bus", "PENSTOCK_OUTBOX_TABLE": "outbox", "PENSTOCK_APP": "shop", "PENSTOCK_ENV": "dev"}[name]
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
	if !strings.Contains(log, counts(2, 0, 0)) {
		t.Errorf("log is %s", log)
	}
}

func TestTheRelaysOwnDeletionsAreNothingToSend(t *testing.T) {
	s := &services{}
	retryFrom, log := handle(t, s, record{change: "REMOVE", key: "savings/SAVINGS_WITHDRAWAL#1"})
	if retryFrom != "" || len(s.published) != 0 || len(s.removed) != 0 {
		t.Errorf("retries from %q, published %v, removed %v", retryFrom, s.published, s.removed)
	}
	if !strings.Contains(log, counts(0, 0, 0)) {
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

func TestWhatTheBusRefusesIsSetAsideAndHoldsUpNothing(t *testing.T) {
	s := &services{refuse: "ACC-BAD"}
	a, bad, c := item(t, "INSERT", "A"), item(t, "INSERT", "ACC-BAD"), item(t, "INSERT", "C")
	retryFrom, log := handle(t, s, a, bad, c)
	if retryFrom != "" {
		t.Errorf("retries from %q", retryFrom)
	}
	if !slices.Equal(sorted(s.removed...), sorted(a.key, c.key)) {
		t.Errorf("removed %v", s.removed)
	}
	if reason := s.setAside[bad.key]; len(s.setAside) != 1 || !strings.Contains(reason, "MalformedDetail") {
		t.Errorf("set aside %v", s.setAside)
	}
	if !strings.Contains(log, counts(2, 0, 1)) || !strings.Contains(log, bad.key) {
		t.Errorf("log is %s", log)
	}
}

func TestWhatCannotBeSetAsideComesBack(t *testing.T) {
	s := &services{refuse: "ACC-BAD", updateErr: errors.New("AccessDeniedException")}
	retryFrom, log := handle(t, s, item(t, "INSERT", "A"), item(t, "INSERT", "ACC-BAD"), item(t, "INSERT", "C"))
	if retryFrom != "101" || !strings.Contains(log, counts(2, 1, 0)) || !strings.Contains(log, "AccessDeniedException") {
		t.Errorf("retries from %q, log is %s", retryFrom, log)
	}
}

func TestWhatTheBusCannotTakeNowComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &services{throttle: "ACC-BUSY"}
		a, busy := item(t, "INSERT", "A"), item(t, "INSERT", "ACC-BUSY")
		retryFrom, log := handle(t, s, a, busy)
		if retryFrom != "101" || !slices.Equal(s.removed, []string{a.key}) || len(s.setAside) != 0 {
			t.Errorf("retries from %q, removed %v, set aside %v", retryFrom, s.removed, s.setAside)
		}
		if !strings.Contains(log, counts(1, 1, 0)) || !strings.Contains(log, "ThrottlingException") {
			t.Errorf("log is %s", log)
		}
	})
}

func TestAnItemWithAnEventThatMayStillBeTakenIsNotSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &services{refuse: "ACC-BAD", throttle: "ACC-BUSY"}
		both := item(t, "INSERT", "ACC-BAD", "ACC-BUSY")
		if retryFrom, _ := handle(t, s, both); retryFrom != "100" || len(s.setAside) != 0 {
			t.Errorf("retries from %q, set aside %v", retryFrom, s.setAside)
		}
		s.throttle = ""
		if retryFrom, _ := handle(t, s, both); retryFrom != "" || s.setAside[both.key] == "" {
			t.Errorf("retries from %q, set aside %v", retryFrom, s.setAside)
		}
	})
}

func TestWhatWasSetAsideIsPassedBy(t *testing.T) {
	s := &services{}
	aside := item(t, "MODIFY", "A")
	aside.image = strings.Replace(aside.image, `{"pk"`, `{"setAside": {"S": "MalformedDetail"}, "pk"`, 1)
	if retryFrom, _ := handle(t, s, aside); retryFrom != "" || len(s.published) != 0 {
		t.Errorf("retries from %q, published %v", retryFrom, s.published)
	}
}

// counts are the figures of a line of the log.
func counts(sent, failed, refused int) string {
	return fmt.Sprintf("OutboxEventsSent=%d OutboxEventsFailed=%d OutboxEventsRefused=%d ", sent, failed, refused)
}

func TestWhatCannotBeRemovedComesBack(t *testing.T) {
	s := &services{removeErr: errors.New("AccessDeniedException")}
	retryFrom, log := handle(t, s, item(t, "INSERT", "A"), item(t, "INSERT", "B"))
	if retryFrom != "100" {
		t.Errorf("retries from %q, want 100", retryFrom)
	}
	if !strings.Contains(log, counts(0, 2, 0)) || !strings.Contains(log, "AccessDeniedException") {
		t.Errorf("log is %s", log)
	}
}

func TestAnUnreadableItemIsSetAsideAndHoldsUpNothing(t *testing.T) {
	good := item(t, "INSERT", "A")
	for what, c := range map[string]struct{ key, image, reason string }{
		"no events":                 {"savings/SAVINGS_WITHDRAWAL#1", `{"pk": {"S": "savings/SAVINGS_WITHDRAWAL#1"}}`, "no list events"},
		"events of another type":    {"savings/SAVINGS_WITHDRAWAL#1", `{"events": {"S": "x"}}`, "no list events"},
		"an event that is a number": {"savings/SAVINGS_WITHDRAWAL#1", `{"events": {"L": [{"N": "1"}]}}`, "event 0 is not a string"},
		"an event that is not JSON": {"savings/SAVINGS_WITHDRAWAL#1", `{"events": {"L": [{"S": "{"}]}}`, "not an event's JSON"},
		"a key without a type":      {"1", `{"events": {"L": []}}`, "does not begin with an event type"},
	} {
		t.Run(what, func(t *testing.T) {
			s := &services{}
			retryFrom, log := handle(t, s, good, record{"INSERT", c.key, c.image}, good)
			if retryFrom != "" || len(s.published) != 2 {
				t.Errorf("retries from %q, its neighbours were published %d times", retryFrom, len(s.published))
			}
			if len(s.setAside) != 1 || !strings.Contains(s.setAside[c.key], c.reason) {
				t.Errorf("set aside %v", s.setAside)
			}
			if !strings.Contains(log, counts(2, 0, 1)) {
				t.Errorf("log is %s", log)
			}
		})
	}
}

func TestABatchOfAnotherStreamIsNeverPassedBy(t *testing.T) {
	s := &services{}
	retryFrom, log := handle(t, s, item(t, "INSERT", "A"), record{"INSERT", "savings/SAVINGS_WITHDRAWAL#1", ""})
	if retryFrom != "100" || len(s.published)+len(s.removed)+len(s.setAside) != 0 {
		t.Errorf("retries from %q, published %v, removed %v, set aside %v", retryFrom, s.published, s.removed, s.setAside)
	}
	if !strings.Contains(log, "sequenceNumber=101") || !strings.Contains(log, "NEW_IMAGE") {
		t.Errorf("log is %s", log)
	}
}

func TestAMissingSettingIsNamed(t *testing.T) {
	for _, name := range []string{"PENSTOCK_APP", "PENSTOCK_ENV", "PENSTOCK_BUS", "PENSTOCK_OUTBOX_TABLE"} {
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
