// Package manifest reads what a project declares about its infrastructure:
//
//   - functions/<name>/function.json, a function's manifest: the one source of
//     its settings, subscriptions and permissions;
//   - functions/<name>/notifications.json, its notification templates;
//   - infra/tables.json, the tables that a manifest may name;
//   - infra/environments.json, what differs between environments.
//
// All three are read strictly. A field that is not known, a value out of range
// and a name that does not exist are errors, which name the file, the thing,
// the value and the way out; every fault of a project is reported at once.
//
// The CDK app provisions from these files; the command reads and edits them.
// This package knows nothing of the CDK.
package manifest

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/functions/handler/notification"
)

// Function is a function's manifest. A value that Load or Parse returned has
// its defaults filled in.
type Function struct {
	// Dir is the function's folder in the project, such as
	// "functions/withdrawal-fee". It is where the file was, not in it.
	Dir string `json:"-"`

	// Name is the function's short name, the same as its folder's: letters,
	// digits and hyphens, beginning with a letter.
	Name string `json:"name"`

	// Description says what the function does, in up to 256 characters.
	Description string `json:"description,omitempty"`

	// Pipeline are the stages that every event goes through, as package
	// functions/pipeline knows them. A function that has any is a pipeline and
	// has no code, see Kind.
	Pipeline json.RawMessage `json:"pipeline,omitempty"`

	// HTTP is the endpoint that every event is delivered to. A function that has one
	// is on HTTP and has no code, see Kind.
	HTTP *HTTP `json:"http,omitempty"`

	// MemoryMB is 128 to 10240; default 256. CPU grows with it.
	MemoryMB int `json:"memoryMB"`

	// TimeoutSeconds is how long one batch may take: 1 to 900; default 30.
	TimeoutSeconds int `json:"timeoutSeconds"`

	// MaxConcurrency is how many batches of each subscription are handled at
	// once: 2 to 1000, as Lambda allows for a mapping; default 10. There is no
	// "unlimited": one busy subscription would take the concurrency of the
	// whole account, and every other function would be throttled.
	MaxConcurrency int `json:"maxConcurrency"`

	// Secrets names the secrets that the function may read.
	Secrets []string `json:"secrets,omitempty"`

	// Publishes lists the event types that the function may publish, as
	// "source/NAME". It can enqueue no other.
	Publishes []string `json:"publishes,omitempty"`

	// Tables says which tables of tables.json the function may use, and how.
	Tables map[string]Access `json:"tables,omitempty"`

	// Idempotency says that the function keeps marks of the events that it has
	// handled, as package handler/idempotency does. A function that has Publishes
	// or Tables may do so without it.
	Idempotency bool `json:"idempotency,omitempty"`

	// VPC says that the function runs in the environment's VPC, to reach a
	// database. One that need not is better off without: in a VPC, AWS's own
	// services are reached through what the VPC provides for it.
	VPC bool `json:"vpc,omitempty"`

	// Variables are the function's environment variables, besides those that
	// Penstock sets.
	Variables map[string]string `json:"variables,omitempty"`

	// Subscriptions are the event types that the function receives. A function
	// without any is called by name only.
	Subscriptions []Subscription `json:"subscriptions,omitempty"`

	// Topics are what connectors invoke the function for: names, or patterns such
	// as "payment.*", which are the connector's to read; see package
	// functions/connector/topictags for what one may hold.
	Topics []string `json:"topics,omitempty"`

	// Namespace groups functions, for connectors that serve those of one alone:
	// lower-case letters, digits and hyphens, up to 63.
	Namespace string `json:"namespace,omitempty"`

	// Async says how long Lambda tries an asynchronous invocation by a connector.
	// Nil: as Lambda does by itself, see AsyncSettings. Only a function with
	// Topics may have it.
	Async *Async `json:"async,omitempty"`

	// Tombstones are the subscriptions that were deleted, for as long as their
	// queues stay.
	Tombstones []Tombstone `json:"tombstones,omitempty"`

	// AllowLoop says that events may come back to the function by way of those
	// that it publishes. Without it such a loop is refused, see CheckLoops.
	AllowLoop bool `json:"allowLoop,omitempty"`

	// Notifications are the templates in the file notifications.json beside the
	// manifest; none if there is no such file. Only Load reads it.
	Notifications []*notification.Template `json:"-"`

	// Calls are the calls that a pipeline makes of other functions, in the order
	// of its stages. Only Load finds them out.
	Calls []Call `json:"-"`
}

// Access is what a function may do with a table.
type Access string

