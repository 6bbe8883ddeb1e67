package manifest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/functions/egress"
)

// HTTP is the endpoint of a function on HTTP.
type HTTP struct {
	// URL is where events are POSTed: by https, to a public address. An environment
	// may have another, see Webhooks. It is no secret. Required.
	URL string `json:"url"`

	// Secret names the secret that the endpoint shares and deliveries are signed by.
	// Required.
	Secret string `json:"secret"`

	// TimeoutSeconds is how long one delivery may take: 1 to 60; default 15. The
	// function's own timeout leaves 10 s more, for what is around it.
	TimeoutSeconds int `json:"timeoutSeconds"`

	// Headers are sent besides those that Penstock sets. They are no secrets.
	Headers map[string]string `json:"headers,omitempty"`
}

// Webhooks is what differs between environments about functions on HTTP.
type Webhooks struct {
	// URLs are those of endpoints that are elsewhere in this environment, by the
	// function's name.
	URLs map[string]string `json:"urls,omitempty"`

	// AllowLoopback lets URLs lead to this machine, also by http. Only an environment
	// with an endpoint may have it. Default false.
	AllowLoopback bool `json:"allowLoopback,omitempty"`

	// LogDays is how long the log of deliveries keeps an attempt: 7 to 365; 0 is the
	// default, 14.
	LogDays int `json:"logDays,omitempty"`
}

// Packages webhook and deliveries of functions hold to the same.
const (
	defaultHTTPTimeout = 15
	maxAttempts        = 10

	minLogDays     = 7
	defaultLogDays = 14
	maxLogDays     = 365
)

const (
	minHTTPTimeout = 1
	maxHTTPTimeout = 60

	// httpMargin is what a function's timeout has beyond that of a delivery: for the
	// secret to be read, and the log and the queue to be written to.
	httpMargin = 10

	// The deliveries of a batch run at once.
	maxHTTPBatch = 100

	maxHeaders      = 20
	maxHeaderLength = 1024
)

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out.
func (h *HTTP) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain HTTP
	*h = HTTP{TimeoutSeconds: defaultHTTPTimeout}
	return jsonv2.UnmarshalDecode(dec, (*plain)(h))
}

// fill fills in what the manifest leaves out, for the kind of function: one on HTTP
// is told of events at once, and tries by the Standard Webhooks schedule.
func (s *Subscription) fill(k Kind) {
	set := func(field *int, value int) {
		if *field == unset {
			*field = value
		}
	}
	if k == KindHTTP {
		set(&s.BatchSize, 10)
		set(&s.MaxReceiveCount, maxAttempts)
		if s.BatchSize <= 10 {
			set(&s.BatchWindowSeconds, 0)
		}
	}
	set(&s.BatchSize, defaultSubscription.BatchSize)
	set(&s.BatchWindowSeconds, defaultSubscription.BatchWindowSeconds)
	set(&s.MaxReceiveCount, defaultSubscription.MaxReceiveCount)
}

// headerName is what a header may be called ("HTTP Semantics", RFC 9110, 5.6.2).
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// reservedHeaders are set by Penstock, or are about the connection.
var reservedHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
}

