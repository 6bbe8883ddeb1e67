package local_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/infra/local"
)

// The outbox in DynamoDB, as an application and its relay use it: the real SDK,
// the relay's real program.

const (
	outboxTable   = "penstock-local-outbox"
	relayFunction = "penstock-local-outbox-relay"
)

var outboxConfig = outboxdynamo.Config{Table: outboxTable, MarksTable: "penstock-local-idempotency"}

func startOutbox(t *testing.T) (*local.Environment, *dynamodb.Client) {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, snapshot, t.TempDir())
	t.Cleanup(func() { env.Close() })
	return env, dynamodb.NewFromConfig(awsConfig(env.Endpoint()))
}

// waiting are the items of the outbox table.
func waiting(t *testing.T, db *dynamodb.Client) []outboxdynamo.Item {
	t.Helper()
	items, next, err := outboxdynamo.NewStore(db, outboxTable).Page(t.Context(), "")
	if err != nil || next != "" {
		t.Fatalf("next %q, %v", next, err)
	}
	return items
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !condition() {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		}
	}
}

// put writes an item to the outbox table, as a session did at a time.
func put(t *testing.T, db *dynamodb.Client, typ events.Type, at time.Time, details ...string) (key string) {
	t.Helper()
	key = outbox.Key(typ, events.DeriveID(at, t.Name()+details[0], typ, 0))
	list := &types.AttributeValueMemberL{}
	for _, detail := range details {
		list.Value = append(list.Value, &types.AttributeValueMemberS{Value: detail})
	}
	_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(outboxTable), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: key}, "events": list,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func withdrawal(t *testing.T) events.Entry {
	t.Helper()
	entry, err := events.Stamp(t.Context(), savings.SampleWithdrawal()).Entry()
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

func TestASweepSendsWhatTheStreamHasMissed(t *testing.T) {
	env, db := startOutbox(t)
	functions := lambda.NewFromConfig(awsConfig(env.Endpoint()))
	mappings, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(relayFunction)})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatalf("mappings %+v, %v", mappings, err)
	}
	_, err = functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: mappings.EventSourceMappings[0].UUID, Enabled: aws.Bool(false)})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stream is read no more", func() bool {
		m, err := functions.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: mappings.EventSourceMappings[0].UUID})
		return err == nil && *m.State == "Disabled"
	})
	event := withdrawal(t)
	put(t, db, event.Type, time.Now().Add(-2*time.Minute), string(event.Detail), string(withdrawal(t).Detail))
	young := put(t, db, event.Type, time.Now(), string(withdrawal(t).Detail))
	answer, err := functions.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(relayFunction),
		Payload: []byte(`{"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}`)})
	if err != nil || answer.FunctionError != nil {
		t.Fatalf("%s: %v", answer.Payload, err)
	}
	if left := waiting(t, db); len(left) != 1 || left[0].Key != young || env.BusStats().Events != 2 {
		t.Errorf("left %+v, on the bus %+v", left, env.BusStats())
	}
	needed(t, env, "dynamodb:Scan", "table/"+outboxTable)
}

func TestTheSweepIsScheduled(t *testing.T) {
	env, _ := startOutbox(t)
	bus := eventbridge.NewFromConfig(awsConfig(env.Endpoint()))
	name := aws.String(relayFunction + "-sweep")
	rule, err := bus.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: name})
	if err != nil || aws.ToString(rule.ScheduleExpression) != "rate(1 minute)" || rule.State != "ENABLED" || rule.EventPattern != nil {
		t.Fatalf("rule %+v, %v", rule, err)
	}
	targets, err := bus.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: name})
	if err != nil || len(targets.Targets) != 1 || !strings.HasSuffix(*targets.Targets[0].Arn, ":function:"+relayFunction) {
		t.Fatalf("targets %+v, %v", targets, err)
	}
}

