package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/events"
)

// bus keeps what is published, and answers for rows as it is told to.
type bus struct {
	hangs  bool
	refuse map[string]string // error codes, by the id of a row

	mu        sync.Mutex
	published []bustypes.PutEventsRequestEntry
}

func (b *bus) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	if b.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := &eventbridge.PutEventsOutput{}
	for _, e := range in.Entries {
		var detail struct {
			Data struct {
				RowID string `json:"row_id"`
			}
		}
		if err := json.Unmarshal([]byte(*e.Detail), &detail); err != nil {
			return nil, err
		}
		if code := b.refuse[detail.Data.RowID]; code != "" {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, bustypes.PutEventsResultEntry{ErrorCode: &code})
			continue
		}
		b.published = append(b.published, e)
		out.Entries = append(out.Entries, bustypes.PutEventsResultEntry{EventId: aws.String("e")})
	}
	return out, nil
}

// change is a record of the storage table's stream, in the shape in which Lambda
// hands it over ("Process DynamoDB records with Lambda").
func change(sequence int, name, row, before, after string) string {
	image := func(data string) string {
		return fmt.Sprintf(`{"pk": {"S": "ann/accounting/2026/invoices"}, "sk": {"S": %q}, "owner": {"S": "ann"}, "dataset": {"S": "accounting"}, "bucket": {"S": "2026"},
			"container": {"S": "invoices"}, "etag": {"S": %q}, "changed": {"S": "2026-11-21T20:00:00Z"}, "data": {"S": %q}}`, row, fmt.Sprint("etag-", sequence), data)
	}
	images := ""
	if before != "" {
		images += `, "OldImage": ` + image(before)
	}
	if after != "" {
		images += `, "NewImage": ` + image(after)
	}
	return fmt.Sprintf(`{"eventID": "id-%d", "eventName": %q, "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
		"dynamodb": {"ApproximateCreationDateTime": 1795291200, "Keys": {"pk": {"S": "ann/accounting/2026/invoices"}, "sk": {"S": %q}}%s,
		"SequenceNumber": "%021d", "SizeBytes": 300, "StreamViewType": "NEW_AND_OLD_IMAGES"},
		"eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/shop-prod-storage/stream/2026-11-21T00:00:00.000"}`, sequence, name, row, images, sequence)
}

func inserted(sequence int, row string) string {
	return change(sequence, "INSERT", row, "", `{"total":1}`)
}

