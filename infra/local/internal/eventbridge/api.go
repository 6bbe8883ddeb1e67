package eventbridge

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// WireTarget is the prefix of X-Amz-Target for the operations; the protocol is
// AWS JSON 1.1.
const WireTarget = "AWSEvents"

// Operations are the operations that the local environment serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"PutEvents":         awswire.Op(s.putEvents),
		"TestEventPattern":  awswire.Op(s.testEventPattern),
		"CreateEventBus":    awswire.Op(s.createEventBus),
		"DeleteEventBus":    awswire.Op(s.deleteEventBus),
		"DescribeEventBus":  awswire.Op(s.describeEventBus),
		"ListEventBuses":    awswire.Op(s.listEventBuses),
		"PutRule":           awswire.Op(s.putRule),
		"DescribeRule":      awswire.Op(s.describeRule),
		"ListRules":         awswire.Op(s.listRules),
		"DeleteRule":        awswire.Op(s.deleteRuleOp),
		"EnableRule":        awswire.Op(s.enableRule),
		"DisableRule":       awswire.Op(s.disableRule),
		"PutTargets":        awswire.Op(s.putTargets),
		"RemoveTargets":     awswire.Op(s.removeTargets),
		"ListTargetsByRule": awswire.Op(s.listTargetsByRule),
	}
}

type none struct{}

type putEventsOutput struct {
	FailedEntryCount int
	Entries          []Result
}

func (s *Service) putEvents(_ context.Context, in *struct{ Entries []Entry }) (*putEventsOutput, error) {
	results, err := s.Put(in.Entries)
	if err != nil {
		return nil, err
	}
	out := &putEventsOutput{Entries: results}
	for _, r := range results {
		if r.ErrorCode != "" {
			out.FailedEntryCount++
		}
	}
	return out, nil
}

func (s *Service) testEventPattern(_ context.Context, in *struct{ Event, EventPattern string }) (*struct{ Result bool }, error) {
	p, err := pattern.Parse([]byte(in.EventPattern))
	if err != nil {
		return nil, awswire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	matched, err := p.Match([]byte(in.Event))
	if err != nil {
		return nil, awswire.Errorf("ValidationException", "Parameter Event is not valid. Reason: %v", err)
	}
	return &struct{ Result bool }{matched}, nil
}

var (
	validBusName  = regexp.MustCompile(`^[/.\-_A-Za-z0-9]{1,256}$`)
	validRuleName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)
)

func (s *Service) createEventBus(_ context.Context, in *struct {
	Name string
	Tags []tag
}) (*struct{ EventBusArn string }, error) {
	if !validBusName.MatchString(in.Name) {
		return nil, awswire.Errorf("ValidationException", "event bus name %q is not valid", in.Name)
	}
	s.mu.RLock()
	_, exists := s.buses[in.Name]
	s.mu.RUnlock()
	if exists {
		return nil, awswire.Errorf("ResourceAlreadyExistsException", "Event bus %s already exists.", in.Name)
	}
	return &struct{ EventBusArn string }{s.BusARN(in.Name)}, s.EnsureBus(in.Name)
}

func (s *Service) deleteEventBus(_ context.Context, in *struct{ Name string }) (*none, error) {
	return &none{}, s.DeleteBus(s.busName(in.Name))
}

type busDescription struct{ Name, Arn string }

func (s *Service) describeEventBus(_ context.Context, in *struct{ Name string }) (*busDescription, error) {
	name := s.busName(in.Name)
	if _, err := s.rules(name); err != nil {
		return nil, err
	}
	return &busDescription{name, s.BusARN(name)}, nil
}

type busList struct{ EventBuses []busDescription }

func (s *Service) listEventBuses(_ context.Context, in *struct{ NamePrefix string }) (*busList, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := &busList{EventBuses: []busDescription{}}
	for _, name := range slices.Sorted(maps.Keys(s.buses)) {
		if strings.HasPrefix(name, in.NamePrefix) {
			out.EventBuses = append(out.EventBuses, busDescription{name, s.BusARN(name)})
		}
	}
	return out, nil
}

type tag struct{ Key, Value string }

