package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// call is a request on its way.
type call struct {
	api        *api
	stage      *stage
	path       string // below the API, as it was sent
	route      Route
	parameters map[string]string
	requestID  string
	began      time.Time

	authorizer  map[string]any // what the authorizer said
	status      int
	length      int    // of the answer's body
	failure     string // why it was answered by API Gateway itself
	integration time.Duration
}

// refusal is an answer that API Gateway makes itself.
type refusal struct {
	status int
	reason string // for the access log and the Logger; the client does not get it
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// messages are what the bodies of API Gateway's own answers say, by status.
var messages = map[int]string{
	http.StatusUnauthorized:                "Unauthorized",
	http.StatusForbidden:                   "Forbidden",
	http.StatusNotFound:                    "Not Found",
	http.StatusRequestEntityTooLarge:       "Request Entity Too Large",
	http.StatusTooManyRequests:             "Too Many Requests",
	http.StatusRequestHeaderFieldsTooLarge: "Request Header Fields Too Large",
	http.StatusInternalServerError:         "Internal Server Error",
	http.StatusServiceUnavailable:          "Service Unavailable",
}

// ServeHTTP answers a request whose path begins with [Prefix].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{requestID: uuid.NewString(), began: time.Now()}
	w.Header().Set("Apigw-Requestid", c.requestID)
	status, headers, body, err := s.answer(r, c)
	if err != nil {
		own := (*refusal)(nil)
		if !errors.As(err, &own) {
			own = refuse(http.StatusInternalServerError, "%v", err)
		}
		c.failure, status = own.reason, own.status
		if status >= 500 {
			s.cfg.Logger.Warn("API Gateway answers for a function", "api", c.name(), "route", c.route.Key, "status", status, "reason", own.reason)
		}
		headers = http.Header{"Content-Type": {"application/json"}}
		body = fmt.Appendf(nil, `{"message":%q}`, messages[status])
	}
	for name, values := range headers {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone does not read it
	c.status, c.length = status, len(body)
	s.record(r, c)
}

func (c *call) name() string {
	if c.api == nil {
		return ""
	}
	return c.api.name
}

// answer takes a request through its steps. An error that is no refusal is
// answered as a failure inside.
func (s *Service) answer(r *http.Request, c *call) (status int, headers http.Header, body []byte, err error) {
	if size := headerSize(r); size > maxHeader {
		return 0, nil, nil, refuse(http.StatusRequestHeaderFieldsTooLarge, "the request line and the headers have %d bytes, at most %d", size, maxHeader)
	}
	if c.api, c.path = s.find(r.URL.EscapedPath()); c.api == nil || c.api.stage == nil {
		return 0, nil, nil, refuse(http.StatusNotFound, "there is no such API, or it has no stage %s", defaultStage)
	}
	c.stage = c.api.stage
	var ok bool
	if c.route, c.parameters, ok = c.api.match(r.Method, c.path); !ok {
		return 0, nil, nil, refuse(http.StatusNotFound, "no route matches")
	}
	if !c.stage.limit.Allow() {
		return 0, nil, nil, refuse(http.StatusTooManyRequests, "above the stage's rate")
	}
	told := s.newEvent(r, c)
	if c.route.Authorizer != "" {
		if err := s.authorize(r.Context(), c, told); err != nil {
			return 0, nil, nil, err
		}
		told.RequestContext.Authorizer = &authorizerContext{c.authorizer}
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return 0, nil, nil, refuse(http.StatusBadRequest, "the body could not be read: %v", err)
	}
	if len(payload) > maxBody {
		return 0, nil, nil, refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxBody)
	}
	s.cfg.Meter.Add(meter.APIRequest, c.api.name, float64(max(1, (len(payload)+chargedRequestSize-1)/chargedRequestSize)))
	text, err := s.integrate(r, c, told.withBody(r.Header.Get("Content-Type"), payload))
	if err != nil {
		return 0, nil, nil, err
	}
	return parseAnswer(text)
}

// integrate invokes the route's function, and returns its answer.
func (s *Service) integrate(r *http.Request, c *call, told event) ([]byte, error) {
	integration, ok := c.api.integrations[c.route.Integration]
	if !ok {
		return nil, fmt.Errorf("route %s has no integration", c.route.Key)
	}
	text, err := json.Marshal(told)
	if err != nil {
		return nil, err
	}
	timeout := integration.Timeout
	if timeout == 0 {
		timeout = maxTimeout
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	began := time.Now()
	got, failed, err := s.cfg.Functions.Invoke(ctx, integration.FunctionARN, s.sourceARN(c), text)
	c.integration = time.Since(began)
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return nil, refuse(http.StatusServiceUnavailable, "the function did not answer within %s", timeout)
	case isThrottled(err):
		return nil, refuse(http.StatusServiceUnavailable, "%v", err) // AWS's pages do not say which answer it is
	case err != nil:
		return nil, err
	case failed:
		return nil, errors.New("the function failed; its log says why")
	}
	return got, nil
}

// isThrottled tells whether Lambda had no concurrency left.
func isThrottled(err error) bool {
	refused, ok := errors.AsType[*awswire.Error](err)
	return ok && refused.Code == "TooManyRequestsException"
}

// sourceARN is the ARN of the route for which a function is invoked.
func (s *Service) sourceARN(c *call) string {
	method, path, _ := strings.Cut(c.route.Key, " ")
	return s.arn(c.api.id, defaultStage+"/"+method+path)
}

func (s *Service) arn(id, rest string) string {
	return fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/%s", s.cfg.Region, s.cfg.Account, id, rest)
}

// authorize asks the route's authorizer, whose answers are not cached.
func (s *Service) authorize(ctx context.Context, c *call, told event) error {
	a, ok := c.api.authorizers[c.route.Authorizer]
	if !ok {
		return fmt.Errorf("route %s has no authorizer %s", c.route.Key, c.route.Authorizer)
	}
	told.Type, told.RouteARN = "REQUEST", s.sourceARN(c)
	for _, header := range a.Headers {
		value := told.Headers[strings.ToLower(header)]
		if value == "" {
			return refuse(http.StatusUnauthorized, "the request has no %s", header)
		}
		told.IdentitySource = append(told.IdentitySource, value)
	}
	text, err := json.Marshal(told)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, authorizerTimeout)
	defer cancel()
	got, failed, err := s.cfg.Functions.Invoke(ctx, a.FunctionARN, s.arn(c.api.id, "authorizers/"+a.ID), text)
	switch {
	case err != nil:
		return fmt.Errorf("the authorizer: %w", err)
	case failed:
		return errors.New("the authorizer failed; its log says why")
	}
	var said struct {
		IsAuthorized *bool          `json:"isAuthorized"`
		Context      map[string]any `json:"context"`
	}
	if err := json.Unmarshal(got, &said); err != nil || said.IsAuthorized == nil {
		return errors.New("the authorizer's answer is no simple response: want isAuthorized")
	}
	if !*said.IsAuthorized {
		return refuse(http.StatusForbidden, "the authorizer does not authorize it")
	}
	c.authorizer = said.Context
	return nil
}
