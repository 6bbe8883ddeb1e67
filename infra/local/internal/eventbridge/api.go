package eventbridge

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// WireTarget is the prefix of X-Amz-Target for the operations; the protocol is
// AWS JSON 1.1.
const WireTarget = "AWSEvents"

// Operations are the operations that the local environment serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"PutEvents":             awswire.Op(s.putEvents),
		"TestEventPattern":      awswire.Op(s.testEventPattern),
		"CreateEventBus":        awswire.Op(s.createEventBus),
		"DeleteEventBus":        awswire.Op(s.deleteEventBus),
		"DescribeEventBus":      awswire.Op(s.describeEventBus),
		"ListEventBuses":        awswire.Op(s.listEventBuses),
		"PutRule":               awswire.Op(s.putRule),
		"DescribeRule":          awswire.Op(s.describeRule),
		"ListRules":             awswire.Op(s.listRules),
		"DeleteRule":            awswire.Op(s.deleteRuleOp),
		"EnableRule":            awswire.Op(s.enableRule),
		"DisableRule":           awswire.Op(s.disableRule),
		"PutTargets":            awswire.Op(s.putTargets),
		"RemoveTargets":         awswire.Op(s.removeTargets),
		"ListTargetsByRule":     awswire.Op(s.listTargetsByRule),
		"ListRuleNamesByTarget": awswire.Op(s.listRuleNamesByTarget),
		"CreateArchive":         awswire.Op(s.createArchive),
		"UpdateArchive":         awswire.Op(s.updateArchive),
		"DeleteArchive":         awswire.Op(s.deleteArchive),
		"DescribeArchive":       awswire.Op(s.describeArchive),
		"ListArchives":          awswire.Op(s.listArchives),
		"StartReplay":           awswire.Op(s.startReplayOp),
		"CancelReplay":          awswire.Op(s.cancelReplayOp),
		"DescribeReplay":        awswire.Op(s.describeReplay),
		"ListReplays":           awswire.Op(s.listReplays),
		"TagResource":           awswire.Op(s.tagResource),
		"UntagResource":         awswire.Op(s.untagResource),
		"ListTagsForResource":   awswire.Op(s.listTagsForResource),
	}
}

// authorize asks whether the caller may perform an action, like PutRule, on the
// resource with the given ARN, or "*".
func authorize(ctx context.Context, action, resource string) error {
	return awswire.Authorize(ctx, awswire.Access{Action: "events:" + action, Resource: resource})
}

// authorizeRule asks whether the caller may perform an action on a rule, which
// need not exist.
func (s *Service) authorizeRule(ctx context.Context, action, bus, rule string) error {
	return authorize(ctx, action, s.RuleARN(s.busName(bus), rule))
}

type none struct{}

type putEventsOutput struct {
	FailedEntryCount int
	Entries          []Result
}

