package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// functions are the two functions of a test's API, and note what they are told.
type functions struct {
	mu        sync.Mutex
	authorize func(context.Context, event) (string, bool, error)
	handle    func(context.Context, event) (string, bool, error)
	sources   []string
	last      event
}

func (f *functions) Invoke(ctx context.Context, functionARN, sourceARN string, text []byte) ([]byte, bool, error) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, false, err
	}
	f.mu.Lock()
	f.sources = append(f.sources, sourceARN)
	f.last = e
	f.mu.Unlock()
	run := f.handle
	if functionARN == "arn:authorizer" {
		run = f.authorize
	}
	answer, failed, err := run(ctx, e)
	return []byte(answer), failed, err
}

func says(answer string) func(context.Context, event) (string, bool, error) {
	return func(context.Context, event) (string, bool, error) { return answer, false, nil }
}

// fixture is an API with an open and a guarded route.
type fixture struct {
	*Service
	functions *functions
	metrics   *metric.Registry
	log       *bytes.Buffer
}

func newFixture() *fixture {
	f := &fixture{functions: &functions{authorize: says(`{"isAuthorized": true, "context": {"user": "ann", "n": 1}}`), handle: says(`{"statusCode": 204}`)}, metrics: &metric.Registry{}, log: &bytes.Buffer{}}
	f.Service = New(Config{
		Account: "000000000000", Region: "us-east-1", Endpoint: "http://127.0.0.1:1", Functions: f.functions, Metrics: f.metrics, Logger: slog.New(slog.DiscardHandler),
		Log: func(group, stream, line string) { fmt.Fprintln(f.log, group, stream, line) },
	})
	f.EnsureAPI(API{ID: "abc", Name: "shop-storage"})
	f.EnsureIntegration("abc", Integration{ID: "int", FunctionARN: "arn:function"})
	f.EnsureAuthorizer("abc", Authorizer{ID: "aut", FunctionARN: "arn:authorizer", Headers: []string{"Authorization"}})
	for id, route := range map[string]Route{
		"open": {Key: "GET /health"}, "rows": {Key: "GET /rows/{set}/{row}", Authorizer: "aut"}, "text": {Key: "GET /rows/{set}/new", Authorizer: "aut"},
		"put": {Key: "PUT /rows/{set}/{row}", Authorizer: "aut"}, "wide": {Key: "GET /{all}/{of}/{it}"}, "lost": {Key: "GET /lost"},
	} {
		route.ID, route.Integration = id, "int"
		if id == "lost" {
			route.Integration = "none"
		}
		f.EnsureRoute("abc", route)
	}
	f.EnsureStage("abc", Stage{LogGroup: "group", LogFormat: `{"id":"$context.requestId","route":"$context.routeKey","status":$context.status,"why":"$context.error.message"}`})
	return f
}

