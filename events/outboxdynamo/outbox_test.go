package outboxdynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
)

// database keeps the transactions it was given, and answers err, if passing
// says so that many times only.
type database struct {
	err          error
	passing      int
	transactions [][]types.TransactWriteItem
	tokens       []string
}

func (d *database) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	d.transactions = append(d.transactions, in.TransactItems)
	d.tokens = append(d.tokens, aws.ToString(in.ClientRequestToken))
	if d.passing > 0 && len(d.transactions) > d.passing {
		return &dynamodb.TransactWriteItemsOutput{}, nil
	}
	return &dynamodb.TransactWriteItemsOutput{}, d.err
}

var config = outboxdynamo.Config{Table: "outbox", MarksTable: "marks"}

func put(table string) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &table}}
}

func text(t *testing.T, v types.AttributeValue) string {
	t.Helper()
	s, ok := v.(*types.AttributeValueMemberS)
	if !ok {
		t.Fatalf("%#v is not a string", v)
	}
	return s.Value
}

// message reads an outbox item back, as the relay does.
func message(t *testing.T, item types.TransactWriteItem) outbox.Message {
	t.Helper()
	if item.Put == nil || *item.Put.TableName != "outbox" || len(item.Put.Item) != 2 {
		t.Fatalf("not an outbox item: %+v", item.Put)
	}
	var details []string
	for _, v := range item.Put.Item["events"].(*types.AttributeValueMemberL).Value {
		details = append(details, text(t, v))
	}
	m, err := outboxdynamo.Decode(text(t, item.Put.Item["pk"]), details)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestACommitIsTheMarkTheWritesAndTheEventsInOneTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		withdrawal := events.Stamp(t.Context(), savings.SampleWithdrawal())
		err := outboxdynamo.New(db, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
			err := s.PublishBatchAfterCommit(t.Context(), []events.Event{withdrawal, savings.SampleFeeCharged()})
			s.Write(put("first"))
			s.Write(put("second"), put("third"))
			return errors.Join(err, s.Once("f/s/1"), s.Once("f/s/1"), s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()))
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(db.transactions) != 1 || len(db.transactions[0]) != 6 {
			t.Fatalf("got %v, want one transaction of six items", db.transactions)
		}
		items := db.transactions[0]

		mark := items[0].Put
		if *mark.TableName != "marks" || text(t, mark.Item["pk"]) != "f/s/1" || aws.ToString(mark.ConditionExpression) != "attribute_not_exists(pk)" {
			t.Errorf("mark is %+v", mark)
		}
		if want, got := fmt.Sprint(time.Now().Add(30*24*time.Hour).Unix()), mark.Item["expires"].(*types.AttributeValueMemberN).Value; got != want {
			t.Errorf("mark expires at %s, want %s: in 30 days", got, want)
		}
		for i, want := range []string{"first", "second", "third"} {
			if got := *items[1+i].Put.TableName; got != want {
				t.Errorf("write %d goes to %s, want %s", i, got, want)
			}
		}
		withdrawals, fees := message(t, items[4]), message(t, items[5])
		if len(withdrawals.Entries) != 2 || len(fees.Entries) != 1 {
			t.Fatalf("got %d withdrawals and %d fees", len(withdrawals.Entries), len(fees.Entries))
		}
		if !strings.HasPrefix(withdrawals.Key, "savings/SAVINGS_WITHDRAWAL#") || strings.Contains(withdrawals.Key, withdrawal.ID) {
			t.Errorf("key is %s, want the type and an id of its own", withdrawals.Key)
		}
		want, err := withdrawal.Entry()
		if err != nil {
			t.Fatal(err)
		}
		if got := withdrawals.Entries[0]; got.ID != want.ID || got.Type != want.Type || string(got.Detail) != string(want.Detail) {
			t.Errorf("got %s %s %s, want %s", got.Type, got.ID, got.Detail, want.Detail)
		}
	})
}

func TestAMarkIsKeptAsLongAsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{}
		ob := outboxdynamo.New(db, outboxdynamo.Config{Table: "outbox", MarksTable: "marks", MarkTTL: time.Hour})
		if err := ob.InTx(t.Context(), func(s *outboxdynamo.Session) error { return s.Once("k") }); err != nil {
			t.Fatal(err)
		}
		got := db.transactions[0][0].Put.Item["expires"].(*types.AttributeValueMemberN).Value
		if want := fmt.Sprint(time.Now().Add(time.Hour).Unix()); got != want {
			t.Errorf("mark expires at %s, want %s", got, want)
		}
	})
}