func (s *Service) putRule(_ context.Context, in *struct {
	Name         string
	EventBusName string
	EventPattern string
	State        string
	Description  string
	Tags         []tag
}) (*struct{ RuleArn string }, error) {
	if !validRuleName.MatchString(in.Name) {
		return nil, awswire.Errorf("ValidationException", "rule name %q is not valid: 1 to 64 of letters, digits, . - _", in.Name)
	}
	if in.EventPattern == "" {
		return nil, awswire.Errorf("ValidationException", "Parameter(s) EventPattern must be specified (schedules are not supported by the local environment)")
	}
	switch in.State {
	case "", "ENABLED", "DISABLED":
	default:
		return nil, awswire.Errorf("ValidationException", "State %q is not supported by the local environment: want ENABLED or DISABLED", in.State)
	}
	r := Rule{Bus: s.busName(in.EventBusName), Name: in.Name, Pattern: json.RawMessage(in.EventPattern), Description: in.Description, Disabled: in.State == "DISABLED"}
	for _, t := range in.Tags {
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[t.Key] = t.Value
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	if existing, err := s.rule(r.Bus, r.Name); err == nil {
		r.Targets = existing.Targets
		if r.Tags == nil {
			r.Tags = existing.Tags
		}
	}
	if err := s.EnsureRule(r); err != nil {
		return nil, err
	}
	return &struct{ RuleArn string }{s.RuleARN(r.Bus, r.Name)}, nil
}

type ruleDescription struct {
	Name         string
	Arn          string
	EventBusName string
	EventPattern string
	State        string
	Description  string `json:",omitempty"`
}

func (r *rule) describe() ruleDescription {
	state := "ENABLED"
	if r.Disabled {
		state = "DISABLED"
	}
	return ruleDescription{r.Name, r.arn, r.Bus, string(r.Pattern), state, r.Description}
}

type ruleName struct{ Name, EventBusName string }

func (s *Service) describeRule(_ context.Context, in *ruleName) (*ruleDescription, error) {
	r, err := s.rule(s.busName(in.EventBusName), in.Name)
	if err != nil {
		return nil, err
	}
	d := r.describe()
	return &d, nil
}

type ruleList struct{ Rules []ruleDescription }

func (s *Service) listRules(_ context.Context, in *struct{ EventBusName, NamePrefix string }) (*ruleList, error) {
	rules, err := s.rules(s.busName(in.EventBusName))
	if err != nil {
		return nil, err
	}
	out := &ruleList{Rules: []ruleDescription{}}
	for _, r := range rules {
		if strings.HasPrefix(r.Name, in.NamePrefix) {
			out.Rules = append(out.Rules, r.describe())
		}
	}
	return out, nil
}

func (s *Service) deleteRuleOp(_ context.Context, in *struct {
	Name, EventBusName string
	Force              bool
}) (*none, error) {
	return &none{}, s.deleteRule(s.busName(in.EventBusName), in.Name)
}

func (s *Service) enableRule(_ context.Context, in *ruleName) (*none, error) {
	return &none{}, s.change(s.busName(in.EventBusName), in.Name, func(r *Rule) error { r.Disabled = false; return nil })
}

func (s *Service) disableRule(_ context.Context, in *ruleName) (*none, error) {
	return &none{}, s.change(s.busName(in.EventBusName), in.Name, func(r *Rule) error { r.Disabled = true; return nil })
}

// wireTarget is a target as the API and templates write it.
type wireTarget struct {
	Id               string //nolint:revive // the API's spelling
	Arn              string
	DeadLetterConfig *struct{ Arn string }                                          `json:",omitempty"`
	RetryPolicy      *struct{ MaximumEventAgeInSeconds, MaximumRetryAttempts *int } `json:",omitempty"`
}

// The retry policy of a target that has none ("RetryPolicy", EventBridge API
// reference).
const (
	defaultMaxAge     = 86_400
	defaultMaxRetries = 185
)

func (t wireTarget) target() Target {
	out := Target{ID: t.Id, ARN: t.Arn, MaxAgeSeconds: defaultMaxAge, MaxRetries: defaultMaxRetries}
	if t.DeadLetterConfig != nil {
		out.DeadLetterARN = t.DeadLetterConfig.Arn
	}
	if p := t.RetryPolicy; p != nil {
		if p.MaximumEventAgeInSeconds != nil {
			out.MaxAgeSeconds = *p.MaximumEventAgeInSeconds
		}
		if p.MaximumRetryAttempts != nil {
			out.MaxRetries = *p.MaximumRetryAttempts
		}
	}
	return out
}

func (t Target) wire() wireTarget {
	out := wireTarget{Id: t.ID, Arn: t.ARN}
	if t.DeadLetterARN != "" {
		out.DeadLetterConfig = &struct{ Arn string }{t.DeadLetterARN}
	}
	out.RetryPolicy = &struct{ MaximumEventAgeInSeconds, MaximumRetryAttempts *int }{&t.MaxAgeSeconds, &t.MaxRetries}
	return out
}

type targetFailures struct {
	FailedEntryCount int
	FailedEntries    []none
}

func (s *Service) putTargets(_ context.Context, in *struct {
	Rule, EventBusName string
	Targets            []wireTarget
}) (*targetFailures, error) {
	err := s.change(s.busName(in.EventBusName), in.Rule, func(r *Rule) error {
		for _, t := range in.Targets {
			if t.Id == "" {
				return awswire.Errorf("ValidationException", "a target needs an Id")
			}
			r.Targets = slices.DeleteFunc(r.Targets, func(old Target) bool { return old.ID == t.Id })
			r.Targets = append(r.Targets, t.target())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &targetFailures{FailedEntries: []none{}}, nil
}

func (s *Service) removeTargets(_ context.Context, in *struct {
	Rule, EventBusName string
	Ids                []string
	Force              bool
}) (*targetFailures, error) {
	err := s.change(s.busName(in.EventBusName), in.Rule, func(r *Rule) error {
		r.Targets = slices.DeleteFunc(r.Targets, func(t Target) bool { return slices.Contains(in.Ids, t.ID) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &targetFailures{FailedEntries: []none{}}, nil
}

type targetList struct{ Targets []wireTarget }

func (s *Service) listTargetsByRule(_ context.Context, in *struct{ Rule, EventBusName string }) (*targetList, error) {
	r, err := s.rule(s.busName(in.EventBusName), in.Rule)
	if err != nil {
		return nil, err
	}
	out := &targetList{Targets: []wireTarget{}}
	for _, t := range r.Targets {
		out.Targets = append(out.Targets, t.wire())
	}
	return out, nil
}
