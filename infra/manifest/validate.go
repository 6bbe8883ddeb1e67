package manifest

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/functions/connector/topictags"
	"github.com/penstock-dev/penstock/infra/names"
)

// Names of functions and subscriptions become parts of AWS names, and folders.
var shortName = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

const shortNameRule = "must be letters, digits and hyphens, beginning with a letter and not ending with a hyphen"

var secretName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// The alphabet of event types, as package events has it: both parts become file
// names, table keys and parts of IAM conditions.
var (
	eventSource = regexp.MustCompile(`^[a-z][a-z0-9]*([.-][a-z0-9]+)*$`)
	eventName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.v[0-9]+)?$`)
)

const maxEventPart = 128 // EventBridge, "PutEventsRequestEntry"

// Validate returns every fault of a manifest, joined: what is wrong with the
// file alone and with the tables that it names. What depends on an environment
// is checked by Check. A manifest of no folder (Dir is empty) may have any name.
func (f *Function) Validate(tables Tables) error {
	v := &validator{}
	switch folder := path.Base(f.Dir); {
	case f.Name == "":
		v.fault(`a function needs a "name", the same as its folder's`)
	case CheckFunctionName(f.Name) != nil:
		v.fault("%w", CheckFunctionName(f.Name))
	case f.Dir != "" && f.Name != folder:
		v.fault("name %q must be the same as the folder's, %q", f.Name, folder)
	}
	// Lambda, "CreateFunction".
	if n := utf8.RuneCountInString(f.Description); n > 256 {
		v.fault("the description has %d characters, Lambda takes 256", n)
	}
	v.within("memoryMB", f.MemoryMB, 128, 10240)
	v.within("timeoutSeconds", f.TimeoutSeconds, 1, 900)
	// Lambda, "ScalingConfig".
	v.within("maxConcurrency", f.MaxConcurrency, 2, 1000)

	for i, secret := range f.Secrets {
		if err := CheckSecretName(secret); err != nil {
			v.fault("%w", err)
		} else if slices.Contains(f.Secrets[:i], secret) {
			v.fault("secret %q is there twice", secret)
		}
	}
	for i, event := range f.Publishes {
		if err := checkEvent(event); err != nil {
			v.fault("publishes: %w", err)
		} else if slices.Contains(f.Publishes[:i], event) {
			v.fault("publishes: event %q is there twice", event)
		}
	}
	v.tables(f.Tables, tables)
	v.variables(f.Variables)
	v.topics(f)
	v.kind(f)

	var seen []string
	for i := range f.Subscriptions {
		s := &f.Subscriptions[i]
		if s.Name != "" && slices.Contains(seen, s.Name) {
			v.fault("subscription %q: another has the same name: rename one", s.Name)
		}
		seen = append(seen, s.Name)
		v.subscription(i, s)
	}
	for i := range f.Tombstones {
		v.tombstone(f, i)
	}
	return errors.Join(v.faults...)
}

// CheckFunctionName returns an error that says how a function's name must be, if
// name is not so.
func CheckFunctionName(name string) error {
	if !shortName.MatchString(name) {
		return fmt.Errorf("name %q %s", name, shortNameRule)
	}
	if names.Reserved(name) {
		return fmt.Errorf("name %q belongs to Penstock itself: choose another", name)
	}
	return nil
}

// CheckSecretName returns an error that says how a secret's name must be, if
// name is not so. The name is without the application and environment before
// it.
func CheckSecretName(name string) error {
	if !secretName.MatchString(name) {
		return fmt.Errorf("secret %q must be letters, digits, hyphens, dots and underscores, without the application and environment before it", name)
	}
	return nil
}

// A validator gathers faults.
type validator struct {
	about  string // stands before each fault, such as `subscription "withdrawals": `
	faults []error
}

func (v *validator) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Errorf(v.about+format, args...))
}

func (v *validator) within(field string, value, least, most int) {
	if value < least || value > most {
		v.fault("%s must be %d to %d (got %d)", field, least, most, value)
	}
}

func (v *validator) tables(used map[string]Access, tables Tables) {
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if _, ok := tables[name]; !ok {
			v.fault("table %q is not in %s: add it there, or name one of: %s", name, TablesFile, strings.Join(slices.Sorted(maps.Keys(tables)), ", "))
		}
		if access := used[name]; access != Read && access != ReadWrite {
			v.fault("table %q: access %q must be %q or %q", name, access, Read, ReadWrite)
		}
	}
}

