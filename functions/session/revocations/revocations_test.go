package revocations_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/revocations"
)

// items is a table in memory, which answers for one key at a time.
type items struct {
	byKey map[string]map[string]types.AttributeValue
	err   error
	deaf  bool // answers for none
}

func (i *items) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	i.byKey[in.Item["pk"].(*types.AttributeValueMemberS).Value] = in.Item
	return &dynamodb.PutItemOutput{}, i.err
}

func (i *items) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	asked := in.RequestItems["sessions"]
	if i.err != nil || !*asked.ConsistentRead {
		return nil, i.err
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	answered := len(asked.Keys)/2 + 1
	if i.deaf {
		answered = 0
	}
	for _, key := range asked.Keys[:answered] {
		if item := i.byKey[key["pk"].(*types.AttributeValueMemberS).Value]; item != nil {
			out.Responses["sessions"] = append(out.Responses["sessions"], item)
		}
	}
	if rest := asked.Keys[answered:]; len(rest) > 0 {
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{"sessions": {Keys: rest, ConsistentRead: asked.ConsistentRead}}
	}
	return out, nil
}

var about = session.Claims{User: "u", Event: "e", Function: "f"}

func TestARevocationIsOfWhatWasMintedUntilThenAndNothingElse(t *testing.T) {
	for kind, value := range map[revocations.Kind]string{
		revocations.Session: "id", revocations.Event: "e", revocations.Function: "f", revocations.User: "u",
	} {
		synctest.Test(t, func(t *testing.T) {
			table := &revocations.Table{Client: &items{byKey: map[string]map[string]types.AttributeValue{}}, Name: "sessions"}
			before := session.Session{Claims: about, ID: "id", Issued: time.Now()}
			expect := func(what string, s session.Session, want bool) {
				t.Helper()
				if got, err := table.Revoked(t.Context(), s); err != nil || got != want {
					t.Errorf("%s, %s: %t, %v", kind, what, got, err)
				}
			}
			expect("nothing is revoked", before, false)
			time.Sleep(5 * time.Minute)
			expires, err := table.Revoke(t.Context(), kind, value)
			if err != nil || expires.Before(time.Now().Add(session.MaxLifetime)) {
				t.Fatal(expires, err)
			}
			expect("before", before, true)
			expect("in the same second", session.Session{Claims: about, ID: "id", Issued: time.Now()}, true)
			expect("another's", session.Session{Claims: session.Claims{User: "u2", Event: "e2", Function: "f2"}, ID: "id2", Issued: before.Issued}, false)
			time.Sleep(time.Second)
			expect("afterwards", session.Session{Claims: about, ID: "id", Issued: time.Now()}, false)
		})
	}
}

func TestWhereRevocationsCannotBeReadNoAnswerIsGiven(t *testing.T) {
	for _, client := range []*items{{err: errors.New("throttled")}, {deaf: true}} {
		table := &revocations.Table{Client: client, Name: "sessions"}
		if _, err := table.Revoked(t.Context(), session.Session{Claims: about, ID: "id"}); err == nil {
			t.Errorf("%+v: no error", client)
		}
	}
}

func TestARevocationIsOfSomething(t *testing.T) {
	table := &revocations.Table{Client: &items{}, Name: "sessions"}
	if _, err := table.Revoke(t.Context(), revocations.User, ""); err == nil {
		t.Error("revoked the sessions of nobody")
	}
}