// deliver has the program called with records, and returns the sequence numbers
// that it names as failed, and what it wrote to its log.
func (b *bus) deliver(t *testing.T, records ...string) (failed []string, logged string) {
	t.Helper()
	var out bytes.Buffer
	settings := map[string]string{"PENSTOCK_APP": "shop", "PENSTOCK_ENV": "prod", "PENSTOCK_BUS": "shop-prod"}
	trigger, err := newTrigger(b, func(name string) string { return settings[name] }, slog.New(slog.NewJSONHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // as of Lambda
	defer cancel()
	answer, err := lambda.NewHandler(trigger.handle).Invoke(ctx, []byte(`{"Records": [`+strings.Join(records, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal(answer, &response); err != nil || response.BatchItemFailures == nil {
		t.Fatalf("answered %s: %v", answer, err)
	}
	for _, f := range response.BatchItemFailures {
		failed = append(failed, strings.TrimLeft(f.ItemIdentifier, "0"))
	}
	return failed, out.String()
}

// announced are the events on the bus: type, code, user, time and data, sorted,
// since calls of the bus are under way at once.
func (b *bus) announced(t *testing.T) (out, ids []string) {
	t.Helper()
	for _, e := range b.published {
		var detail struct {
			Metadata events.Metadata
			Data     json.RawMessage
		}
		if err := json.Unmarshal([]byte(*e.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		m := detail.Metadata
		if m.CorrelationID != m.ID {
			t.Errorf("event %s has the correlation %s", m.ID, m.CorrelationID)
		}
		out = append(out, fmt.Sprintf("%s/%s %d %s %s %s", *e.Source, *e.DetailType, m.Code, m.UserID, m.OccurredAt.Format(time.RFC3339), detail.Data))
		ids = append(ids, m.ID)
	}
	slices.Sort(out)
	slices.Sort(ids)
	return out, ids
}

func TestChangesOfRowsAreAnnouncedInTheNameOfTheirOwner(t *testing.T) {
	const where = `ann 2026-11-21T20:00:00Z {"row_id":"%s","container":"invoices","bucket":"2026","dataset":"accounting"}`
	b := &bus{}
	failed, logged := b.deliver(t,
		inserted(1, "new"),
		change(2, "MODIFY", "changed", `{"total":1}`, `{"total":2}`),
		change(3, "MODIFY", "same", `{"total":1}`, `{"total":1}`), // with another ETag
		change(4, "REMOVE", "gone", `{"total":1}`, ""),
		// By a time to live, which the table does not have.
		strings.Replace(change(5, "REMOVE", "expired", `1`, ""), `"eventSource"`, `"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}, "eventSource"`, 1))
	got, _ := b.announced(t)
	want := []string{
		"storage/STORAGE_DELETE 1002 " + fmt.Sprintf(where, "expired"),
		"storage/STORAGE_DELETE 1002 " + fmt.Sprintf(where, "gone"),
		"storage/STORAGE_INSERT 1000 " + fmt.Sprintf(where, "new"),
		"storage/STORAGE_UPDATE 1001 " + fmt.Sprintf(where, "changed"),
	}
	if !slices.Equal(got, want) || len(failed) != 0 {
		t.Errorf("announced\n%s\nwant\n%s\nfailed %v", strings.Join(got, "\n"), strings.Join(want, "\n"), failed)
	}
	if !strings.Contains(logged, `"StorageEventsSent":4,"StorageEventsFailed":0,"StorageEventsLost":0`) || !strings.Contains(logged, `"Namespace":"Penstock"`) {
		t.Errorf("logged %s", logged)
	}
	if strings.Contains(logged, "total") {
		t.Errorf("the log has data of rows: %s", logged)
	}
}

func TestARecordThatIsDeliveredAgainMakesTheSameEventAndAnotherRecordAnother(t *testing.T) {
	b := &bus{}
	for range 2 {
		b.deliver(t, inserted(1, "a"), inserted(2, "a"), change(3, "REMOVE", "a", "1", ""))
	}
	_, ids := b.announced(t)
	if len(ids) != 6 || len(slices.Compact(ids)) != 3 {
		t.Errorf("events %v, want three, twice each", ids)
	}
}

func TestTheFirstRecordThatIsToBeSentAgainIsNamed(t *testing.T) {
	b := &bus{refuse: map[string]string{"c": "ThrottlingException", "b": "NotAuthorizedForSourceException"}}
	synctest.Test(t, func(t *testing.T) {
		failed, logged := b.deliver(t, inserted(1, "a"), change(2, "MODIFY", "b", "1", "1"), inserted(3, "b"), inserted(4, "c"), inserted(5, "d"))
		if !slices.Equal(failed, []string{"3"}) {
			t.Errorf("failed %v, want 3: the records before it are done", failed)
		}
		if !strings.Contains(logged, `"StorageEventsSent":2,"StorageEventsFailed":2,"StorageEventsLost":0`) {
			t.Errorf("logged %s", logged)
		}
	})
}

func TestAnItemThatIsNoRowIsCountedAndHoldsUpNothing(t *testing.T) {
	b := &bus{}
	failed, logged := b.deliver(t,
		strings.ReplaceAll(inserted(1, "foreign"), `"owner": {"S": "ann"}`, `"owner": {"N": "1"}`),
		strings.ReplaceAll(inserted(2, "bad"), `{"S": "2026"}`, `{"S": "20/26"}`),
		strings.ReplaceAll(inserted(3, "view"), `"NewImage"`, `"OtherImage"`),
		inserted(5, "good"))
	got, _ := b.announced(t)
	if len(failed) != 0 || len(got) != 1 || !strings.Contains(got[0], `"good"`) {
		t.Errorf("failed %v, announced %v", failed, got)
	}
	if !strings.Contains(logged, `"StorageEventsSent":1,"StorageEventsFailed":0,"StorageEventsLost":3`) {
		t.Errorf("logged %s", logged)
	}
	if said := `"sequenceNumber":"000000000000000000001","reason":"record 000000000000000000001 (INSERT): its item is no row of the data API"`; !strings.Contains(logged, said) {
		t.Errorf("the log does not say %s:\n%s", said, logged)
	}
}

func TestABatchIsAnsweredBeforeLambdaEndsItIfTheBusHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		failed, _ := (&bus{hangs: true}).deliver(t, inserted(1, "a"), inserted(2, "b"))
		if took := time.Since(began); !slices.Equal(failed, []string{"1"}) || took >= time.Minute {
			t.Errorf("failed %v after %v", failed, took)
		}
	})
}

func TestWhatIsNoBatchOfAStreamIsRefused(t *testing.T) {
	trigger, err := newTrigger(&bus{}, func(string) string { return "x" }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewHandler(trigger.handle).Invoke(t.Context(), []byte(`{"detail-type": "Scheduled Event"}`)); err == nil || !strings.Contains(err.Error(), "no batch of a DynamoDB stream") {
		t.Errorf("got %v", err)
	}
	if _, err := newTrigger(&bus{}, func(string) string { return "" }, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "PENSTOCK_APP") {
		t.Errorf("without settings: %v", err)
	}
}
