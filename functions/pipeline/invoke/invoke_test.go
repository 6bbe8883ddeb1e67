package invoke_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-dev/penstock/functions/pipeline"
	"github.com/penstock-dev/penstock/functions/pipeline/invoke"
)

// service answers as Lambda and STS, without a socket.
type service struct {
	answer func(n int, w http.ResponseWriter, r *http.Request) // to the n-th call of Lambda, from 1

	mu      sync.Mutex
	calls   []call
	assumed []url.Values
}

type call struct{ function, kind, payload, signer string }

func (s *service) Do(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := httptest.NewRecorder()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, signer, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	signer, _, _ = strings.Cut(signer, ",")
	scope := strings.Split(signer, "/") // key, date, region, service
	if scope[3] == "sts" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		s.assumed = append(s.assumed, form)
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			len(s.assumed), time.Now().UTC().Add(time.Hour).Format(time.RFC3339))
		return w.Result(), nil
	}
	name, err := url.PathUnescape(strings.Split(r.URL.EscapedPath(), "/")[3])
	if err != nil {
		return nil, err
	}
	s.calls = append(s.calls, call{name, r.Header.Get("X-Amz-Invocation-Type"), string(body), scope[0] + " in " + scope[2]})
	if s.answer != nil {
		s.answer(len(s.calls), w, r)
	}
	return w.Result(), nil
}