func (s *Service) putEvents(ctx context.Context, in *struct{ Entries []Entry }) (*putEventsOutput, error) {
	results, err := s.Put(ctx, in.Entries)
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

// eventFields are what TestEventPattern demands of an event.
var eventFields = []string{"id", "account", "source", "time", "region", "resources", "detail-type"}

func (s *Service) testEventPattern(ctx context.Context, in *struct{ Event, EventPattern string }) (*struct{ Result bool }, error) {
	if err := authorize(ctx, "TestEventPattern", "*"); err != nil {
		return nil, err
	}
	p, err := pattern.Parse([]byte(in.EventPattern))
	if err != nil {
		return nil, awswire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(in.Event), &fields); err != nil {
		return nil, awswire.Errorf("ValidationException", "Parameter Event is not valid. Reason: %v", err)
	}
	for _, name := range eventFields {
		if fields[name] == nil {
			return nil, awswire.Errorf("ValidationException", "Parameter Event is not valid. Reason: it has no field %q (it needs %s)", name, strings.Join(eventFields, ", "))
		}
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

func (s *Service) createEventBus(ctx context.Context, in *struct {
	Name        string
	Description string
	Tags        []tag
}) (*struct{ EventBusArn, Description string }, error) {
	if err := authorize(ctx, "CreateEventBus", s.BusARN(in.Name)); err != nil {
		return nil, err
	}
	if !validBusName.MatchString(in.Name) {
		return nil, awswire.Errorf("ValidationException", "event bus name %q is not valid: 1 to 256 of letters, digits, / . - _", in.Name)
	}
	if n := len(in.Description); n > maxDescription {
		return nil, awswire.Errorf("ValidationException", "Description: at most %d characters (got %d)", maxDescription, n)
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	_, exists := s.buses[in.Name]
	s.mu.RUnlock()
	if exists {
		return nil, awswire.Errorf("ResourceAlreadyExistsException", "Event bus %s already exists.", in.Name)
	}
	return &struct{ EventBusArn, Description string }{s.BusARN(in.Name), in.Description}, s.EnsureBus(Bus{Name: in.Name, Description: in.Description, Tags: tags})
}

// maxDescription is how long the description of a bus or a rule is at most.
const maxDescription = 512

func (s *Service) deleteEventBus(ctx context.Context, in *struct{ Name string }) (*none, error) {
	if err := authorize(ctx, "DeleteEventBus", s.BusARN(s.busName(in.Name))); err != nil {
		return nil, err
	}
	return &none{}, s.DeleteBus(s.busName(in.Name))
}

type busDescription struct {
	Name, Arn        string
	Description      string  `json:",omitempty"`
	CreationTime     float64 `json:",omitzero"` // seconds since 1970
	LastModifiedTime float64 `json:",omitzero"`
}

func (s *Service) describe(b *bus) busDescription {
	return busDescription{b.Name, s.BusARN(b.Name), b.Description, epoch(b.CreatedAt), epoch(b.ModifiedAt)}
}

// epoch is a time as the API writes it; the zero time is 0.
func epoch(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func (s *Service) describeEventBus(ctx context.Context, in *struct{ Name string }) (*busDescription, error) {
	if err := authorize(ctx, "DescribeEventBus", s.BusARN(s.busName(in.Name))); err != nil {
		return nil, err
	}
	name := s.busName(in.Name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.buses[name]
	if !ok {
		return nil, noSuchBus(name)
	}
	d := s.describe(b)
	return &d, nil
}

// pageSize is how many elements a page of a list has at most, and without a
// Limit.
const pageSize = 100

// paging are the parameters of every list.
type paging struct {
	Limit     *int
	NextToken string
}

type busList struct {
	EventBuses []busDescription
	NextToken  string `json:",omitempty"`
}

func (s *Service) listEventBuses(ctx context.Context, in *struct {
	NamePrefix string
	paging
}) (*busList, error) {
	if err := authorize(ctx, "ListEventBuses", "*"); err != nil {
		return nil, err
	}
	all := []busDescription{}
	s.mu.RLock()
	for name, b := range s.buses {
		if strings.HasPrefix(name, in.NamePrefix) {
			all = append(all, s.describe(b))
		}
	}
	s.mu.RUnlock()
	page, next, err := awswire.Page(all, func(d busDescription) string { return d.Name }, in.NextToken, in.Limit, pageSize)
	return &busList{page, next}, err
}

func (s *Service) putRule(ctx context.Context, in *struct {
	Name         string
	EventBusName string
	EventPattern string
	State        string
	Description  string
	Tags         []tag
}) (*struct{ RuleArn string }, error) {
	if err := s.authorizeRule(ctx, "PutRule", in.EventBusName, in.Name); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 { // "PutRule", EventBridge API reference
		if err := s.authorizeRule(ctx, "TagResource", in.EventBusName, in.Name); err != nil {
			return nil, err
		}
	}
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
	if n := len(in.Description); n > maxDescription {
		return nil, awswire.Errorf("ValidationException", "Description: at most %d characters (got %d)", maxDescription, n)
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	r := Rule{Bus: s.busName(in.EventBusName), Name: in.Name, Pattern: json.RawMessage(in.EventPattern), Description: in.Description, Disabled: in.State == "DISABLED"}
	s.edits.Lock()
	defer s.edits.Unlock()
	if existing, err := s.rule(r.Bus, r.Name); err == nil {
		r.Targets = existing.Targets // and its tags: those given are ignored then ("PutRule", EventBridge API reference)
	} else {
		r.Tags = tags
	}
	if err := s.EnsureRule(r); err != nil {
		return nil, err
	}
	return &struct{ RuleArn string }{s.RuleARN(r.Bus, r.Name)}, nil
}

type ruleDescription struct {
	Name               string
	Arn                string
	EventBusName       string
	EventPattern       string `json:",omitempty"`
	ScheduleExpression string `json:",omitempty"`
	State              string
	Description        string `json:",omitempty"`
	CreatedBy          string `json:",omitempty"` // the account; in DescribeRule alone
}

func (r *rule) describe() ruleDescription {
	state := "ENABLED"
	if r.Disabled {
		state = "DISABLED"
	}
	return ruleDescription{Name: r.Name, Arn: r.arn, EventBusName: r.Bus, EventPattern: string(r.Pattern), ScheduleExpression: r.Schedule, State: state, Description: r.Description}
}

type ruleName struct{ Name, EventBusName string }

func (s *Service) describeRule(ctx context.Context, in *ruleName) (*ruleDescription, error) {
	if err := s.authorizeRule(ctx, "DescribeRule", in.EventBusName, in.Name); err != nil {
		return nil, err
	}
	r, err := s.rule(s.busName(in.EventBusName), in.Name)
	if err != nil {
		return nil, err
	}
	d := r.describe()
	d.CreatedBy = s.config.Account
	return &d, nil
}

type ruleList struct {
	Rules     []ruleDescription
	NextToken string `json:",omitempty"`
}

func (s *Service) listRules(ctx context.Context, in *struct {
	EventBusName, NamePrefix string
	paging
}) (*ruleList, error) {
	if err := authorize(ctx, "ListRules", "*"); err != nil {
		return nil, err
	}
	rules, err := s.rules(s.busName(in.EventBusName))
	if err != nil {
		return nil, err
	}
	rules = slices.DeleteFunc(rules, func(r *rule) bool { return !strings.HasPrefix(r.Name, in.NamePrefix) })
	page, next, err := awswire.Page(rules, func(r *rule) string { return r.Name }, in.NextToken, in.Limit, pageSize)
	out := &ruleList{Rules: []ruleDescription{}, NextToken: next}
	for _, r := range page {
		out.Rules = append(out.Rules, r.describe())
	}
	return out, err
}

type ruleNames struct {
	RuleNames []string
	NextToken string `json:",omitempty"`
}

func (s *Service) listRuleNamesByTarget(ctx context.Context, in *struct {
	TargetArn, EventBusName string
	paging
}) (*ruleNames, error) {
	if err := authorize(ctx, "ListRuleNamesByTarget", "*"); err != nil {
		return nil, err
	}
	rules, err := s.rules(s.busName(in.EventBusName))
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, r := range rules {
		if slices.ContainsFunc(r.Targets, func(t Target) bool { return t.ARN == in.TargetArn }) {
			names = append(names, r.Name)
		}
	}
	page, next, err := awswire.Page(names, func(name string) string { return name }, in.NextToken, in.Limit, pageSize)
	return &ruleNames{page, next}, err
}

func (s *Service) deleteRuleOp(ctx context.Context, in *struct {
	Name, EventBusName string
	Force              bool
}) (*none, error) {
	if err := s.authorizeRule(ctx, "DeleteRule", in.EventBusName, in.Name); err != nil {
		return nil, err
	}
	return &none{}, s.deleteRule(s.busName(in.EventBusName), in.Name)
}

func (s *Service) enableRule(ctx context.Context, in *ruleName) (*none, error) {
	if err := s.authorizeRule(ctx, "EnableRule", in.EventBusName, in.Name); err != nil {
		return nil, err
	}
	return &none{}, s.change(s.busName(in.EventBusName), in.Name, func(r *Rule) error { r.Disabled = false; return nil })
}

func (s *Service) disableRule(ctx context.Context, in *ruleName) (*none, error) {
	if err := s.authorizeRule(ctx, "DisableRule", in.EventBusName, in.Name); err != nil {
		return nil, err
	}
	return &none{}, s.change(s.busName(in.EventBusName), in.Name, func(r *Rule) error { r.Disabled = true; return nil })
}

// wireTarget is a target as the API and templates write it.
type wireTarget struct {
	Id               string //nolint:revive // the API's spelling
	Arn              string
	DeadLetterConfig *struct{ Arn string } `json:",omitempty"`
	RetryPolicy      *RetryPolicy          `json:",omitempty"`
}

func (t wireTarget) target() Target {
	out := Target{ID: t.Id, ARN: t.Arn}
	if t.DeadLetterConfig != nil {
		out.DeadLetterARN = t.DeadLetterConfig.Arn
	}
	if t.RetryPolicy != nil {
		out.RetryPolicy = *t.RetryPolicy
	}
	return out
}

func (t Target) wire() wireTarget {
	out := wireTarget{Id: t.ID, Arn: t.ARN}
	if t.DeadLetterARN != "" {
		out.DeadLetterConfig = &struct{ Arn string }{t.DeadLetterARN}
	}
	if t.RetryPolicy != (RetryPolicy{}) {
		out.RetryPolicy = &t.RetryPolicy
	}
	return out
}

type targetFailures struct {
	FailedEntryCount int
	FailedEntries    []none
}

func (s *Service) putTargets(ctx context.Context, in *struct {
	Rule, EventBusName string
	Targets            []wireTarget
}) (*targetFailures, error) {
	if err := s.authorizeRule(ctx, "PutTargets", in.EventBusName, in.Rule); err != nil {
		return nil, err
	}
	err := s.change(s.busName(in.EventBusName), in.Rule, func(r *Rule) error {
		for _, t := range in.Targets {
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

func (s *Service) removeTargets(ctx context.Context, in *struct {
	Rule, EventBusName string
	Ids                []string
	Force              bool
}) (*targetFailures, error) {
	if err := s.authorizeRule(ctx, "RemoveTargets", in.EventBusName, in.Rule); err != nil {
		return nil, err
	}
	err := s.change(s.busName(in.EventBusName), in.Rule, func(r *Rule) error {
		r.Targets = slices.DeleteFunc(r.Targets, func(t Target) bool { return slices.Contains(in.Ids, t.ID) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &targetFailures{FailedEntries: []none{}}, nil
}

type targetList struct {
	Targets   []wireTarget
	NextToken string `json:",omitempty"`
}

func (s *Service) listTargetsByRule(ctx context.Context, in *struct {
	Rule, EventBusName string
	paging
}) (*targetList, error) {
	if err := s.authorizeRule(ctx, "ListTargetsByRule", in.EventBusName, in.Rule); err != nil {
		return nil, err
	}
	r, err := s.rule(s.busName(in.EventBusName), in.Rule)
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(slices.Clone(r.Targets), func(t Target) string { return t.ID }, in.NextToken, in.Limit, pageSize)
	out := &targetList{Targets: []wireTarget{}, NextToken: next}
	for _, t := range page {
		out.Targets = append(out.Targets, t.wire())
	}
	return out, err
}
