package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/secrets"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

const queue = "penstock-test-withdrawal-fee-withdrawals"

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

// invoke runs the function on a batch and returns the ids of failed messages.
func invoke(t *testing.T, db *database, batch ...events.Event) []string {
	t.Helper()
	t.Setenv("PENSTOCK_FUNCTION", "withdrawal-fee")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "penstock-test-withdrawal-fee")
	f, err := newFees(db, vault{coreToken: secretstest.Value("core")}, environment)
	if err != nil {
		t.Fatal(err)
	}
	fn := handler.New(handler.Each(f.charge)).WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	response, err := fn.Invoke(t.Context(), handlertest.Payload(t, queue, batch...))
	if err != nil {
		t.Fatal(err)
	}
	return handlertest.Failed(t, response)
}

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
	if failed := invoke(t, db, withdrawal); len(failed) != 0 {
		t.Fatalf("failed: %v", failed)
	}
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
	invoke(t, db, withdrawal)
	invoke(t, db, withdrawal)
	first, second := db.transactions[0].TransactItems, db.transactions[1].TransactItems
	if value(t, first[1].Put.Item, "id") == value(t, second[1].Put.Item, "id") {
		t.Error("both entries have the same id: a duplicate would not show")
	}
	if a, b := value(t, first[2].Put.Item, "pk"), value(t, second[2].Put.Item, "pk"); a != b {
		t.Errorf("the event's id changed from %s to %s", a, b)
	}
}

func TestAWithdrawalFailsWithoutTheTokenAndNothingIsWritten(t *testing.T) {
	t.Setenv("PENSTOCK_FUNCTION", "withdrawal-fee")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "penstock-test-withdrawal-fee")
	db := &database{}
	f, err := newFees(db, vault{}, environment)
	if err != nil {
		t.Fatal(err)
	}
	fn := handler.New(handler.Each(f.charge)).WithLogger(slog.New(slog.DiscardHandler))
	response, err := fn.Invoke(t.Context(), handlertest.Payload(t, queue, savings.SampleWithdrawal()))
	if err != nil {
		t.Fatal(err)
	}
	if failed := handlertest.Failed(t, response); len(failed) != 1 || len(db.transactions) != 0 {
		t.Fatalf("failed %v, transactions %v", failed, db.transactions)
	}
}

func TestARepeatCountsAsHandled(t *testing.T) {
	db := &database{fail: func(*dynamodb.TransactWriteItemsInput) error {
		return &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{
			{Code: aws.String("ConditionalCheckFailed")}, {Code: aws.String("None")}, {Code: aws.String("None")},
		}}
	}}
	if failed := invoke(t, db, savings.SampleWithdrawal()); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
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
	failed := invoke(t, db, account("ACC-1"), account("ACC-2"), account("ACC-3"))
	if !slices.Equal(failed, []string{handlertest.MessageID(1)}) {
		t.Errorf("failed: %v", failed)
	}
}

func TestAWithdrawalOfNothingFails(t *testing.T) {
	db := &database{}
	failed := invoke(t, db, savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = 0 }))
	if len(failed) != 1 || len(db.transactions) != 0 {
		t.Errorf("failed %v, transactions %v", failed, db.transactions)
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
