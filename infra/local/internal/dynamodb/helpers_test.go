package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// accounts has a partition key; ledger has a sort key that is a number.
var (
	accounts = Table{Name: "accounts", PartitionKey: KeyAttribute{"pk", "S"}}
	ledger   = Table{Name: "ledger", PartitionKey: KeyAttribute{"pk", "S"}, SortKey: KeyAttribute{"sk", "N"}}
)

// open opens a service on the store in dir. It is closed with its store by the
// function returned, or at the test's end.
func open(t testing.TB, dir string, tables ...Table) (*Service, func()) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(st, Config{Account: "123456789012", Region: "eu-west-1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if err := s.CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	open := true
	closeBoth := func() {
		if open {
			open = false
			s.Close()
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(closeBoth)
	return s, closeBoth
}

// connect returns an SDK client of the service, over HTTP.
func connect(t testing.TB, s *Service) *sdk.Client {
	t.Helper()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.JSON(Target, "1.0", s.Operations())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{
		BaseEndpoint: &server.URL,
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
}

// client is a service of its own with the given tables, and an SDK client.
func client(t testing.TB, tables ...Table) *sdk.Client {
	t.Helper()
	s, _ := open(t, t.TempDir(), tables...)
	return connect(t, s)
}

// call calls an operation with parameters as the wire has them.
func call(t testing.TB, s *Service, operation, parameters string) (string, error) {
	t.Helper()
	out, err := s.Operations()[operation](context.Background(), []byte(parameters))
	return string(out), err
}

// must is call for what cannot fail.
func must(t testing.TB, s *Service, operation, parameters string) string {
	t.Helper()
	out, err := call(t, s, operation, parameters)
	if err != nil {
		t.Fatalf("%s %s: %v", operation, parameters, err)
	}
	return out
}

// item makes an SDK item of DynamoDB's JSON.
func item(t testing.TB, text string) map[string]types.AttributeValue {
	t.Helper()
	var raw map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out := map[string]types.AttributeValue{}
	for name, v := range raw {
		out[name] = value(t, v)
	}
	return out
}

func value(t testing.TB, raw map[string]json.RawMessage) types.AttributeValue {
	t.Helper()
	into := func(data json.RawMessage, v any) {
		if err := json.Unmarshal(data, v); err != nil {
			t.Fatal(err)
		}
	}
	for kind, data := range raw {
		switch kind {
		case "S":
			v := &types.AttributeValueMemberS{}
			into(data, &v.Value)
			return v
		case "N":
			v := &types.AttributeValueMemberN{}
			into(data, &v.Value)
			return v
		case "B":
			v := &types.AttributeValueMemberB{}
			into(data, &v.Value)
			return v
		case "BOOL":
			v := &types.AttributeValueMemberBOOL{}
			into(data, &v.Value)
			return v
		case "NULL":
			return &types.AttributeValueMemberNULL{Value: true}
		case "SS":
			v := &types.AttributeValueMemberSS{}
			into(data, &v.Value)
			return v
		case "NS":
			v := &types.AttributeValueMemberNS{}
			into(data, &v.Value)
			return v
		case "BS":
			v := &types.AttributeValueMemberBS{}
			into(data, &v.Value)
			return v
		case "L":
			var elements []map[string]json.RawMessage
			into(data, &elements)
			v := &types.AttributeValueMemberL{Value: []types.AttributeValue{}}
			for _, e := range elements {
				v.Value = append(v.Value, value(t, e))
			}
			return v
		case "M":
			return &types.AttributeValueMemberM{Value: item(t, string(data))}
		}
	}
	t.Fatalf("no value: %s", raw)
	return nil
}

// text writes an SDK item as DynamoDB's JSON, sorted; "" for none.
func text(items ...map[string]types.AttributeValue) string {
	var out []string
	for _, m := range items {
		if m != nil {
			data, err := json.Marshal(plain(&types.AttributeValueMemberM{Value: m})["M"])
			if err != nil {
				panic(err)
			}
			out = append(out, string(data))
		}
	}
	return strings.Join(out, " ")
}

func plain(v types.AttributeValue) map[string]any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": v.Value}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberNULL:
		return map[string]any{"NULL": v.Value}
	case *types.AttributeValueMemberSS:
		return map[string]any{"SS": v.Value}
	case *types.AttributeValueMemberNS:
		return map[string]any{"NS": v.Value}
	case *types.AttributeValueMemberBS:
		return map[string]any{"BS": v.Value}
	case *types.AttributeValueMemberL:
		list := []any{}
		for _, e := range v.Value {
			list = append(list, plain(e))
		}
		return map[string]any{"L": list}
	case *types.AttributeValueMemberM:
		m := map[string]any{}
		for name, e := range v.Value {
			m[name] = plain(e)
		}
		return map[string]any{"M": m}
	}
	return nil
}

// putAll puts items into a table.
func putAll(t testing.TB, c *sdk.Client, table string, items ...string) {
	t.Helper()
	for _, one := range items {
		if _, err := c.PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: item(t, one)}); err != nil {
			t.Fatalf("put %s: %v", one, err)
		}
	}
}

// get reads an item; "" if there is none.
func get(t testing.TB, c *sdk.Client, table, key string) string {
	t.Helper()
	out, err := c.GetItem(t.Context(), &sdk.GetItemInput{TableName: &table, Key: item(t, key), ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return text(out.Item)
}

// refusal returns an AWS error as "Code: Message"; "" for nil.
func refusal(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// expect compares an outcome with what it was to be; an error by its
// beginning.
func expect(t testing.TB, err error, got, want string) {
	t.Helper()
	if message := refusal(err); message != "" {
		if want == "" || !strings.HasPrefix(message, want) {
			t.Errorf("got the error %s\nwant %s", message, want)
		}
		return
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// cancellation returns the reasons of a cancelled transaction.
func cancellation(t testing.TB, err error) []types.CancellationReason {
	t.Helper()
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		t.Fatalf("got %v, want a TransactionCanceledException", err)
	}
	return cancelled.CancellationReasons
}

func mustMap(t testing.TB, text string) attribute.Map {
	t.Helper()
	m, err := attribute.ParseMap([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
