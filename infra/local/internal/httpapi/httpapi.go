// Package httpapi is the part of Amazon API Gateway that serves HTTP APIs, in one
// process: routes with path parameters to Lambda functions, behind a Lambda
// authorizer. It is told what there is by the templates ([Service.EnsureAPI] and
// so on), and keeps nothing: they say it again at each start.
//
// A request goes through these steps, as it does on AWS, and each that fails is
// its answer:
//
//  1. Its size is checked, and its API is found: 431, 404.
//  2. Its route is found, by method and path: 404.
//  3. It takes its place in the stage's rate: 429.
//  4. The authorizer is asked: 401 without what it is identified by, 403 if it is
//     not authorized, 500 if the authorizer fails.
//  5. Its body is read: 413 above 10 MB.
//  6. The function is invoked with the request as an event of payload format 2.0,
//     if its permissions allow: 500 if it fails, 503 if it takes too long.
//  7. The stage's access log gets a line.
//
// The numbers are those of "Quotas for configuring and running an HTTP API in API
// Gateway"; how a request is authorized, of "Control access to HTTP APIs with AWS
// Lambda authorizers"; events and answers, of "Create AWS Lambda proxy
// integrations for HTTP APIs in API Gateway". What AWS leaves unsaid there is
// said where it is decided.
//
// An API is served below [Prefix] and its id, an address that needs no DNS.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Prefix begins the path of every request to an API: /_api/<id>/….
const Prefix = "/_api/"

// The stage that is served at the API's root; no other is supported.
const defaultStage = "$default"

const (
	maxHeader          = 10_240 // bytes of the request line and the headers
	maxBody            = 10 << 20
	maxTimeout         = 30 * time.Second // of an integration; also the default
	minTimeout         = 50 * time.Millisecond
	authorizerTimeout  = 10 * time.Second
	accountRate        = 10_000 // requests a second of an account, and so is the next ("Amazon API Gateway quotas")
	accountBurst       = 5_000
	chargedRequestSize = 512 << 10 // a request is billed by pieces of 512 KB ("Amazon API Gateway pricing")
)

// Functions invokes Lambda functions.
type Functions interface {
	// Invoke runs a function for an API, if its permissions allow that, and
	// returns its answer. failed says that the answer is an error of the
	// function's. The error is one of Lambda's: the function was not run.
	Invoke(ctx context.Context, functionARN, sourceARN string, event []byte) (answer []byte, failed bool, err error)
}

// Config is what the service works with.
type Config struct {
	Account, Region string
	Endpoint        string // the URL that the local environment serves
	Functions       Functions
	// Log gets each line of an access log.
	Log     func(group, stream, line string)
	Metrics *metric.Registry
	Meter   *meter.Meter
	Logger  *slog.Logger // is told why an answer is 500
}

// Service serves APIs. It is safe for concurrent use.
type Service struct {
	cfg Config

	mu   sync.Mutex
	apis map[string]*api // by id
}

// New returns a service without APIs.
func New(cfg Config) *Service { return &Service{cfg: cfg, apis: map[string]*api{}} }

// An api is replaced, never changed, by each thing that is ensured: a request
// that has begun goes on with the one that it found.
type api struct {
	id, name     string
	stage        *stage // nil: nothing is deployed
	routes       map[string]Route
	integrations map[string]Integration
	authorizers  map[string]Authorizer
}

type stage struct {
	Stage
	limit   *rate.Limiter
	figures figures
}

// API is an HTTP API.
type API struct {
	ID   string
	Name string
}

// Stage is the stage $default of an API.
type Stage struct {
	// Rate and Burst are how many requests a second, and how many at once, all
	// routes together take; 0: the account's.
	Rate  float64
	Burst int
	// LogGroup gets a line for each request, made of LogFormat; empty: none does.
	LogGroup, LogFormat string
}

// Integration is a Lambda function that answers requests.
type Integration struct {
	ID          string
	FunctionARN string
	Timeout     time.Duration // 0: 30 s
}

// Check returns what is wrong with an integration.
func (i Integration) Check() error {
	if i.Timeout != 0 && (i.Timeout < minTimeout || i.Timeout > maxTimeout) {
		return fmt.Errorf("a timeout of %s: want %s to %s", i.Timeout, minTimeout, maxTimeout)
	}
	return nil
}

// Authorizer is a Lambda function that is asked about each request, and answers
// {"isAuthorized": …, "context": {…}}.
type Authorizer struct {
	ID          string
	FunctionARN string
	// Headers identify who asks: a request without one of them, or with an empty
	// one, is refused without asking. At least one.
	Headers []string
}

// Route is what answers requests of a method to a path.
type Route struct {
	ID          string
	Key         string // such as "GET /rows/{id}"; see [CheckRouteKey]
	Integration string // its id
	Authorizer  string // its id; empty: everybody may ask
}

// Endpoint is the URL of an API.
func (s *Service) Endpoint(id string) string { return s.cfg.Endpoint + Prefix + id }

// EnsureAPI adds an API, or changes the one of its id.
func (s *Service) EnsureAPI(a API) {
	s.change(a.ID, func(one *api) { one.name = a.Name })
}

// DeleteAPI removes an API with all that it has.
func (s *Service) DeleteAPI(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.apis, id)
}

// EnsureStage deploys an API.
func (s *Service) EnsureStage(id string, st Stage) {
	deployed := &stage{Stage: st, figures: newFigures(s.cfg.Metrics, id), limit: rate.NewLimiter(accountRate, accountBurst)}
	if st.Rate > 0 {
		deployed.limit.SetLimit(rate.Limit(st.Rate))
	}
	if st.Burst > 0 {
		deployed.limit.SetBurst(st.Burst)
	}
	s.change(id, func(one *api) { one.stage = deployed })
}

// EnsureIntegration adds or changes an integration of an API.
func (s *Service) EnsureIntegration(id string, i Integration) {
	s.change(id, func(one *api) { one.integrations[i.ID] = i })
}

// EnsureAuthorizer adds or changes an authorizer of an API.
func (s *Service) EnsureAuthorizer(id string, a Authorizer) {
	s.change(id, func(one *api) { one.authorizers[a.ID] = a })
}

// EnsureRoute adds or changes a route of an API.
func (s *Service) EnsureRoute(id string, r Route) {
	s.change(id, func(one *api) { one.routes[r.ID] = r })
}

// Delete removes a stage, route, integration or authorizer of an API, by its id;
// of a stage, that is its name.
func (s *Service) Delete(id, part string) {
	s.mu.Lock()
	_, exists := s.apis[id]
	s.mu.Unlock()
	if !exists {
		return // it went with its API
	}
	s.change(id, func(one *api) {
		if part == defaultStage {
			one.stage = nil
		}
		delete(one.routes, part)
		delete(one.integrations, part)
		delete(one.authorizers, part)
	})
}

func (s *Service) change(id string, edit func(*api)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &api{id: id, routes: map[string]Route{}, integrations: map[string]Integration{}, authorizers: map[string]Authorizer{}}
	if was := s.apis[id]; was != nil {
		next.name, next.stage = was.name, was.stage
		for k, v := range was.routes {
			next.routes[k] = v
		}
		for k, v := range was.integrations {
			next.integrations[k] = v
		}
		for k, v := range was.authorizers {
			next.authorizers[k] = v
		}
	}
	edit(next)
	s.apis[id] = next
}

// find splits the path of a request into an API and what is below it. The path
// is as it was sent, still encoded.
func (s *Service) find(path string) (*api, string) {
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return nil, ""
	}
	id, below, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apis[id], "/" + below
}