func TestAnErrorCommitsNothingAndIsReturnedAsItIs(t *testing.T) {
	db := &database{}
	want := errors.New("no such account")
	err := outboxdynamo.New(db, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
		s.Write(put("first"))
		if err := s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()); err != nil {
			t.Error(err)
		}
		return want
	})
	if err != want || len(db.transactions) != 0 {
		t.Errorf("got %v after %d transactions", err, len(db.transactions))
	}
}

func TestAnEmptySessionCommitsNothing(t *testing.T) {
	db := &database{}
	if err := outboxdynamo.New(db, config).InTx(t.Context(), func(*outboxdynamo.Session) error { return nil }); err != nil {
		t.Error(err)
	}
	if len(db.transactions) != 0 {
		t.Errorf("got %v", db.transactions)
	}
}

func cancelled(codes ...string) error {
	err := &types.TransactionCanceledException{}
	for _, code := range codes {
		err.CancellationReasons = append(err.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return fmt.Errorf("operation error DynamoDB: %w", err)
}

func TestOnlyARepeatIsNoError(t *testing.T) {
	for what, c := range map[string]struct {
		once   bool
		err    error
		repeat bool
	}{
		"the mark stands":                        {true, cancelled("ConditionalCheckFailed", "None"), true},
		"the mark stands and a write's does not": {true, cancelled("ConditionalCheckFailed", "ConditionalCheckFailed"), true},
		"a write's condition fails":              {true, cancelled("None", "ConditionalCheckFailed"), false},
		"a write's condition, without Once":      {false, cancelled("ConditionalCheckFailed"), false},
		"another transaction is under way":       {true, cancelled("TransactionConflict", "None"), false},
		"no reasons":                             {true, cancelled(), false},
		"another error":                          {true, context.DeadlineExceeded, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			err := outboxdynamo.New(&database{err: c.err}, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
				s.Write(put("first"))
				if c.once {
					return s.Once("f/s/1")
				}
				return nil
			})
			if c.repeat && err != nil {
				t.Errorf("%s: got %v", what, err)
			}
			if !c.repeat && (!errors.Is(err, c.err) || !strings.HasPrefix(err.Error(), "outboxdynamo: commit: ")) {
				t.Errorf("%s: got %v, want %v", what, err, c.err)
			}
		})
	}
}

func TestACancelledTransactionNamesTheWriteThatIsTheReason(t *testing.T) {
	for what, c := range map[string]struct {
		once  bool
		err   error
		index int
		want  string
	}{
		"a write's condition, behind the mark": {true, cancelled("None", "None", "ConditionalCheckFailed"), 1, "writes[1] (Put in second): ConditionalCheckFailed"},
		"a write's condition, without Once":    {false, cancelled("ConditionalCheckFailed", "None"), 0, "writes[0] (Put in first): ConditionalCheckFailed"},
		"an event":                             {false, cancelled("None", "None", "ValidationError"), -1, "the mark or an event: ValidationError"},
	} {
		err := outboxdynamo.New(&database{err: c.err}, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
			s.Write(put("first"), put("second"))
			if c.once {
				return s.Once("f/s/1")
			}
			return nil
		})
		var got *outboxdynamo.CanceledError
		var sdk *types.TransactionCanceledException
		if !errors.As(err, &got) || got.Index != c.index || !strings.Contains(err.Error(), c.want) || !errors.As(err, &sdk) {
			t.Errorf("%s: got %v, want index %d and %q", what, err, c.index, c.want)
		}
	}
}