func TestWhatCanNeverBeSentIsSetAsideUntilItIsMended(t *testing.T) {
	env, db := startOutbox(t)
	store := outboxdynamo.NewStore(db, outboxTable)
	event := withdrawal(t)
	unreadable := put(t, db, event.Type, time.Now(), "{")
	// The bus takes no name twice.
	refused := put(t, db, event.Type, time.Now(), `{"metadata": {"id": "1"}, "data": 1, "data": 2}`)
	outboxes := outboxdynamo.New(db, outboxConfig)
	for range 5 {
		err := outboxes.InTx(t.Context(), func(s *outboxdynamo.Session) error {
			return s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	aside := func() map[string]string {
		out := map[string]string{}
		for one, err := range store.ListSetAside(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if time.Since(one.At).Abs() > time.Minute {
				t.Errorf("set aside at %v", one.At)
			}
			out[one.Key] = one.Reason
		}
		return out
	}
	until(t, "five events are sent, and two items set aside", func() bool {
		return env.BusStats().Events == 5 && len(aside()) == 2 && len(waiting(t, db)) == 2
	})
	reasons := aside()
	if !strings.Contains(reasons[unreadable], "not an event's JSON") || !strings.Contains(reasons[refused], "MalformedDetail") {
		t.Errorf("reasons %v", reasons)
	}

	put(t, db, event.Type, time.Now(), string(event.Detail)) // a new item of its own
	if err := store.PutBack(t.Context(), unreadable); err != nil {
		t.Fatal(err)
	}
	until(t, "an item that was not mended is set aside again", func() bool { return len(aside()) == 2 && env.BusStats().Events == 6 })
	_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(outboxTable), Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: unreadable}},
		UpdateExpression:          aws.String("SET events[0] = :mended"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":mended": &types.AttributeValueMemberS{Value: string(withdrawal(t).Detail)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.PutBack(t.Context(), unreadable); err != nil {
		t.Fatal(err)
	}
	until(t, "the mended item is sent", func() bool { return env.BusStats().Events == 7 && len(waiting(t, db)) == 1 })
	needed(t, env, "dynamodb:UpdateItem", "table/"+outboxTable)
}

// losing loses the answers of the first requests of an operation.
type losing struct {
	operation string
	left      atomic.Int32
}

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.Header.Get("X-Amz-Target"), l.operation) && l.left.Add(-1) >= 0 {
		answer.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return answer, err
}

func TestALostAnswerIsNeitherASecondCommitNorAFailure(t *testing.T) {
	env, db := startOutbox(t)
	lost := &losing{operation: ".TransactWriteItems"}
	lost.left.Store(2)
	config := awsConfig(env.Endpoint())
	config.HTTPClient = &http.Client{Transport: lost}
	err := outboxdynamo.New(dynamodb.NewFromConfig(config), outboxConfig).InTx(t.Context(), func(s *outboxdynamo.Session) error {
		err := s.Write(types.TransactWriteItem{Put: &types.Put{
			TableName: aws.String("penstock-local-ledger"), Item: ledgerKey("A", "1"), ConditionExpression: aws.String("attribute_not_exists(account)"),
		}})
		return errors.Join(err, s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()))
	})
	if err != nil || lost.left.Load() > 0 {
		t.Fatalf("%v, %d answers were not lost", err, lost.left.Load())
	}
	until(t, "the event is sent", func() bool { return len(waiting(t, db)) == 0 })
	if n := env.BusStats().Events; n != 1 {
		t.Errorf("%d events", n)
	}
}

func ledgerKey(account, id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"account": &types.AttributeValueMemberS{Value: account}, "id": &types.AttributeValueMemberS{Value: id}}
}

func TestOfManyRepeatsAtOnceOneCommits(t *testing.T) {
	env, db := startOutbox(t)
	outboxes := outboxdynamo.New(db, outboxConfig)
	var group sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		group.Go(func() {
			errs[i] = outboxes.InTx(t.Context(), func(s *outboxdynamo.Session) error {
				err := s.Write(types.TransactWriteItem{Put: &types.Put{TableName: aws.String("penstock-local-ledger"), Item: ledgerKey("A", fmt.Sprint(i))}})
				return errors.Join(err, s.Once("f/s/1"), s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()))
			})
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	ledger, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("penstock-local-ledger"), ConsistentRead: aws.Bool(true)})
	if err != nil || len(ledger.Items) != 1 {
		t.Fatalf("%d entries, %v", len(ledger.Items), err)
	}
	until(t, "the event is sent", func() bool { return len(waiting(t, db)) == 0 && env.BusStats().Events > 0 })
	if n := env.BusStats().Events; n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestACancelledTransactionNamesTheUsersWrite(t *testing.T) {
	_, db := startOutbox(t)
	write := func(id, condition string) types.TransactWriteItem {
		one := &types.Put{TableName: aws.String("penstock-local-ledger"), Item: ledgerKey("A", id)}
		if condition != "" {
			one.ConditionExpression = &condition
		}
		return types.TransactWriteItem{Put: one}
	}
	err := outboxdynamo.New(db, outboxConfig).InTx(t.Context(), func(s *outboxdynamo.Session) error {
		return errors.Join(s.Write(write("1", ""), write("2", "attribute_exists(account)")), s.Once("f/s/1"),
			s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal()))
	})
	var cancelled *outboxdynamo.CanceledError
	if !errors.As(err, &cancelled) || cancelled.Index != 1 || aws.ToString(cancelled.Reason.Code) != "ConditionalCheckFailed" {
		t.Errorf("got %v", err)
	}
	if left := waiting(t, db); len(left) != 0 {
		t.Errorf("in the outbox: %+v", left)
	}
}

// What the session lets through, DynamoDB takes.
func TestATransactionAtTheLimitsIsCommitted(t *testing.T) {
	env, db := startOutbox(t)
	large := func(n int) events.Event {
		return savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = strings.Repeat("x", n) })
	}
	for what, batch := range map[string][]events.Event{
		"an event that fills its item": {large(392<<10 - 700)},
		"nearly 4 MB":                  slices.Repeat([]events.Event{large(392<<10 - 700)}, 10),
		"three thousand events":        slices.Repeat([]events.Event{large(1)}, 3000),
	} {
		before := env.BusStats().Events
		err := outboxdynamo.New(db, outboxConfig).InTx(t.Context(), func(s *outboxdynamo.Session) error {
			return s.PublishBatchAfterCommit(t.Context(), batch)
		})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		until(t, what, func() bool { return env.BusStats().Events == before+len(batch) })
	}
}
