package awswire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type in struct {
	Name    string
	Entries []struct{ Size int }
}

type out struct{ Greeting string }

// echo is answered as it was asked.
type echo struct {
	Count   int               `json:",omitzero"`
	Tags    map[string]string `json:",omitzero"`
	Lines   []string          `json:",omitzero"`
	Entries []struct {
		Id   string
		Tags map[string]string `json:",omitzero"`
	} `json:",omitzero"`
	Nested  struct{ Names []string } `json:",omitzero"`
	Limit   float64                  `json:",omitzero"`
	On      bool                     `json:",omitzero"`
	At      float64                  `json:",omitzero"`
	Hours   []float64                `json:",omitzero"`
	Colours map[string]string        `json:",omitzero"`
}

func testMux() *Mux {
	m := NewMux(slog.New(slog.DiscardHandler))
	m.JSON("Test_2026", "1.0", Operations{
		"Forget": Op(func(context.Context, *in) (*out, error) { return &out{"done"}, nil }),
		"Guarded": Op(func(ctx context.Context, in *in) (*out, error) {
			return &out{"done"}, Authorize(ctx, Access{Action: "test:Guarded", Resource: in.Name})
		}),
		"Greet": Op(func(ctx context.Context, in *in) (*out, error) {
			NeedsNone(ctx)
			switch in.Name {
			case "":
				return nil, &Error{Code: "ValidationException", Message: "no name", Fields: map[string]any{"Reasons": []string{"empty"}}}
			case "broken":
				return nil, errors.New("broken inside")
			}
			return &out{"hello " + in.Name + " from " + CallerFrom(ctx).AccessKeyID}, nil
		}),
	})
	m.Query("old", QueryService{
		Namespace: "urn:old", Numbers: []string{"Count"}, Floats: []string{"Limit"}, Booleans: []string{"On"}, Times: []string{"At", "Hours"}, Maps: map[string][2]string{"Colours": {"key", "value"}},
		Lists: []List{{JSON: "Tags", Wire: "Tag", Key: "Key", Value: "Value"}, {JSON: "Lines", Wire: "Line"}, {JSON: "Entries", Wire: "{action}Entry"}},
		Operations: Operations{
			"Forget": Op(func(context.Context, *in) (*out, error) { return &out{"done"}, nil }),
			"Greet": Op(func(ctx context.Context, in *struct{ Name string }) (*out, error) {
				NeedsNone(ctx)
				return &out{"<" + in.Name + ">"}, nil
			}),
			"Echo": Op(func(ctx context.Context, in *echo) (*echo, error) { NeedsNone(ctx); return in, nil }),
			"Fail": Op(func(context.Context, *echo) (*echo, error) {
				return nil, &Error{Code: "NewName", QueryCode: "Old.Name", Message: "no"}
			}),
		},
	})
	m.CBOR("New", Operations{
		"Echo": Op(func(ctx context.Context, in *echo) (*echo, error) { NeedsNone(ctx); return in, nil }),
		"Fail": Op(func(context.Context, *echo) (*echo, error) { return nil, &Error{Code: "NewName", Message: "no"} }),
	}, "At", "Hours")
	m.Path("GET /things/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		NeedsNone(r.Context())
		_, _ = io.WriteString(w, r.PathValue("id"))
	}))
	m.Path("GET /forgotten", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "done")
	}))
	m.Path("GET /refused", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		WriteError(w, Errorf("Refused", "before it asked"))
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
		{"query", "POST", "/", `Action=Greet&Version=1&Name=Ann`, form, 200, `<GreetResponse xmlns="urn:old"><GreetResult><Greeting>&lt;Ann&gt;</Greeting></GreetResult><ResponseMetadata><RequestId>`},
		{"query error", "POST", "/", `Action=Leave`, form, 400, `<Code>InvalidAction</Code>`},
		{"query error of another name", "POST", "/", `Action=Fail`, form, 400, `<Code>Old.Name</Code>`},
		{"query number", "POST", "/", `Action=Echo&Count=7`, form, 200, `<Count>7</Count>`},
		{"query, not a number", "POST", "/", `Action=Echo&Count=x`, form, 400, `Value x for parameter Count is invalid`},
		{"query map", "POST", "/", `Action=Echo&Tag.1.Key=a&Tag.1.Value=x&Tag.2.Key=b&Tag.2.Value=y`, form, 200,
			`<Tag><Key>a</Key><Value>x</Value></Tag><Tag><Key>b</Key><Value>y</Value></Tag>`},
		{"query, other kinds of value", "POST", "/", `Action=Echo&Limit=-0.5&On=true&At=2026-11-21T15:00:00.250Z&Hours.member.1=2026-11-21T16:00:00Z`, form, 200,
			`<Limit>-0.5</Limit><On>true</On><At>2026-11-21T15:00:00.250Z</At><Hours><member>2026-11-21T16:00:00.000Z</member></Hours>`},
		{"query map in entries", "POST", "/", `Action=Echo&Colours.entry.1.key=a&Colours.entry.1.value=red`, form, 200, `<Colours><entry><key>a</key><value>red</value></entry></Colours>`},
		{"query map without entries", "POST", "/", `Action=Echo&Colours.1.key=a`, form, 400, `parameter Colours.entry is a map`},
		{"query, not a float", "POST", "/", `Action=Echo&Limit=x`, form, 400, `Value x for parameter Limit is invalid. Reason: Must be a number`},
		{"query, not a boolean", "POST", "/", `Action=Echo&On=maybe`, form, 400, `Must be true or false`},
		{"query, not a time", "POST", "/", `Action=Echo&At=noon`, form, 400, `Must be a time like`},
		{"query list", "POST", "/", `Action=Echo&Line.2=y&Line.1=x`, form, 200, `<Line>x</Line><Line>y</Line>`},
		{"query, a lone element", "POST", "/", `Action=Echo&Line=x`, form, 200, `<EchoResult><Line>x</Line></EchoResult>`},
		{"query, entries", "POST", "/", `Action=Echo&EchoEntry.1.Id=e&EchoEntry.1.Tag.1.Key=a&EchoEntry.1.Tag.1.Value=x`, form, 200,
			`<EchoEntry><Id>e</Id><Tag><Key>a</Key><Value>x</Value></Tag></EchoEntry>`},
		{"query, members", "POST", "/", `Action=Echo&Nested.Names.member.1=x&Nested.Names.member.2=y`, form, 200,
			`<Nested><Names><member>x</member><member>y</member></Names></Nested>`},
		{"query, a gap", "POST", "/", `Action=Echo&Line.1=x&Line.3=y`, form, 400, `parameter Line.3: want elements numbered from 1`},
		{"query, half an element", "POST", "/", `Action=Echo&Tag.1.Key=a`, form, 400, `parameter Tag: an element needs Key and Value`},
		{"query, an unknown parameter", "POST", "/", `Action=Echo&Colour=red`, form, 400, `parameter Colour is not supported`},
		{"query, a contradiction", "POST", "/", `Action=Echo&Line.1=x&Line.1.y=z`, form, 400, `contradicts another one`},
		{"path", "GET", "/things/7", ``, nil, 200, `7`},
		{"json, nothing asked", "POST", "/", `{}`, map[string]string{"X-Amz-Target": "Test_2026.Forget"}, 500, `InternalFailure`},
		{"query, nothing asked", "POST", "/", `Action=Forget`, form, 500, `it has not asked whether the caller may do this`},
		{"path, nothing asked", "GET", "/forgotten", ``, nil, 500, `InternalFailure`},
		{"path, an error before it asks", "GET", "/refused", ``, nil, 400, `before it asked`},
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

// only is a guard that knows one key, whose principal may touch one resource.
type only string

func (o only) Principal(key string) (Principal, error) {
	if key != "KEY" {
		return nil, Errorf("UnrecognizedClientException", "who is %s?", key)
	}
	return o, nil
}

func (o only) Authorize(a Access) error {
	if a.Resource != string(o) {
		return Errorf("AccessDeniedException", "not %s on %s", a.Action, a.Resource)
	}
	return nil
}

func TestAGuardDecidesWhoMayDoWhat(t *testing.T) {
	m := testMux()
	m.Guard(only("mine"))
	for _, c := range []struct{ key, resource, want string }{
		{"KEY", "mine", `{"Greeting":"done"}`},
		{"KEY", "yours", "not test:Guarded on yours"},
		{"OTHER", "mine", "who is OTHER?"},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"Name":"`+c.resource+`"}`))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.key+"/20260101/us-east-1/test/aws4_request, SignedHeaders=host, Signature=x")
		r.Header.Set("X-Amz-Target", "Test_2026.Guarded")
		w := httptest.NewRecorder()
		if m.ServeHTTP(w, r); !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s on %s: %s, want %s", c.key, c.resource, w.Body, c.want)
		}
	}
}

func TestTheMuxNamesWhatIsRegistered(t *testing.T) {
	got := strings.Join(testMux().Registered(), " ")
	if want := "GET /forgotten GET /refused GET /things/{id} POST /service/New/operation/{operation} Test_2026.Forget Test_2026.Greet Test_2026.Guarded old.Echo old.Fail old.Forget old.Greet"; got != want {
		t.Fatalf("got %s\nwant %s", got, want)
	}
}