func refusal(status int, code string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", code)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message": "it says so"}`)
	}
}

func invoker(s *service) *invoke.Invoker {
	return invoke.New(invoke.Config{
		AWS:       aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""), HTTPClient: s},
		Functions: map[string]string{"instruments": "shop-dev-instruments"},
		Connections: map[string]invoke.Connection{
			"core": {RoleARN: "arn:aws:iam::123456789012:role/caller", Region: "us-east-1", ExternalID: "shop"},
			"here": {},
		},
		Session: "shop-dev-enrich",
	})
}

func TestASynchronousCallReturnsTheResponseAndAnAsynchronousOneNothing(t *testing.T) {
	for _, c := range []struct {
		async            bool
		kind, said, want string
	}{
		{false, "RequestResponse", `{"name":"SAP"}`, `{"name":"SAP"}`},
		{false, "RequestResponse", ``, ``},
		{true, "Event", ``, ``},
	} {
		s := &service{answer: func(_ int, w http.ResponseWriter, _ *http.Request) {
			if c.async {
				w.WriteHeader(http.StatusAccepted)
			}
			fmt.Fprint(w, c.said)
		}}
		got, err := invoker(s).Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Function: "f", Async: c.async}, Payload: []byte(`{"isin":"DE0007164600"}`)})
		if err != nil || string(got) != c.want {
			t.Errorf("async %v: %q, %v; want %q", c.async, got, err, c.want)
		}
		if want := (call{"f", c.kind, `{"isin":"DE0007164600"}`, "AKIA in eu-west-1"}); len(s.calls) != 1 || s.calls[0] != want {
			t.Errorf("calls %v, want %v", s.calls, want)
		}
	}
}

func TestAFunctionOfTheProjectIsCalledByItsNameOnLambdaUnlessThereIsAConnection(t *testing.T) {
	for _, c := range []struct{ connection, function, want string }{
		{"", "instruments", "shop-dev-instruments"},
		{"", "other", "other"},
		{"", "arn:aws:lambda:eu-west-1:123456789012:function:rates:live", "arn:aws:lambda:eu-west-1:123456789012:function:rates:live"},
		{"here", "instruments", "instruments"},
	} {
		s := &service{}
		if _, err := invoker(s).Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Connection: c.connection, Function: c.function}, Payload: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if got := s.calls[0].function; got != c.want {
			t.Errorf("%q by %q: called %s, want %s", c.function, c.connection, got, c.want)
		}
	}
}

func TestTheRoleOfAConnectionIsAssumedOnceUntilItsCredentialsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		i := invoker(s)
		at := func(want string) {
			t.Helper()
			if _, err := i.Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Connection: "core", Function: "f"}, Payload: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			if got := s.calls[len(s.calls)-1].signer; got != want {
				t.Errorf("signed by %s, want %s", got, want)
			}
		}
		at("ASIA1 in us-east-1")
		at("ASIA1 in us-east-1")
		form := s.assumed[0]
		if form.Get("RoleArn") != "arn:aws:iam::123456789012:role/caller" || form.Get("RoleSessionName") != "shop-dev-enrich" || form.Get("ExternalId") != "shop" {
			t.Errorf("asked STS for %v", form)
		}
		time.Sleep(time.Hour)
		at("ASIA2 in us-east-1")
	})
}

func TestErrorsOfTheFunctionOfTheAPIAndOfTheSetupAreToldApart(t *testing.T) {
	failing := func(body string) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprint(w, body)
		}
	}
	for what, c := range map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request)
		kind   string
		text   string
	}{
		"a function's error":                  {failing(`{"errorType": "NotFound", "errorMessage": "no such instrument"}`), "function", "NotFound: no such instrument"},
		"a function that is over":             {failing(`{"errorMessage": "2026-11-21T10:00:00Z 1 Task timed out after 3.00 seconds"}`), "function", "Task timed out after 3.00 seconds"},
		"an answer that is no JSON":           {failing(`oh`), "function", "Unhandled: oh"},
		"no permission":                       {refusal(403, "AccessDeniedException"), "setup", "AccessDeniedException: it says so"},
		"no function":                         {refusal(404, "ResourceNotFoundException"), "setup", "ResourceNotFoundException"},
		"a payload that Lambda does not take": {refusal(413, "RequestTooLargeException"), "api", "RequestTooLargeException"},
	} {
		t.Run(what, func(t *testing.T) {
			s := &service{answer: c.answer}
			_, err := invoker(s).Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Function: "f"}, Payload: []byte("{}")})
			kind := "api"
			if _, ok := errors.AsType[*pipeline.FunctionError](err); ok {
				kind = "function"
			} else if _, ok := errors.AsType[*pipeline.SetupError](err); ok {
				kind = "setup"
			}
			if err == nil || kind != c.kind || !strings.Contains(err.Error(), c.text) || len(s.calls) != 1 {
				t.Errorf("after %d calls: an error of the %s: %v; want one of the %s: %s", len(s.calls), kind, err, c.kind, c.text)
			}
		})
	}
	_, err := invoker(&service{}).Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Connection: "cor", Function: "f"}, Payload: []byte("{}")})
	if _, ok := errors.AsType[*pipeline.SetupError](err); !ok || !strings.Contains(err.Error(), `no connection "cor"`) {
		t.Errorf("an unknown connection: %v", err)
	}
}

func TestACallThatIsThrottledIsMadeAgain(t *testing.T) {
	for succeeds, attempts := range map[int]int{3: 3, 100: 5} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{answer: func(n int, w http.ResponseWriter, r *http.Request) {
				if n < succeeds {
					refusal(429, "TooManyRequestsException")(n, w, r)
				}
			}}
			_, err := invoker(s).Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Function: "f"}, Payload: []byte("{}")})
			if (err == nil) != (succeeds == attempts) || len(s.calls) != attempts {
				t.Errorf("%d calls, %v; want %d", len(s.calls), err, attempts)
			}
		})
	}
}

func TestAPayloadThatLambdaDoesNotTakeIsNotSent(t *testing.T) {
	for async, most := range map[bool]int{false: invoke.MaxSyncBytes, true: invoke.MaxAsyncBytes} {
		s := &service{}
		for _, size := range []int{most, most + 1} {
			_, err := invoker(s).Invoke(t.Context(), pipeline.Call{External: &pipeline.External{Function: "f", Async: async}, Payload: make([]byte, size)})
			if (err == nil) != (size == most) {
				t.Errorf("async %v, %d bytes: %v", async, size, err)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%d bytes, and Lambda takes %d", size, most)) {
				t.Errorf("got %v", err)
			}
		}
		if len(s.calls) != 1 {
			t.Errorf("%d calls, want one", len(s.calls))
		}
	}
}