func (f *fixture) do(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, Prefix+"abc"+path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestARequestFindsItsMostSpecificRouteWithItsParametersDecoded(t *testing.T) {
	f := newFixture()
	for _, c := range []struct{ path, key, parameters string }{
		{"/health", "GET /health", ""},
		{"/rows/a/b", "GET /rows/{set}/{row}", "map[row:b set:a]"},
		{"/rows/a/new", "GET /rows/{set}/new", "map[set:a]"},
		{"/other/a/b", "GET /{all}/{of}/{it}", "map[all:other it:b of:a]"},
		{"/rows/a%20b/%C3%A9?x=/rows", "GET /rows/{set}/{row}", "map[row:é set:a b]"},
		{"/rows/a%2Fb/c", "GET /rows/{set}/{row}", "map[row:c set:a/b]"},
		{"/rows/../b", "GET /rows/{set}/{row}", "map[row:b set:..]"},
		{"/rows/%2e%2e/b", "GET /rows/{set}/{row}", "map[row:b set:..]"},
		{"/rows//b", "", ""},
		{"/rows/a/b/", "", ""},
		{"/rows/a", "", ""},
		{"/health/", "", ""},
		{"//health", "", ""},
		{"/HEALTH", "", ""},
		{"/", "", ""},
	} {
		f.functions.last = event{}
		w := f.do(t, "GET", c.path, "", "Authorization", "x")
		parameters := ""
		if p := f.functions.last.PathParameters; p != nil {
			parameters = fmt.Sprint(p)
		}
		if c.key == "" {
			if w.Code != 404 || w.Body.String() != `{"message":"Not Found"}` {
				t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
			}
			continue
		}
		if w.Code != 204 || f.functions.last.RouteKey != c.key || parameters != c.parameters {
			t.Errorf("%s: %d, route %q with %s, want %q with %s", c.path, w.Code, f.functions.last.RouteKey, parameters, c.key, c.parameters)
		}
	}
}

func TestEachFailureHasTheAnswerOfAPIGateway(t *testing.T) {
	for _, c := range []struct {
		name    string
		edit    func(*fixture)
		method  string
		path    string
		headers []string
		body    string
		want    string
	}{
		{name: "no route", path: "/none", want: `404 {"message":"Not Found"}`},
		{name: "another method", method: "DELETE", path: "/health", want: `404 {"message":"Not Found"}`},
		{name: "an encoding that is none", path: "/rows/a/%25zz", headers: []string{"Authorization", "x"}, want: `204 `},
		{name: "no identity", path: "/rows/a/b", want: `401 {"message":"Unauthorized"}`},
		{name: "an empty identity", path: "/rows/a/b", headers: []string{"Authorization", ""}, want: `401 {"message":"Unauthorized"}`},
		{name: "not authorized", path: "/rows/a/b", edit: func(f *fixture) { f.functions.authorize = says(`{"isAuthorized": false}`) }, headers: []string{"Authorization", "x"}, want: `403 {"message":"Forbidden"}`},
		{name: "an authorizer that says nothing", path: "/rows/a/b", edit: func(f *fixture) { f.functions.authorize = says(`{}`) }, headers: []string{"Authorization", "x"}, want: `500 {"message":"Internal Server Error"}`},
		{name: "an authorizer that answers a text", path: "/rows/a/b", edit: func(f *fixture) { f.functions.authorize = says(`{"isAuthorized": "true"}`) }, headers: []string{"Authorization", "x"}, want: `500 {"message":"Internal Server Error"}`},
		{name: "an authorizer that fails", path: "/rows/a/b", edit: func(f *fixture) {
			f.functions.authorize = func(context.Context, event) (string, bool, error) { return `{"isAuthorized": true}`, true, nil }
		}, headers: []string{"Authorization", "x"}, want: `500 {"message":"Internal Server Error"}`},
		{name: "an authorizer that may not be invoked", path: "/rows/a/b", edit: func(f *fixture) {
			f.functions.authorize = func(context.Context, event) (string, bool, error) { return "", false, errors.New("denied") }
		}, headers: []string{"Authorization", "x"}, want: `500 {"message":"Internal Server Error"}`},
		{name: "a function that fails", path: "/health", edit: func(f *fixture) {
			f.functions.handle = func(context.Context, event) (string, bool, error) { return `{"errorMessage":"secret"}`, true, nil }
		}, want: `500 {"message":"Internal Server Error"}`},
		{name: "a function that answers no JSON", path: "/health", edit: func(f *fixture) { f.functions.handle = says("hello") }, want: `500 {"message":"Internal Server Error"}`},
		{name: "a status that is none", path: "/health", edit: func(f *fixture) { f.functions.handle = says(`{"statusCode": 99}`) }, want: `500 {"message":"Internal Server Error"}`},
		{name: "base64 that is none", path: "/health", edit: func(f *fixture) {
			f.functions.handle = says(`{"statusCode": 200, "body": "%", "isBase64Encoded": true}`)
		}, want: `500 {"message":"Internal Server Error"}`},
		{name: "a function without concurrency", path: "/health", edit: func(f *fixture) {
			f.functions.handle = func(context.Context, event) (string, bool, error) {
				return "", false, &awswire.Error{Code: "TooManyRequestsException"}
			}
		}, want: `503 {"message":"Service Unavailable"}`},
		{name: "a route without an integration", path: "/lost", want: `500 {"message":"Internal Server Error"}`},
		{name: "headers too large", path: "/health", headers: []string{"X", strings.Repeat("x", 10_240)}, want: `431 {"message":"Request Header Fields Too Large"}`},
		{name: "a body too large", method: "PUT", path: "/rows/a/b", headers: []string{"Authorization", "x"}, body: strings.Repeat("x", 10<<20+1), want: `413 {"message":"Request Entity Too Large"}`},
		{name: "a deleted route", path: "/health", edit: func(f *fixture) { f.Delete("abc", "open") }, want: `404 {"message":"Not Found"}`},
		{name: "a deleted authorizer", path: "/rows/a/b", edit: func(f *fixture) { f.Delete("abc", "aut") }, headers: []string{"Authorization", "x"}, want: `500 {"message":"Internal Server Error"}`},
		{name: "no stage", path: "/health", edit: func(f *fixture) { f.Delete("abc", "$default") }, want: `404 {"message":"Not Found"}`},
		{name: "a deleted API", path: "/health", edit: func(f *fixture) { f.DeleteAPI("abc"); f.Delete("abc", "open") }, want: `404 {"message":"Not Found"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture()
			if c.edit != nil {
				c.edit(f)
			}
			if c.method == "" {
				c.method = "GET"
			}
			w := f.do(t, c.method, c.path, c.body, c.headers...)
			if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if w.Header().Get("Apigw-Requestid") == "" {
				t.Error("the answer has no id")
			}
		})
	}
}

func TestWhatTakesTooLongIsNotWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*fixture, func(context.Context, event) (string, bool, error))
		code int
		want time.Duration
	}{
		{"an integration", func(f *fixture, hang func(context.Context, event) (string, bool, error)) { f.functions.handle = hang }, 503, 30 * time.Second},
		{"an integration with a timeout of its own", func(f *fixture, hang func(context.Context, event) (string, bool, error)) {
			f.functions.handle = hang
			f.EnsureIntegration("abc", Integration{ID: "int", FunctionARN: "arn:function", Timeout: time.Second})
		}, 503, time.Second},
		{"an authorizer", func(f *fixture, hang func(context.Context, event) (string, bool, error)) {
			f.functions.authorize = hang
		}, 500, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			c.edit(f, func(ctx context.Context, _ event) (string, bool, error) {
				<-ctx.Done()
				return "", false, ctx.Err()
			})
			began := time.Now()
			w := f.do(t, "GET", "/rows/a/b", "", "Authorization", "x")
			if took := time.Since(began); w.Code != c.code || took != c.want {
				t.Errorf("%s: %d after %s", c.name, w.Code, took)
			}
		})
	}
}

func TestAStageTakesSoManyRequestsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.EnsureStage("abc", Stage{Rate: 2, Burst: 3})
		count := func() (ok, throttled int) {
			for range 10 {
				switch w := f.do(t, "GET", "/health", ""); w.Code {
				case 204:
					ok++
				case 429:
					throttled++
					if w.Body.String() != `{"message":"Too Many Requests"}` {
						t.Error(w.Body)
					}
				}
			}
			return ok, throttled
		}
		if ok, throttled := count(); ok != 3 || throttled != 7 {
			t.Errorf("at once %d, and %d refused", ok, throttled)
		}
		time.Sleep(time.Second)
		if ok, throttled := count(); ok != 2 || throttled != 8 {
			t.Errorf("a second later %d, and %d refused", ok, throttled)
		}
	})
}

func TestAFunctionIsToldTheRequestInFormat2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		var asked event
		f.functions.authorize = func(_ context.Context, e event) (string, bool, error) {
			asked = e
			return `{"isAuthorized": true, "context": {"user": "ann", "n": 1}}`, false, nil
		}
		f.do(t, "PUT", "/rows/a%20b/c?x=1&x=2&y=", `{"é": 1}`, "Authorization", "one", "Authorization", "two", "Content-Type", "application/json; charset=utf-8", "Cookie", "a=1; b=2", "X-Two", "1", "X-Two", "2")
		got := f.functions.last
		got.RequestContext.RequestID = "id"
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		const want = `{
  "version": "2.0",
  "routeKey": "PUT /rows/{set}/{row}",
  "rawPath": "/rows/a b/c",
  "rawQueryString": "x=1\u0026x=2\u0026y=",
  "cookies": [
    "a=1",
    "b=2"
  ],
  "headers": {
    "authorization": "one,two",
    "content-type": "application/json; charset=utf-8",
    "host": "example.com",
    "x-two": "1,2"
  },
  "queryStringParameters": {
    "x": "1,2",
    "y": ""
  },
  "requestContext": {
    "accountId": "000000000000",
    "apiId": "abc",
    "authorizer": {
      "lambda": {
        "n": 1,
        "user": "ann"
      }
    },
    "domainName": "example.com",
    "domainPrefix": "abc",
    "http": {
      "method": "PUT",
      "path": "/rows/a b/c",
      "protocol": "HTTP/1.1",
      "sourceIp": "192.0.2.1",
      "userAgent": ""
    },
    "requestId": "id",
    "routeKey": "PUT /rows/{set}/{row}",
    "stage": "$default",
    "time": "01/Jan/2000:00:00:00 +0000",
    "timeEpoch": 946684800000
  },
  "pathParameters": {
    "row": "c",
    "set": "a b"
  },
  "body": "{\"é\": 1}",
  "isBase64Encoded": false
}`
		if string(text) != want {
			t.Errorf("the function is told\n%s", text)
		}
		const route = "arn:aws:execute-api:us-east-1:000000000000:abc/$default/PUT/rows/{set}/{row}"
		if asked.Type != "REQUEST" || asked.RouteARN != route || fmt.Sprint(asked.IdentitySource) != "[one,two]" || asked.Body != "" || asked.IsBase64Encoded != nil || asked.RequestContext.Authorizer != nil {
			t.Errorf("the authorizer is told %+v", asked)
		}
		if got := strings.Join(f.functions.sources, " "); got != "arn:aws:execute-api:us-east-1:000000000000:abc/authorizers/aut "+route {
			t.Errorf("invoked for %s", got)
		}
	})
}

func TestABodyThatIsNoTextTravelsAsBase64(t *testing.T) {
	f := newFixture()
	for _, c := range []struct {
		contentType, body, want string
		encoded                 bool
	}{
		{"text/plain", "a", "a", false},
		{"application/json", "{}", "{}", false},
		{"application/json", "\xff", "/w==", true},
		{"application/octet-stream", "a", "YQ==", true},
		{"", "a", "YQ==", true},
		{"", "", "", false},
	} {
		f.do(t, "PUT", "/rows/a/b", c.body, "Authorization", "x", "Content-Type", c.contentType)
		if got := f.functions.last; got.Body != c.want || *got.IsBase64Encoded != c.encoded {
			t.Errorf("%q of %q: %q, encoded %t", c.body, c.contentType, got.Body, *got.IsBase64Encoded)
		}
	}
}

func TestAnAnswerIsWhatTheFunctionSays(t *testing.T) {
	f := newFixture()
	for answer, want := range map[string]string{
		`{"statusCode": 201, "headers": {"ETag": "\"1\"", "X-N": 2}, "cookies": ["a=1", "b=2"], "body": "made"}`:                `201 text/plain;charset=utf-8 "1" 2 [a=1 b=2] made`,
		`{"statusCode": 200, "headers": {"Content-Type": "application/octet-stream"}, "body": "/wA=", "isBase64Encoded": true}`: "200 application/octet-stream   [] \xff\x00",
		`{"rows": []}`: `200 application/json   [] {"rows": []}`,
		`"text"`:       `200 application/json   [] "text"`,
		`null`:         `200 application/json   [] null`,
	} {
		f.functions.handle = says(answer)
		w := f.do(t, "GET", "/health", "")
		h := w.Header()
		if got := fmt.Sprintf("%d %s %s %s %v %s", w.Code, h.Get("Content-Type"), h.Get("ETag"), h.Get("X-N"), h["Set-Cookie"], w.Body); got != want {
			t.Errorf("%s\n%q, want\n%q", answer, got, want)
		}
	}
}

func TestEachRequestLeavesALineAndFigures(t *testing.T) {
	f := newFixture()
	f.functions.authorize = says(`{"isAuthorized": false}`)
	f.do(t, "GET", "/health", "")
	f.do(t, "GET", "/rows/a/b", "", "Authorization", "Bearer t0ken")
	lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "group abc/$default {") || !strings.Contains(lines[0], `"route":"GET /health","status":204,"why":"-"`) ||
		!strings.Contains(lines[1], `"route":"GET /rows/{set}/{row}","status":403,"why":"the authorizer does not authorize it"`) || strings.Contains(f.log.String(), "t0ken") {
		t.Errorf("log:\n%s", f.log)
	}
	got := map[string]float64{}
	f.metrics.Collect(func(m metric.Metric, d *metric.Distribution) {
		if len(m.Dimensions) == 1 {
			got[m.Name] = d.Sum
		}
	})
	if got["Count"] != 2 || got["4xx"] != 1 || got["5xx"] != 0 {
		t.Errorf("figures %v", got)
	}
}

func TestWhatIsNotSupportedIsNamed(t *testing.T) {
	for key, want := range map[string]string{
		"$default": `"$default" is not supported`, "ANY /": "is not supported", "GET": "is not supported", "get /": "is not supported",
		"GET rows": "must begin with a slash", "GET /{proxy+}": "{proxy+} is not supported", "GET /{a}/{a}": "is there twice", "GET /{}": "has no name", "GET /a{b}": "neither a parameter nor a text",
		"GET /rows/{id}": "", "POST /": "",
	} {
		if err := CheckRouteKey(key); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := (Stage{LogFormat: "$context.requestId $context.awsEndpointRequestId"}).Check(); err == nil || !strings.Contains(err.Error(), "$context.awsEndpointRequestId") {
		t.Error(err)
	}
	if err := (Stage{LogGroup: "g", LogFormat: "$context.status"}).Check(); err == nil {
		t.Error("a log without requestId")
	}
	if err := (Integration{Timeout: time.Minute}).Check(); err == nil {
		t.Error("a timeout of a minute")
	}
}

func FuzzAnyPathIsAnsweredAndNoParameterIsEmpty(f *testing.F) {
	for _, path := range []string{"/rows/a/b", "/rows/%2f/b", "/%", "//", "/rows/a%zz/b", "/rows/\x00/b"} {
		f.Add(path)
	}
	api := newFixture().apis["abc"]
	f.Fuzz(func(t *testing.T, path string) {
		route, parameters, ok := api.match(http.MethodGet, path)
		if ok != (route.Key != "") {
			t.Errorf("%q: %+v, %t", path, route, ok)
		}
		for name, value := range parameters {
			if value == "" {
				t.Errorf("%q: {%s} is empty", path, name)
			}
		}
	})
}