func (v *validator) http(f *Function) {
	h := f.HTTP
	v.about = "http: "
	defer func() { v.about = "" }()
	if h.URL == "" {
		v.fault(`it needs a "url", such as "https://hooks.example.com/penstock"`)
	} else if _, err := egress.CheckURL(h.URL, true); err != nil {
		v.fault("url: %w", err)
	}
	if h.Secret == "" {
		v.fault(`it needs a "secret": the name of the one that deliveries are signed by, which penstock functions create-http makes`)
	} else if err := CheckSecretName(h.Secret); err != nil {
		v.fault("%w", err)
	}
	v.within("timeoutSeconds", h.TimeoutSeconds, minHTTPTimeout, maxHTTPTimeout)
	if h.TimeoutSeconds <= maxHTTPTimeout && f.TimeoutSeconds < h.TimeoutSeconds+httpMargin {
		v.fault("a delivery may take %d s, and the function's own timeoutSeconds must be %d more: at least %d (got %d)", h.TimeoutSeconds, httpMargin, h.TimeoutSeconds+httpMargin, f.TimeoutSeconds)
	}
	if len(h.Headers) > maxHeaders {
		v.fault("there are %d headers, at most %d are sent", len(h.Headers), maxHeaders)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		switch value := h.Headers[name]; {
		case !headerName.MatchString(name):
			v.fault("header %q: that is no header's name", name)
		case slices.Contains(reservedHeaders, canonical), strings.HasPrefix(canonical, "Webhook-"):
			v.fault("header %q: Penstock sets it: leave it out", name)
		case len(value) > maxHeaderLength || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }):
			v.fault("header %q: its value must be up to %d printable characters of ASCII", name, maxHeaderLength)
		}
	}
	for i := range f.Subscriptions {
		s := &f.Subscriptions[i]
		v.about = fmt.Sprintf("subscription %q: ", s.Name)
		if s.BatchSize > maxHTTPBatch && s.BatchSize <= 10_000 {
			v.fault("batchSize must be 1 to %d for a function on HTTP, whose deliveries of a batch run at once (got %d)", maxHTTPBatch, s.BatchSize)
		}
		if s.MaxReceiveCount > maxAttempts && s.MaxReceiveCount <= 1000 {
			v.fault("maxReceiveCount must be 1 to %d for a function on HTTP, as many as the schedule of its attempts has (got %d)", maxAttempts, s.MaxReceiveCount)
		}
		if s.Retry != defaultRetry {
			v.fault("retry: a function on HTTP has the schedule of Standard Webhooks: leave it out")
		}
	}
}

// URL is where a function on HTTP is in an environment.
func (f *Function) URL(env Environment) string {
	if url := env.Webhooks.URLs[f.Name]; url != "" {
		return url
	}
	return f.HTTP.URL
}

// LogDaysOrDefault is LogDays, or its default.
func (w Webhooks) LogDaysOrDefault() int {
	if w.LogDays == 0 {
		return defaultLogDays
	}
	return w.LogDays
}

// HasHTTP reports whether any function is on HTTP.
func HasHTTP(functions []Function) bool {
	return slices.ContainsFunc(functions, func(f Function) bool { return f.Kind() == KindHTTP })
}

// AllSecrets are the secrets that the function's program reads, by name: those of
// "secrets", and the one that deliveries are signed by.
func (f *Function) AllSecrets() []string {
	if f.HTTP == nil {
		return f.Secrets
	}
	return append(slices.Clip(f.Secrets), f.HTTP.Secret)
}

// checkWebhooks returns the faults of the URLs that functions on HTTP have in an
// environment.
func checkWebhooks(functions []Function, env Environment) []error {
	var faults []error
	known := map[string]bool{}
	for i := range functions {
		f := &functions[i]
		if f.Kind() != KindHTTP {
			continue
		}
		known[f.Name] = true
		if _, err := egress.CheckURL(f.URL(env), env.Webhooks.AllowLoopback); err != nil {
			where := fmt.Sprintf(`give it another for this environment, as "webhooks": {"urls": {%q: …}} in %s`, f.Name, EnvironmentsFile)
			if env.Endpoint != "" && !env.Webhooks.AllowLoopback {
				where += `; or allow this machine with "allowLoopback": true there`
			}
			faults = append(faults, fmt.Errorf("function %q: its URL in environment %q: %w: %s", f.Name, env.Name, err, where))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env.Webhooks.URLs)) {
		if !known[name] {
			faults = append(faults, fmt.Errorf("%s: environment %q: webhooks: urls: there is no function %q on HTTP", EnvironmentsFile, env.Name, name))
		}
	}
	return faults
}

func (e Environment) validateWebhooks(v *validator) {
	w := e.Webhooks
	if w.AllowLoopback && e.Endpoint == "" {
		v.fault("webhooks: allowLoopback is for an environment on one machine, which has an endpoint: leave it out")
	}
	if w.LogDays != 0 && (w.LogDays < minLogDays || w.LogDays > maxLogDays) {
		v.fault("webhooks: logDays must be %d to %d (got %d); leave it out for %d", minLogDays, maxLogDays, w.LogDays, defaultLogDays)
	}
}

var errTwoKinds = errors.New(`"pipeline" and "http" are two kinds of a function: leave one out`)
