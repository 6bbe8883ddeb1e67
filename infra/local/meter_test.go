package local_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// used is what there was of a unit, of all resources whose name has this end.
func used(u *meter.Usage, unit meter.Unit, end string) float64 {
	total := 0.0
	for _, c := range u.Counts {
		if c.Unit == unit && strings.HasSuffix(c.Resource, end) {
			total += c.Quantity
		}
	}
	return total
}

func TestEveryBillableUnitOfALoadIsCounted(t *testing.T) {
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := start(t, snapshot, dir)
	t.Cleanup(func() { _ = env.Close() })

	// All messages are there when polling begins, so that every batch is full.
	functions := lambda.NewFromConfig(awsConfig(env.Endpoint()))
	mappings, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(trades)})
	if err != nil {
		t.Fatal(err)
	}
	enable := func(enabled bool) {
		t.Helper()
		if _, err := functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: mappings.EventSourceMappings[0].UUID, Enabled: &enabled}); err != nil {
			t.Fatal(err)
		}
	}
	enable(false)
	state := func() string {
		out, err := functions.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: mappings.EventSourceMappings[0].UUID})
		if err != nil {
			t.Fatal(err)
		}
		return *out.State
	}
	until(t, "the mapping is disabled", func() bool { return state() == "Disabled" })

	const small, batch = 1000, 10
	bus := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	var all []events.Event
	for range small {
		all = append(all, trade(t, "ACME"))
	}
	if err := bus.PublishBatch(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	enable(true)
	now := func() *meter.Usage {
		u, err := meter.Read(dir)
		if err != nil {
			return &meter.Usage{} // it is not written yet
		}
		return u
	}
	until(t, "all batches are deleted", func() bool {
		return used(now(), meter.QueueRequest, "-allocations") >= small+2*small/batch
	})

	db := dynamodb.NewFromConfig(awsConfig(env.Endpoint()))
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}}
	put := types.TransactWriteItem{Put: &types.Put{TableName: aws.String("penstock-local-accounts"), Item: key}}
	if _, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put}}); err != nil {
		t.Fatal(err)
	}
	put.Put.ConditionExpression = aws.String("attribute_not_exists(id)")
	if _, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put}}); err == nil {
		t.Fatal("an item is put twice")
	}
	if _, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: put.Put.TableName, Key: key}); err != nil {
		t.Fatal(err)
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}

	u := now()
	for _, c := range []struct {
		unit     meter.Unit
		resource string
		want     float64
	}{
		{meter.Published, "trading/TRADE_ALLOCATED", small},
		{meter.CustomEvent, "trading/TRADE_ALLOCATED", small},
		{meter.PutEventsCall, "penstock-local", small / 10},
		{meter.Delivery, "-allocations", small},
		{meter.QueueRequest, "-allocations", small + 2*small/batch}, // one send each; a receive and a delete a batch
		{meter.FunctionRequest, trades, small / batch},
		{meter.TableWrite, "-accounts", 4}, // two a transaction, the refused one too
		{meter.TableRead, "-accounts", 0.5},
	} {
		if got := used(u, c.unit, c.resource); got != c.want {
			t.Errorf("%s of …%s: %v, want %v", c.unit, c.resource, got, c.want)
		}
	}
	if u.CustomMetrics == 0 || used(u, meter.LogByte, trades) < small*100 {
		t.Errorf("%d custom metrics, %v bytes of log", u.CustomMetrics, used(u, meter.LogByte, trades))
	}
	i := slices.IndexFunc(u.Batches, func(b meter.Batches) bool { return b.Function == trades })
	if i < 0 {
		t.Fatalf("no batches of %s in %+v", trades, u.Batches)
	}
	b := u.Batches[i]
	if b.Invocations != small/batch || b.Records != small || b.RecordsSq != small*batch || b.RecordsMs != b.BilledMs*batch || b.BilledMs < b.Invocations || b.MemoryMB != 256 {
		t.Errorf("got %+v", b)
	}
	// What is billed is never less than the batches took: Init comes on top.
	if gb := used(u, meter.FunctionGBSecond, trades); gb < b.BilledMs/1000/4 {
		t.Errorf("%v GB-seconds of %v ms with 256 MB", gb, b.BilledMs)
	}
}

func TestALargeEventIsBilledBy64KB(t *testing.T) {
	dir := t.TempDir()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, snapshot, dir)
	t.Cleanup(func() { _ = env.Close() })
	bus := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	large := trading.SampleTradeAllocated(func(a *trading.TradeAllocated) { a.Instrument = strings.Repeat("x", 100<<10) })
	if err := bus.Publish(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	// The send and the receive have two pieces, the delete is one request.
	until(t, "the event is handled", func() bool {
		u, err := meter.Read(dir)
		return err == nil && used(u, meter.QueueRequest, "-allocations") >= 5
	})
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	u, err := meter.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if events, requests := used(u, meter.CustomEvent, ""), used(u, meter.QueueRequest, "-allocations"); events != 2 || requests != 5 || used(u, meter.Published, "") != 1 {
		t.Errorf("%v custom events, %v requests: %+v", events, requests, u.Counts)
	}
}