const (
	Read      Access = "read"      // get, query and scan items
	ReadWrite Access = "readWrite" // and put, update and delete them
)

// Receive is what a function is given of a subscription's events.
type Receive string

const (
	Events        Receive = "events"        // the events; also if nothing is said
	Notifications Receive = "notifications" // what the templates in notifications.json make of them
)

// Subscription is one function receiving one event type.
type Subscription struct {
	// Name is unique in the function: letters, digits and hyphens, beginning
	// with a letter.
	Name string `json:"name"`

	// Event is the type received, as "source/NAME".
	Event string `json:"event"`

	// Filter narrows the events received: an event pattern over the event's
	// detail, whose fields are "metadata" and "data". Empty: all of the type.
	Filter json.RawMessage `json:"filter,omitempty"`

	// Receive says what the function is given: the events themselves, which is
	// the default, or the notifications that its templates make of them.
	Receive Receive `json:"receive,omitempty"`

	// BatchSize is the most events that one batch holds: 1 to 10,000; default
	// 500. A batch also stays below 6 MB. Of a function on HTTP 1 to 100; default 10.
	BatchSize int `json:"batchSize"`

	// BatchWindowSeconds is how long Lambda waits for a batch to fill: 0 to
	// 300; default 1, the least that Lambda takes for more than 10 events. Of a
	// function on HTTP with batches of up to 10 the default is 0.
	BatchWindowSeconds int `json:"batchWindowSeconds"`

	// MaxReceiveCount is how often an event is received before it goes to the
	// DLQ: 1 to 1000; default 5. Of a function on HTTP 1 to 10; default 10.
	MaxReceiveCount int `json:"maxReceiveCount"`

	// Retry says when an event comes back that failed. A function on HTTP has a
	// schedule of its own, webhook.Schedule, and no Retry.
	Retry Retry `json:"retry"`

	// Breaker says when the subscription is stopped because it fails.
	Breaker Breaker `json:"breaker"`

	// Matches is the event pattern of a subscription of Penstock's own, see System:
	// it receives what no module has published. Nil for all others.
	Matches json.RawMessage `json:"-"`

	// Enabled says whether events are delivered; false leaves them in the
	// queue. Unset leaves the mapping as it is, so that a deployment does not
	// undo what a person or the breaker did; a new one begins enabled.
	Enabled *bool `json:"enabled,omitempty"`
}

// Retry says when an event comes back that failed: after the n-th receive, a
// random time of up to BaseSeconds, doubled n-1 times, or of up to CapSeconds,
// whichever is less. With the defaults the first four delays are up to 30 s, 1,
// 2 and 4 minutes, and half of that on average: what was down for a moment is
// asked again soon, and what is down for longer is not asked by all at once.
// Raise MaxReceiveCount to outlast an outage of hours.
type Retry struct {
	// BaseSeconds is 1 to CapSeconds; default 30.
	BaseSeconds int `json:"baseSeconds"`

	// CapSeconds is 1 to 41,000, since SQS hides a message for 12 hours at most;
	// default 900. With MaxReceiveCount it is so that an event has all of its
	// receives within the 4 days for which its queue keeps it.
	CapSeconds int `json:"capSeconds"`
}

// Breaker says when a subscription is stopped because it fails: when in Minutes
// of the last OfMinutes at least FailedPercent of the events that the function
// was given have failed, and at least MinimumEvents were given. A minute with
// fewer, or with none, counts as a good one. What was given counts each time
// that it is given, so that an event which is retried counts again.
type Breaker struct {
	// Off leaves the subscription to its retries and its DLQ.
	Off bool `json:"off,omitempty"`

	// FailedPercent is 1 to 100; default 50.
	FailedPercent int `json:"failedPercent"`

	// MinimumEvents is 1 to 1,000,000, in one minute; default 10.
	MinimumEvents int `json:"minimumEvents"`

	// Minutes is 1 to OfMinutes; default 3.
	Minutes int `json:"minutes"`

	// OfMinutes is 1 to 60; default 5.
	OfMinutes int `json:"ofMinutes"`

	// ProbeAfterMinutes is how long after a stop, and after each probe that
	// failed, the breaker tries the function with up to ten of the events that
	// wait, and resumes the subscription if fewer than FailedPercent of them
	// fail: 1 to 1440. Each probe counts as a receive of its events. 0, the
	// default: a person resumes it.
	ProbeAfterMinutes int `json:"probeAfterMinutes,omitempty"`
}

