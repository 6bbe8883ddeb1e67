package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/secrets"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

// database keeps the transactions it was given, and fails those that fail
// says.
type database struct {
	fail func(*dynamodb.TransactWriteItemsInput) error

	mu           sync.Mutex
	transactions []*dynamodb.TransactWriteItemsInput
}

func (d *database) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.transactions = append(d.transactions, in)
	if d.fail != nil {
		if err := d.fail(in); err != nil {
			return nil, err
		}
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

// vault holds secrets.
type vault map[string]string

func (v vault) Get(_ context.Context, name string) (secrets.Secret, error) {
	value, ok := v[name]
	if !ok {
		return secrets.Secret{}, fmt.Errorf("secret %q does not exist", name)
	}
	return secrets.Secret{Name: name, Value: secrets.NewValue(value)}, nil
}

func environment(name string) string {
	return map[string]string{
		"FEE_PERCENT":                "0.5",
		"PENSTOCK_TABLE_LEDGER":      "ledger",
		"PENSTOCK_OUTBOX_TABLE":      "outbox",
		"PENSTOCK_IDEMPOTENCY_TABLE": "marks",
	}[name]
}

// send runs the function on a batch.
func send(t *testing.T, db *database, secrets vault, batch ...events.Event) *handlertest.Result {
	t.Helper()
	f, err := newFees(db, secrets, environment)
	if err != nil {
		t.Fatal(err)
	}
	return handlertest.New(t, handler.Each(f.charge)).
		With(handlertest.Named("withdrawal-fee", "penstock-test-withdrawal-fee"), handlertest.From("withdrawals")).
		Send(batch...)
}

var core = vault{coreToken: secretstest.Value("core")}

func value(t *testing.T, item map[string]types.AttributeValue, name string) string {
	t.Helper()
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	t.Fatalf("item has no text or number %q: %v", name, item)
	return ""
}

func TestAWithdrawalIsChargedInOneTransaction(t *testing.T) {
	db := &database{}
	withdrawal := events.Stamp(t.Context(), savings.SampleWithdrawal())
	send(t, db, core, withdrawal).RequireHandled()
	if len(db.transactions) != 1 || len(db.transactions[0].TransactItems) != 3 {
		t.Fatalf("want one transaction of mark, fee and event; got %v", db.transactions)
	}
	mark, fee, event := db.transactions[0].TransactItems[0].Put, db.transactions[0].TransactItems[1].Put, db.transactions[0].TransactItems[2].Put

	if *mark.TableName != "marks" || *mark.ConditionExpression != "attribute_not_exists(pk)" {
		t.Errorf("mark goes to %s if %s", *mark.TableName, *mark.ConditionExpression)
	}
	if got, want := value(t, mark.Item, "pk"), "withdrawal-fee/withdrawals/"+withdrawal.ID; got != want {
		t.Errorf("mark is %q, want %q", got, want)
	}

	if *fee.TableName != "ledger" {
		t.Errorf("fee goes to %s", *fee.TableName)
	}
	for name, want := range map[string]string{
		"account": "ACC-1001", "withdrawalId": withdrawal.ID, "transactionId": "TX-77120",
		"amount": "1.25", "currency": "EUR", "percent": "0.5",
	} {
		if got := value(t, fee.Item, name); got != want {
			t.Errorf("fee's %s is %q, want %q", name, got, want)
		}
	}
	if value(t, fee.Item, "id") == "" || value(t, fee.Item, "chargedAt") == "" || len(fee.Item) != 9 {
		t.Errorf("fee is %v", fee.Item)
	}

	if got, want := value(t, fee.Item, "signature"), signature(secretstest.Value("core"), "ACC-1001", value(t, fee.Item, "id"), "1.25", "EUR"); got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}

	if *event.TableName != "outbox" || !strings.HasPrefix(value(t, event.Item, "pk"), "savings/FEE_CHARGED#") {
		t.Errorf("event %s goes to %s", value(t, event.Item, "pk"), *event.TableName)
	}
	detail := event.Item["events"].(*types.AttributeValueMemberL).Value[0].(*types.AttributeValueMemberS).Value
	for _, want := range []string{
		`"causationId":"` + withdrawal.ID + `"`,
		`"correlationId":"` + withdrawal.CorrelationID + `"`,
		`"withdrawalId":"` + withdrawal.ID + `"`,
		`"entryId":"` + value(t, fee.Item, "id") + `"`,
		`"amount":1.25`,
	} {
		if !strings.Contains(detail, want) {
			t.Errorf("event %s has no %s", detail, want)
		}
	}
}