func TestATransactionThatOthersAreInTheWayOfIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		write := func(s *outboxdynamo.Session) error { return s.Write(put("first")) }
		for _, code := range []string{"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"} {
			db := &database{err: cancelled("None", code), passing: 3}
			if err := outboxdynamo.New(db, config).InTx(t.Context(), write); err != nil {
				t.Errorf("%s: got %v", code, err)
			}
			if len(db.tokens) != 4 || db.tokens[0] == "" || db.tokens[0] == db.tokens[1] {
				t.Errorf("%s: requests with the tokens %q, want four of their own", code, db.tokens)
			}
		}
		db := &database{err: cancelled("TransactionConflict", "ConditionalCheckFailed")}
		if err := outboxdynamo.New(db, config).InTx(t.Context(), write); err == nil || len(db.tokens) != 1 {
			t.Errorf("a condition failed too: got %v after %d requests", err, len(db.tokens))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		conflict := cancelled("TransactionConflict")
		if err := outboxdynamo.New(&database{err: conflict}, config).InTx(ctx, write); !errors.Is(err, conflict) {
			t.Errorf("the context ends meanwhile: got %v", err)
		}
	})
}

func TestNothingIsSentOnceTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	db := &database{}
	err := outboxdynamo.New(db, config).InTx(ctx, func(s *outboxdynamo.Session) error {
		cancel()
		return s.Write(put("first"))
	})
	if !errors.Is(err, context.Canceled) || len(db.transactions) != 0 {
		t.Errorf("got %v after %d requests", err, len(db.transactions))
	}
}

func TestAPanicCommitsNothingAndEndsTheSession(t *testing.T) {
	db := &database{}
	var kept *outboxdynamo.Session
	func() {
		defer func() {
			if got := recover(); got != "oh" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = outboxdynamo.New(db, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
			kept = s
			if err := s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()); err != nil {
				t.Error(err)
			}
			panic("oh")
		})
	}()
	if len(db.transactions) != 0 || kept.Write(put("first")) != outbox.ErrSessionDone {
		t.Errorf("%d transactions", len(db.transactions))
	}
}

func TestASessionMayBeSharedByGoroutines(t *testing.T) {
	db := &database{}
	const n = 50
	err := outboxdynamo.New(db, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
		var group errgroup.Group
		for i := range n {
			group.Go(func() error {
				return errors.Join(s.Write(put(fmt.Sprint(i))), s.Once("k"), s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()))
			})
		}
		return group.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	items := db.transactions[0]
	if len(items) != 1+n+1 || len(message(t, items[n+1]).Entries) != n {
		t.Errorf("%d items", len(items))
	}
}

