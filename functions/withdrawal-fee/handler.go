package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/secrets"
)

// coreToken is the secret that this function shares with core banking; it is
// named in function.json.
const coreToken = "core-api-token"

// secretReader reads secrets: *secrets.Cache.
type secretReader interface {
	Get(ctx context.Context, name string) (secrets.Secret, error)
}

// fees charges fees. It is safe for concurrent use.
type fees struct {
	outbox  *outboxdynamo.Outbox
	secrets secretReader
	ledger  string // the table of fees
	percent string // a decimal number, as in "0.5"
}

// newFees reads the settings that the function's manifest gives it.
func newFees(db outboxdynamo.API, secrets secretReader, getenv func(string) string) (*fees, error) {
	for _, name := range []string{"PENSTOCK_TABLE_LEDGER", "PENSTOCK_OUTBOX_TABLE", "PENSTOCK_IDEMPOTENCY_TABLE"} {
		if getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: it is the name of a table, given by the deployment", name)
		}
	}
	percent := getenv("FEE_PERCENT")
	if !decimal.MatchString(percent) {
		return nil, fmt.Errorf(`FEE_PERCENT is %q: want a decimal number such as "0.5"`, percent)
	}
	return &fees{
		outbox: outboxdynamo.New(db, outboxdynamo.Config{
			Table:      getenv("PENSTOCK_OUTBOX_TABLE"),
			MarksTable: getenv("PENSTOCK_IDEMPOTENCY_TABLE"),
		}),
		secrets: secrets,
		ledger:  getenv("PENSTOCK_TABLE_LEDGER"),
		percent: percent,
	}, nil
}

var decimal = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,9})?$`)

// charge puts the fee of one withdrawal into the ledger and announces it, both
// in one transaction, and at most once however often the withdrawal is
// delivered.
func (f *fees) charge(ctx context.Context, m *handler.Message[savings.Withdrawal]) error {
	w := m.Event
	if w.Amount <= 0 {
		return handler.Permanent(fmt.Errorf("withdrawal %s: amount %v: must be positive", w.TransactionID, w.Amount))
	}
	amount := fee(w.Amount, f.percent)
	token, err := f.secrets.Get(ctx, coreToken)
	if err != nil {
		return err
	}
	return f.outbox.InTx(ctx, func(s *outboxdynamo.Session) error {
		if err := s.Once(m.EventKey()); err != nil {
			return err
		}
		// A new id for every attempt: without Once a second delivery would be
		// a second fee.
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		s.Write(types.TransactWriteItem{Put: &types.Put{
			TableName: &f.ledger,
			Item: map[string]types.AttributeValue{
				"account":       text(w.AccountID),
				"id":            text(id.String()),
				"withdrawalId":  text(m.Metadata.ID),
				"transactionId": text(w.TransactionID),
				"amount":        number(amount),
				"currency":      text(w.Currency),
				"percent":       number(f.percent),
				"chargedAt":     text(time.Now().UTC().Format(time.RFC3339Nano)),
				"signature":     text(signature(token.Value.Reveal(), w.AccountID, id.String(), amount, w.Currency)),
			},
		}})
		published, err := strconv.ParseFloat(amount, 64)
		if err != nil {
			return err
		}
		return s.PublishAfterCommit(ctx, savings.FeeCharged{
			AccountID:    w.AccountID,
			WithdrawalID: m.Metadata.ID,
			EntryID:      id.String(),
			Amount:       published,
			Currency:     w.Currency,
		})
	})
}

// fee returns percent of amount with two decimals, rounded to the nearest cent
// and half a cent away from zero. It calculates with the decimal number that
// the event's JSON held, not with its binary neighbour: half a percent of 201
// is 1.005, which as a float64 lies below it and would become 1.00.
func fee(amount float64, percent string) string {
	exact := rational(strconv.FormatFloat(amount, 'f', -1, 64))
	exact.Mul(exact, rational(percent))
	exact.Quo(exact, big.NewRat(100, 1))
	return exact.FloatString(2) // rounds half away from zero
}

// rational reads a decimal number that is known to be one.
func rational(decimal string) *big.Rat {
	r, ok := new(big.Rat).SetString(decimal)
	if !ok {
		panic("not a decimal number: " + decimal)
	}
	return r
}

// signature lets core banking check that an entry was made by a holder of its
// token, and not changed since: the HMAC-SHA256 of the entry's fields, one a
// line, in hexadecimal digits.
func signature(token string, fields ...string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(strings.Join(fields, "\n")))
	return hex.EncodeToString(mac.Sum(nil))
}

func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func number(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }
