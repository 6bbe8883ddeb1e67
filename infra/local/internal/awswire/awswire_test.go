package awswire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

type in struct {
	Name    string
	Entries []struct{ Size int }
}

type out struct{ Greeting string }

func testMux() *Mux {
	m := NewMux(slog.New(slog.DiscardHandler))
	m.JSON("Test_2026", "1.0", Operations{
		"Greet": Op(func(ctx context.Context, in *in) (*out, error) {
			switch in.Name {
			case "":
				return nil, &Error{Code: "ValidationException", Message: "no name", Fields: map[string]any{"Reasons": []string{"empty"}}}
			case "broken":
				return nil, errors.New("broken inside")
			}
			return &out{"hello " + in.Name + " from " + CallerFrom(ctx).AccessKeyID}, nil
		}),
	})
	m.Query("old", func(_ context.Context, action string, form url.Values) ([]byte, error) {
		if action != "Greet" {
			return nil, Errorf("InvalidAction", "no %s", action)
		}
		return []byte("<Greeting>" + form.Get("Name") + "</Greeting>"), nil
	})
	m.Path("GET /things/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PathValue("id"))
	}))
	return m
}

func call(method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/old/aws4_request, SignedHeaders=host, Signature=x")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	testMux().ServeHTTP(w, r)
	return w
}

func TestEachProtocolFindsItsOperationAndItsErrors(t *testing.T) {
	greet := map[string]string{"X-Amz-Target": "Test_2026.Greet"}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		want                     string
	}{
		{"json", "POST", "/", `{"Name":"Ann"}`, greet, 200, `{"Greeting":"hello Ann from KEY"}`},
		{"an error keeps its fields", "POST", "/", `{}`, greet, 400, `"Reasons":["empty"]`},
		{"an unknown parameter is named", "POST", "/", `{"Name":"a","Entries":[{"Size":1},{"Sice":1}]}`, greet, 400, `parameter Entries[1].Sice is not supported`},
		{"a wrong type is named", "POST", "/", `{"Entries":[{"Size":"x"}]}`, greet, 400, `parameter Entries[0].Size`},
		{"not JSON", "POST", "/", `{"Name":`, greet, 400, `SerializationException`},
		{"an unknown operation is named", "POST", "/", `{}`, map[string]string{"X-Amz-Target": "Test_2026.Leave"}, 400, `operation Test_2026.Leave is not supported`},
		{"an unknown service is named", "POST", "/", `{}`, map[string]string{"X-Amz-Target": "Other.Greet"}, 400, `service Other is not served`},
		{"an unexpected failure", "POST", "/", `{"Name":"broken"}`, greet, 500, `InternalFailure`},
		{"no credentials", "POST", "/", `{}`, map[string]string{"X-Amz-Target": "Test_2026.Greet", "Authorization": ""}, 403, `carries no credentials`},
		{"query", "POST", "/", `Action=Greet&Name=Ann`, form, 200, `<Greeting>Ann</Greeting>`},
		{"query error", "POST", "/", `Action=Leave`, form, 400, `<Code>InvalidAction</Code>`},
		{"path", "GET", "/things/7", ``, nil, 200, `7`},
		{"unknown path", "GET", "/other", ``, nil, 404, `GET /other is not served`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := call(c.method, c.path, c.body, c.header)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Fatalf("status %d, body %s; want %d and %s", w.Code, w.Body, c.status, c.want)
			}
			if id := w.Header().Get("x-amzn-RequestId"); id == "" {
				t.Error("no request id")
			}
		})
	}
}
