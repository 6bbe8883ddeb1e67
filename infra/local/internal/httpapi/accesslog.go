package httpapi

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// variable is a variable in the format of an access log.
var variable = regexp.MustCompile(`\$context\.[A-Za-z.]*[A-Za-z]`)

// logged are the values of the variables that are supported ("Customize HTTP API
// access logs"). One that has no value is a hyphen.
var logged = map[string]func(*http.Request, *call) string{
	"apiId":                   func(_ *http.Request, c *call) string { return c.api.id },
	"error.message":           func(_ *http.Request, c *call) string { return c.failure },
	"httpMethod":              func(r *http.Request, _ *call) string { return r.Method },
	"identity.sourceIp":       func(r *http.Request, _ *call) string { return host(r.RemoteAddr) },
	"integrationErrorMessage": func(_ *http.Request, c *call) string { return c.failure },
	"integrationLatency":      func(_ *http.Request, c *call) string { return fmt.Sprint(c.integration.Milliseconds()) },
	"protocol":                func(r *http.Request, _ *call) string { return r.Proto },
	"requestId":               func(_ *http.Request, c *call) string { return c.requestID },
	"requestTime":             func(_ *http.Request, c *call) string { return c.began.UTC().Format(clfTime) },
	"responseLatency":         func(_ *http.Request, c *call) string { return fmt.Sprint(time.Since(c.began).Milliseconds()) },
	"responseLength":          func(_ *http.Request, c *call) string { return fmt.Sprint(c.length) },
	"routeKey":                func(_ *http.Request, c *call) string { return c.route.Key },
	"stage":                   func(*http.Request, *call) string { return defaultStage },
	"status":                  func(_ *http.Request, c *call) string { return fmt.Sprint(c.status) },
}

// Check returns what is wrong with a stage, or not supported: the format of its
// access log names variables of the request's context.
func (s Stage) Check() error {
	for _, name := range variable.FindAllString(s.LogFormat, -1) {
		if logged[strings.TrimPrefix(name, "$context.")] == nil {
			return fmt.Errorf("variable %s of the access log is not supported by the local environment: there are %s", name, strings.Join(slices.Sorted(maps.Keys(logged)), ", "))
		}
	}
	if s.LogGroup != "" && !strings.Contains(s.LogFormat, "$context.requestId") {
		return fmt.Errorf("the format of an access log needs $context.requestId")
	}
	return nil
}

func host(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// record writes the access log and the figures of a request that was answered.
func (s *Service) record(r *http.Request, c *call) {
	if c.stage == nil {
		return // of no API
	}
	c.stage.figures.add(c.status, time.Since(c.began), c.integration)
	if c.stage.LogGroup == "" {
		return
	}
	s.cfg.Log(c.stage.LogGroup, c.api.id+"/"+defaultStage, variable.ReplaceAllStringFunc(c.stage.LogFormat, func(name string) string {
		// In JSON a value stands between quotes.
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ").Replace(logged[strings.TrimPrefix(name, "$context.")](r, c))
		if value == "" {
			return "-"
		}
		return value
	}))
}

// figures are what CloudWatch is told of a stage ("Work with metrics for HTTP
// APIs").
type figures struct {
	byAPI, byStage series
}

type series struct{ count, clientErrors, serverErrors, latency, integration *metric.Series }

func newFigures(r *metric.Registry, id string) figures {
	of := func(dimensions ...metric.Dimension) series {
		one := func(name string, unit metric.Unit) *metric.Series {
			return r.Series("AWS/ApiGateway", name, unit, dimensions...)
		}
		return series{one("Count", metric.Count), one("4xx", metric.Count), one("5xx", metric.Count), one("Latency", metric.Milliseconds), one("IntegrationLatency", metric.Milliseconds)}
	}
	api := metric.Dimension{Name: "ApiId", Value: id}
	return figures{of(api), of(api, metric.Dimension{Name: "Stage", Value: defaultStage})}
}

func (f figures) add(status int, latency, integration time.Duration) {
	for _, s := range []series{f.byAPI, f.byStage} {
		s.count.Add(1)
		s.clientErrors.Add(one(status >= 400 && status < 500))
		s.serverErrors.Add(one(status >= 500))
		s.latency.Add(float64(latency.Milliseconds()))
		if integration > 0 {
			s.integration.Add(float64(integration.Milliseconds()))
		}
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
