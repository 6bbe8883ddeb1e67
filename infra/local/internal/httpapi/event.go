package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// event is a request as Lambda functions get it, in payload format 2.0: an
// authorizer with the first group of members, an integration with the second.
type event struct {
	Version string `json:"version"`

	Type           string   `json:"type,omitempty"`
	RouteARN       string   `json:"routeArn,omitempty"`
	IdentitySource []string `json:"identitySource,omitempty"`

	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        requestContext    `json:"requestContext"`
	PathParameters        map[string]string `json:"pathParameters,omitempty"`

	Body            string `json:"body,omitempty"`
	IsBase64Encoded *bool  `json:"isBase64Encoded,omitempty"`
}

type requestContext struct {
	AccountID    string             `json:"accountId"`
	APIID        string             `json:"apiId"`
	Authorizer   *authorizerContext `json:"authorizer,omitempty"`
	DomainName   string             `json:"domainName"`
	DomainPrefix string             `json:"domainPrefix"`
	HTTP         httpContext        `json:"http"`
	RequestID    string             `json:"requestId"`
	RouteKey     string             `json:"routeKey"`
	Stage        string             `json:"stage"`
	Time         string             `json:"time"`
	TimeEpoch    int64              `json:"timeEpoch"`
}

type authorizerContext struct {
	Lambda map[string]any `json:"lambda"`
}

type httpContext struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// clfTime is the layout of times in contexts and access logs.
const clfTime = "02/Jan/2006:15:04:05 +0000"

// newEvent makes what the authorizer and the integration are both told. A header
// or a query parameter that is there more than once has its values joined by
// commas; cookies are apart. rawPath is decoded, whatever its name says.
func (s *Service) newEvent(r *http.Request, c *call) event {
	path, err := url.PathUnescape(c.path)
	if err != nil {
		path = c.path // it matched no route, and nobody gets the event
	}
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	e := event{
		Version: "2.0", RouteKey: c.route.Key, RawPath: path, RawQueryString: r.URL.RawQuery, PathParameters: c.parameters,
		Headers: map[string]string{"host": r.Host},
		RequestContext: requestContext{
			AccountID: s.cfg.Account, APIID: c.api.id, DomainName: r.Host, DomainPrefix: c.api.id,
			HTTP:      httpContext{Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: source, UserAgent: r.UserAgent()},
			RequestID: c.requestID, RouteKey: c.route.Key, Stage: defaultStage,
			Time: c.began.UTC().Format(clfTime), TimeEpoch: c.began.UnixMilli(),
		},
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			for _, line := range values {
				e.Cookies = append(e.Cookies, strings.Split(line, "; ")...)
			}
			continue
		}
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		if e.QueryStringParameters == nil {
			e.QueryStringParameters = map[string]string{}
		}
		e.QueryStringParameters[name] = strings.Join(values, ",")
	}
	return e
}

// withBody adds the body: as it is if it is text, by its Content-Type and its
// bytes, and else as base64.
func (e event) withBody(contentType string, body []byte) event {
	encoded := !isText(contentType) || !utf8.Valid(body)
	e.IsBase64Encoded = &encoded
	e.Body = string(body)
	if encoded {
		e.Body = base64.StdEncoding.EncodeToString(body)
	}
	if len(body) == 0 {
		encoded = false
	}
	return e
}

func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch kind {
	case "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(kind, "text/")
}

// answer is what a function answers, in payload format 2.0.
type answer struct {
	StatusCode      *int           `json:"statusCode"`
	Headers         map[string]any `json:"headers"`
	Cookies         []string       `json:"cookies"`
	Body            string         `json:"body"`
	IsBase64Encoded bool           `json:"isBase64Encoded"`
}

// parseAnswer reads a function's answer. JSON without a statusCode is the body of
// an answer of 200.
func parseAnswer(text []byte) (status int, headers http.Header, body []byte, err error) {
	if !json.Valid(text) {
		return 0, nil, nil, fmt.Errorf("the answer is no JSON")
	}
	headers = http.Header{}
	var a answer
	if json.Unmarshal(text, &a) != nil || a.StatusCode == nil {
		headers.Set("Content-Type", "application/json")
		return http.StatusOK, headers, text, nil
	}
	if *a.StatusCode < 200 || *a.StatusCode > 599 {
		return 0, nil, nil, fmt.Errorf("the answer's statusCode is %d", *a.StatusCode)
	}
	headers.Set("Content-Type", "text/plain;charset=utf-8")
	for name, value := range a.Headers {
		headers.Set(name, fmt.Sprint(value))
	}
	for _, cookie := range a.Cookies {
		headers.Add("Set-Cookie", cookie)
	}
	body = []byte(a.Body)
	if a.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			return 0, nil, nil, fmt.Errorf("the answer's body is no base64: %w", err)
		}
	}
	return *a.StatusCode, headers, body, nil
}

// headerSize is the size of the request line and the headers, as they were sent.
func headerSize(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n") + len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return size
}