// Lambda, "Configuring environment variables": the names that it takes, and
// those that it sets itself.
var variableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]+$`)

func (v *validator) variables(variables map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		switch {
		case !variableName.MatchString(name):
			v.fault("variable %q: a name is two or more letters, digits and underscores, beginning with a letter", name)
		case strings.HasPrefix(name, names.VarPrefix):
			v.fault("variable %q: Penstock sets those that begin with %s: choose another name", name, names.VarPrefix)
		case strings.HasPrefix(name, "AWS_"), name == "LAMBDA_TASK_ROOT", name == "LAMBDA_RUNTIME_DIR":
			v.fault("variable %q: Lambda sets this one: choose another name", name)
		}
	}
}

func (v *validator) topics(f *Function) {
	declared := topictags.Declaration{Function: f.Name, Namespace: f.Namespace, Topics: f.Topics}
	for _, fault := range split(declared.Validate()) {
		v.fault("%w", fault)
	}
	if f.Async == nil {
		return
	}
	if len(f.Topics) == 0 {
		v.fault(`"async" is about invocations by connectors: it needs "topics"`)
	}
	// Lambda, "PutFunctionEventInvokeConfig".
	v.within("async: retries", f.Async.Retries, 0, 2)
	v.within("async: maxAgeSeconds", f.Async.MaxAgeSeconds, 60, 21_600)
}

func (v *validator) subscription(i int, s *Subscription) {
	v.about = fmt.Sprintf("subscription %q: ", s.Name)
	defer func() { v.about = "" }()

	if s.Name == "" {
		v.about = fmt.Sprintf("subscription %d: ", i+1)
		v.fault(`it needs a "name"`)
	} else if !shortName.MatchString(s.Name) {
		v.fault("its name %s", shortNameRule)
	}
	if err := checkEvent(s.Event); err != nil {
		v.fault("%w", err)
	}
	v.filter(s)
	if s.Receive != "" && s.Receive != Events && s.Receive != Notifications {
		v.fault("receive %q must be %q or %q", s.Receive, Events, Notifications)
	}
	// Lambda, "CreateEventSourceMapping".
	v.within("batchSize", s.BatchSize, 1, 10_000)
	v.within("batchWindowSeconds", s.BatchWindowSeconds, 0, 300)
	if s.BatchSize > 10 && s.BatchSize <= 10_000 && s.BatchWindowSeconds == 0 {
		v.fault("batch size %d needs a window of at least 1 s (got 0)", s.BatchSize)
	}
	// SQS, "Using dead-letter queues".
	v.within("maxReceiveCount", s.MaxReceiveCount, 1, 1000)
	v.retry(s)
	v.breaker(s.Breaker)
}

func (v *validator) breaker(b Breaker) {
	v.within("breaker: failedPercent", b.FailedPercent, 1, 100)
	v.within("breaker: minimumEvents", b.MinimumEvents, 1, 1_000_000)
	v.within("breaker: ofMinutes", b.OfMinutes, 1, 60)
	if b.OfMinutes >= 1 {
		v.within("breaker: minutes", b.Minutes, 1, b.OfMinutes)
	}
	v.within("breaker: probeAfterMinutes", b.ProbeAfterMinutes, 0, 1440)
}

const (
	// SQS hides a message for up to 12 hours from when it was received
	// ("ChangeMessageVisibility"), and a function may have it for some of them.
	maxRetrySeconds = 41_000

	// A message that its queue has kept for long enough is gone, receives or no
	// receives: of the 4 days, one is for the time that it waits for others.
	maxRetries = 3 * 24 * time.Hour
)

func (v *validator) retry(s *Subscription) {
	before := len(v.faults)
	v.within("retry: baseSeconds", s.Retry.BaseSeconds, 1, maxRetrySeconds)
	v.within("retry: capSeconds", s.Retry.CapSeconds, 1, maxRetrySeconds)
	if len(v.faults) > before || s.MaxReceiveCount < 1 || s.MaxReceiveCount > 1000 {
		return
	}
	if s.Retry.BaseSeconds > s.Retry.CapSeconds {
		v.fault("retry: baseSeconds %d must be at most capSeconds %d", s.Retry.BaseSeconds, s.Retry.CapSeconds)
	} else if longest := s.Retry.Longest(s.MaxReceiveCount); longest > maxRetries {
		v.fault("%d receives with delays of up to %d s may take %.1f days, and the queue keeps an event for 4: keep it below 3 with a lower maxReceiveCount or capSeconds",
			s.MaxReceiveCount, s.Retry.CapSeconds, longest.Hours()/24)
	}
}

// EventBridge, "Amazon EventBridge quotas".
const maxPattern = 2048

func (v *validator) filter(s *Subscription) {
	if s.Filter == nil {
		return
	}
	if s.Filter[0] != '{' {
		v.fault(`the filter must be an object, such as {"data": {"amount": [{"numeric": [">", 0]}]}} (got %s)`, s.Filter)
		return
	}
	parsed, err := pattern.Parse(s.Pattern())
	if err != nil {
		v.fault("the filter is not valid: %w", err)
	} else if n := utf8.RuneCountInString(parsed.String()); n > maxPattern {
		v.fault("the filter makes an event pattern of %d characters, EventBridge takes %d: filter less here and the rest in the function", n, maxPattern)
	}
}

// checkEvent checks the name of an event type, "source/NAME".
func checkEvent(event string) error {
	source, name, ok := strings.Cut(event, "/")
	switch {
	case event == "":
		return errors.New(`it needs an "event", such as "savings/SAVINGS_WITHDRAWAL"`)
	case !ok:
		return fmt.Errorf("event %q must be source/NAME, such as savings/SAVINGS_WITHDRAWAL", event)
	case !eventSource.MatchString(source) || len(source) > maxEventPart:
		return fmt.Errorf("event %q: source %q must be lower-case letters and digits with dots or hyphens between, at most %d", event, source, maxEventPart)
	case source == "aws" || strings.HasPrefix(source, "aws."):
		return fmt.Errorf("event %q: EventBridge keeps sources that begin with aws. for itself", event)
	case !eventName.MatchString(name) || len(name) > maxEventPart:
		return fmt.Errorf("event %q: name %q must be letters, digits and underscores, at most %d, and may end in .v2", event, name, maxEventPart)
	}
	return nil
}