// Async says how long Lambda tries an asynchronous invocation, before it goes to
// the function's DLQ. Its defaults are the most that Lambda takes
// ("PutFunctionEventInvokeConfig").
type Async struct {
	// Retries is how often an invocation is repeated that the function failed,
	// after one minute and after two more: 0 to 2; default 2. A response with a
	// status of 500 is no failure to Lambda.
	Retries int `json:"retries"`

	// MaxAgeSeconds is how long an invocation may wait, while the function is
	// throttled or fails: 60 to 21,600, which is six hours; default 21,600.
	MaxAgeSeconds int `json:"maxAgeSeconds"`
}

// Longest is how long all delays of an event take together at most, if it is
// received so many times.
func (r Retry) Longest(receives int) time.Duration {
	var sum time.Duration
	delay, limit := time.Duration(r.BaseSeconds)*time.Second, time.Duration(r.CapSeconds)*time.Second
	for range receives - 1 {
		delay = min(delay, limit)
		sum += delay
		delay *= 2
	}
	return sum
}

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out.
func (f *Function) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain Function
	*f = Function{Dir: f.Dir, MemoryMB: 256, TimeoutSeconds: 30, MaxConcurrency: 10}
	err := jsonv2.UnmarshalDecode(dec, (*plain)(f))
	for i := range f.Subscriptions {
		f.Subscriptions[i].fill(f.Kind())
	}
	for i := range f.Tombstones {
		f.Tombstones[i].fill(f.Kind())
	}
	return err
}

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out, but for
// those that depend on the function's kind: they are unset until the whole manifest
// is read.
func (s *Subscription) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain Subscription
	*s = unsetSubscription
	return jsonv2.UnmarshalDecode(dec, (*plain)(s))
}

var defaultSubscription = Subscription{BatchSize: 500, BatchWindowSeconds: 1, MaxReceiveCount: 5, Retry: defaultRetry, Breaker: defaultBreaker}

// unset stands for a number that the manifest leaves out.
const unset = math.MinInt

var unsetSubscription = Subscription{BatchSize: unset, BatchWindowSeconds: unset, MaxReceiveCount: unset, Retry: defaultRetry, Breaker: defaultBreaker}

// defaultRetry is what package handler has as its default too.
var defaultRetry = Retry{BaseSeconds: 30, CapSeconds: 900}

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out.
func (r *Retry) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain Retry
	*r = defaultRetry
	return jsonv2.UnmarshalDecode(dec, (*plain)(r))
}

var defaultBreaker = Breaker{FailedPercent: 50, MinimumEvents: 10, Minutes: 3, OfMinutes: 5}

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out.
func (b *Breaker) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain Breaker
	*b = defaultBreaker
	return jsonv2.UnmarshalDecode(dec, (*plain)(b))
}

var defaultAsync = Async{Retries: 2, MaxAgeSeconds: 6 * 60 * 60}

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out.
func (a *Async) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain Async
	*a = defaultAsync
	return jsonv2.UnmarshalDecode(dec, (*plain)(a))
}

// AsyncSettings is Async, or its defaults.
func (f *Function) AsyncSettings() Async {
	if f.Async == nil {
		return defaultAsync
	}
	return *f.Async
}

// UsesSessions reports whether the function writes in transactions that may
// carry events, and so is given the outbox and the deduplication marks.
func (f *Function) UsesSessions() bool {
	return f.Kind() == KindCode && (len(f.Publishes) > 0 || len(f.Tables) > 0)
}

// UsesMarks reports whether the function keeps marks of the events that it has
// handled: in its sessions, or besides.
func (f *Function) UsesMarks() bool { return f.Idempotency || f.UsesSessions() }

// Source is the module that announces the event: the part before the slash.
func (s *Subscription) Source() string {
	source, _, _ := strings.Cut(s.Event, "/")
	return source
}

// DetailType is the event's name: the part behind the slash.
func (s *Subscription) DetailType() string {
	_, name, _ := strings.Cut(s.Event, "/")
	return name
}

// Pattern is the event pattern of the subscription's rule, as JSON: its event
// type, and the filter over the event's detail.
func (s *Subscription) Pattern() []byte {
	if s.Matches != nil {
		return s.Matches
	}
	pattern := map[string]any{
		"source":      []string{s.Source()},
		"detail-type": []string{s.DetailType()},
	}
	if s.Filter != nil {
		pattern["detail"] = s.Filter
	}
	data, err := json.Marshal(pattern)
	if err != nil {
		panic(err) // a filter that was decoded is JSON
	}
	return data
}