func TestASecondDeliveryMakesAnotherEntryAndTheSameEvent(t *testing.T) {
	db := &database{}
	withdrawal := events.Stamp(t.Context(), savings.SampleWithdrawal())
	send(t, db, core, withdrawal)
	send(t, db, core, withdrawal)
	first, second := db.transactions[0].TransactItems, db.transactions[1].TransactItems
	if value(t, first[1].Put.Item, "id") == value(t, second[1].Put.Item, "id") {
		t.Error("both entries have the same id: a duplicate would not show")
	}
	if a, b := eventID(t, first[2].Put.Item), eventID(t, second[2].Put.Item); a != b {
		t.Errorf("the event's id changed from %s to %s", a, b)
	}
}

// eventID is the id of the one event of an outbox item.
func eventID(t *testing.T, item map[string]types.AttributeValue) string {
	t.Helper()
	detail := item["events"].(*types.AttributeValueMemberL).Value[0].(*types.AttributeValueMemberS).Value
	m, err := outboxdynamo.Decode(value(t, item, "pk"), []string{detail})
	if err != nil {
		t.Fatal(err)
	}
	return m.Entries[0].ID
}

func TestAWithdrawalFailsWithoutTheTokenAndNothingIsWritten(t *testing.T) {
	db := &database{}
	result := send(t, db, vault{}, savings.SampleWithdrawal())
	result.RequireOutcomes("failed")
	result.RequireReason(0, coreToken)
	if len(db.transactions) != 0 {
		t.Errorf("transactions %v", db.transactions)
	}
}

func TestARepeatCountsAsHandled(t *testing.T) {
	db := &database{fail: func(*dynamodb.TransactWriteItemsInput) error {
		return &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{
			{Code: aws.String("ConditionalCheckFailed")}, {Code: aws.String("None")}, {Code: aws.String("None")},
		}}
	}}
	send(t, db, core, savings.SampleWithdrawal()).RequireHandled()
}

func TestADatabaseErrorFailsItsMessageAlone(t *testing.T) {
	db := &database{fail: func(in *dynamodb.TransactWriteItemsInput) error {
		if value(t, in.TransactItems[1].Put.Item, "account") == "ACC-2" {
			return errors.New("ProvisionedThroughputExceededException")
		}
		return nil
	}}
	account := func(id string) events.Event {
		return savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = id })
	}
	send(t, db, core, account("ACC-1"), account("ACC-2"), account("ACC-3")).RequireOutcomes("handled", "failed", "handled")
}

func TestAWithdrawalOfNothingFails(t *testing.T) {
	db := &database{}
	result := send(t, db, core, savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = 0 }))
	result.RequireOutcomes("permanent")
	result.RequireReason(0, "must be positive")
	if len(db.transactions) != 0 {
		t.Errorf("transactions %v", db.transactions)
	}
}

func TestFeesAreRoundedToTheCentHalfAwayFromZero(t *testing.T) {
	for _, c := range []struct {
		amount  float64
		percent string
		want    string
	}{
		{250, "0.5", "1.25"},
		{201, "0.5", "1.01"},   // 1.005
		{0.99, "0.5", "0.00"},  // 0.00495
		{1, "0.5", "0.01"},     // 0.005
		{1.1, "50", "0.55"},    // exact
		{100.1, "2.5", "2.50"}, // 2.5025
		{1e15 + 0.5, "1", "10000000000000.01"},
		{250, "0", "0.00"},
	} {
		if got := fee(c.amount, c.percent); got != c.want {
			t.Errorf("%s %% of %v is %s, want %s", c.percent, c.amount, got, c.want)
		}
	}
}

func TestAFeeInWholeCentsIsThatOfIntegerArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(1, 1_000_000_000_00).Draw(t, "cents")
		want := (cents*5 + 500) / 1000 // half a percent, half a cent up
		got := fee(float64(cents)/100, "0.5")
		if got != fmt.Sprintf("%d.%02d", want/100, want%100) {
			t.Fatalf("half a percent of %d cents: got %s, want %d cents", cents, got, want)
		}
	})
}

func TestAMissingSettingIsNamed(t *testing.T) {
	for _, name := range []string{"FEE_PERCENT", "PENSTOCK_TABLE_LEDGER", "PENSTOCK_OUTBOX_TABLE", "PENSTOCK_IDEMPOTENCY_TABLE"} {
		_, err := newFees(&database{}, vault{}, func(n string) string {
			if n == name {
				return ""
			}
			return environment(n)
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}