// The same event in two transactions, as a handler without Once makes it when
// it is called again, must not replace what waits.
func TestNoTwoTransactionsWriteTheSameOutboxItem(t *testing.T) {
	db := &database{}
	withdrawal := events.Stamp(t.Context(), savings.SampleWithdrawal())
	for range 2 {
		err := outboxdynamo.New(db, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
			return s.PublishAfterCommit(t.Context(), withdrawal)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b := message(t, db.transactions[0][0]), message(t, db.transactions[1][0])
	if a.Key == b.Key || a.Entries[0].ID != b.Entries[0].ID {
		t.Errorf("items %s and %s of %s and %s", a.Key, b.Key, a.Entries[0].ID, b.Entries[0].ID)
	}
}

func TestASessionEndsWithItsTransaction(t *testing.T) {
	var kept *outboxdynamo.Session
	ob := outboxdynamo.New(&database{}, config)
	for what, end := range map[string]error{"committed": nil, "rolled back": errors.New("no")} {
		if err := ob.InTx(t.Context(), func(s *outboxdynamo.Session) error { kept = s; return end }); err != end {
			t.Fatal(err)
		}
		for _, err := range []error{
			kept.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()),
			kept.PublishBatchAfterCommit(t.Context(), nil),
			kept.Once("k"),
			kept.Write(put("first")),
		} {
			if err != outbox.ErrSessionDone {
				t.Errorf("%s: got %v", what, err)
			}
		}
	}
}

// large is a put of an item with a value of n bytes.
func large(n int) types.TransactWriteItem {
	item := put("accounts")
	item.Put.Item = map[string]types.AttributeValue{"pk": &types.AttributeValueMemberB{Value: make([]byte, n)}}
	return item
}

func TestWhatASessionCannotDoIsRefusedWithTheWayOut(t *testing.T) {
	publish := func(n int, edit func(*savings.Withdrawal)) func(*outboxdynamo.Session) error {
		return func(s *outboxdynamo.Session) error {
			for range n {
				if err := s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal(edit)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for what, c := range map[string]struct {
		config outboxdynamo.Config
		do     func(*outboxdynamo.Session) error
		want   string
	}{
		"a mark without a table": {outboxdynamo.Config{Table: "outbox"}, func(s *outboxdynamo.Session) error { return s.Once("k") },
			"Once needs Config.MarksTable"},
		"a mark without a key": {config, func(s *outboxdynamo.Session) error { return s.Once("") },
			"Once needs an event key"},
		"two marks": {config, func(s *outboxdynamo.Session) error { return errors.Join(s.Once("a"), s.Once("b")) },
			`the session already has the mark "a": use one session for each event`},
		"an event above an item": {config, publish(1, func(w *savings.Withdrawal) { w.AccountID = strings.Repeat("x", 392<<10) }),
			"a DynamoDB item takes 401408: publish a reference to the data instead"},
		"an event above the bus": {config, publish(1, func(w *savings.Withdrawal) { w.AccountID = strings.Repeat("x", 1<<20) }),
			"the bus takes at most 983040"},
		"more than 100 items": {config, func(s *outboxdynamo.Session) error {
			for range 99 {
				s.Write(put("accounts"))
			}
			return publish(3, func(w *savings.Withdrawal) { w.AccountID = strings.Repeat("x", 200<<10) })(s)
		}, "the transaction has 102 items (3 of them events) and DynamoDB takes 100: split it, or publish fewer events in it"},
		"a write above an item": {config, func(s *outboxdynamo.Session) error {
			return s.Write(put("accounts"), large(409_600))
		}, "writes[1] (Put in accounts) is 409602 bytes, and a DynamoDB item takes 409600: keep the data elsewhere"},
		"more than 4 MB": {config, func(s *outboxdynamo.Session) error {
			for range 10 {
				if err := s.Write(large(400_000)); err != nil {
					return err
				}
			}
			return publish(1, func(w *savings.Withdrawal) { w.AccountID = strings.Repeat("x", 250_000) })(s)
		}, "and DynamoDB takes 4194304: split it, or publish fewer events in it"},
	} {
		t.Run(what, func(t *testing.T) {
			db := &database{}
			err := outboxdynamo.New(db, c.config).InTx(t.Context(), c.do)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200v, want an error with %q", err, c.want)
			}
			if len(db.transactions) != 0 {
				t.Error("something was sent")
			}
		})
	}
}

func TestAFullItemStaysBelowDynamoDBsLimit(t *testing.T) {
	db := &database{}
	err := outboxdynamo.New(db, config).InTx(t.Context(), func(s *outboxdynamo.Session) error {
		batch := make([]events.Event, 3000)
		for i := range batch {
			batch[i] = savings.SampleWithdrawal()
		}
		return s.PublishBatchAfterCommit(t.Context(), batch)
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, item := range db.transactions[0] {
		m := message(t, item)
		total += len(m.Entries)
		// "DynamoDB item sizes and formats": names and values, 3 bytes for a
		// list and 1 for each of its elements.
		size := len("pk") + len(m.Key) + len("events") + 3
		for _, e := range m.Entries {
			size += len(e.Detail) + 1
		}
		if size > 400<<10 {
			t.Errorf("item %s is %d bytes", m.Key, size)
		}
	}
	if total != 3000 || len(db.transactions[0]) < 2 {
		t.Errorf("%d events in %d items", total, len(db.transactions[0]))
	}
}

func TestTheIdOfADecodedEventIsThatOfItsMetadata(t *testing.T) {
	entry, err := events.Stamp(t.Context(), savings.SampleWithdrawal()).Entry()
	if err != nil {
		t.Fatal(err)
	}
	m, err := outboxdynamo.Decode(outbox.Key(entry.Type, entry.ID), []string{string(entry.Detail)})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Entries[0]; got.ID != entry.ID || got.Type != entry.Type || !json.Valid(got.Detail) {
		t.Errorf("got %+v", got)
	}
	for what, c := range map[string]struct{ key, detail, want string }{
		"no type":  {"1", "{}", `key "1" does not begin with an event type`},
		"not JSON": {"savings/FEE_CHARGED#1", "{", "item savings/FEE_CHARGED#1: event 0 is not an event's JSON"},
	} {
		if _, err := outboxdynamo.Decode(c.key, []string{c.detail}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", what, err, c.want)
		}
	}
}
