package eventbridge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// A PutEvents call takes 10 entries and less than 1 MB in all, and details of
// 1,000 levels ("PutEvents", EventBridge API reference).
const (
	maxEntries    = 10
	maxTotalBytes = 1 << 20
	maxDetailType = 128
	maxDepth      = 1000
)

// Entry is an event as a publisher sends it.
type Entry struct {
	EventBusName string
	Source       string
	DetailType   string
	Detail       string
	Resources    []string
	Time         *float64 // seconds since 1970
	TraceHeader  string
}

// size is what counts against the limit ("Calculating Amazon EventBridge
// PutEvents event entry size").
func (e Entry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

// Result is what became of an entry: an event id, or an error.
type Result struct {
	EventId      string `json:",omitempty"` //nolint:revive // the API's spelling
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// event is the form in which targets receive an event ("Amazon EventBridge
// event metadata").
type event struct {
	Version    string         `json:"version"`
	ID         string         `json:"id"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Account    string         `json:"account"`
	Time       string         `json:"time"`
	Region     string         `json:"region"`
	Resources  []string       `json:"resources"`
	Detail     jsontext.Value `json:"detail"`
	ReplayName string         `json:"replay-name,omitempty"` // of one that is replayed
}

// Put publishes entries, if whoever ctx acts for may (see [awswire.Authorize]),
// and returns what became of each. An error means that the call as a whole was
// refused. When it returns, every accepted event is durable in the queues of the
// rules that matched it.
func (s *Service) Put(ctx context.Context, entries []Entry) ([]Result, error) {
	if len(entries) == 0 || len(entries) > maxEntries {
		return nil, awswire.Errorf("ValidationException", "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d (got %d)", maxEntries, len(entries))
	}
	total := 0
	for _, e := range entries {
		total += e.size()
	}
	if total >= maxTotalBytes {
		return nil, awswire.Errorf("ValidationException", "Total size of the entries in the request is over the limit (%d bytes, got %d)", maxTotalBytes, total)
	}
	denied, err := s.authorizeEntries(ctx, entries)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(entries))
	var deliveries []delivery
	var toKeep []archived
	accepted, matched := 0, 0
	s.config.Meter.Add(meter.PutEventsCall, s.busName(entries[0].EventBusName), 1)
	s.figures.calls.Add(1)
	s.figures.entries.AddN(1, len(entries))
	defer func() { s.figures.failedEntries.AddN(1, len(entries)-accepted) }()
	for i, entry := range entries {
		if denied[i] != nil {
			results[i] = Result{ErrorCode: denied[i].Code, ErrorMessage: denied[i].Message}
			continue
		}
		to, err := s.route(entry)
		if err != nil {
			results[i] = Result{ErrorCode: err.Code, ErrorMessage: err.Message}
			continue
		}
		results[i].EventId = to.id
		accepted++
		s.charge(entry, to.deliveries)
		toKeep = append(toKeep, to.archived...)
		if !to.matched {
			s.unmatched(s.busName(entry.EventBusName), entry.Source+"/"+entry.DetailType)
			continue
		}
		matched++
		deliveries = append(deliveries, to.deliveries...)
	}
	kept := make(chan error, 1) // beside the deliveries: commits share what makes them durable
	if len(toKeep) > 0 {
		go func() { kept <- s.keep(toKeep) }()
	} else {
		kept <- nil
	}
	_, err = s.deliver(deliveries)
	if err := errors.Join(err, <-kept); err != nil {
		return nil, err
	}
	s.stats.mu.Lock()
	s.stats.Events += accepted
	s.stats.Matched += matched
	s.stats.mu.Unlock()
	return results, nil
}

// authorizeEntries asks whether the caller may publish the entries. Who may
// publish nothing to a bus is refused as a whole; an entry whose source or detail
// type the caller may not publish is refused by itself ("PutEventsResultEntry",
// EventBridge API reference).
func (s *Service) authorizeEntries(ctx context.Context, entries []Entry) ([]*awswire.Error, error) {
	denied := make([]*awswire.Error, len(entries))
	for i := range entries {
		e := &entries[i]
		bus := s.busName(e.EventBusName)
		err := awswire.Authorize(ctx, awswire.Access{
			Action: "events:PutEvents", Resource: s.BusARN(bus), Policy: s.policyOf(bus),
			Keys: func(key string) []string {
				switch key {
				case "events:source":
					return []string{e.Source}
				case "events:detail-type":
					return []string{e.DetailType}
				}
				return nil
			},
		})
		if err == nil {
			continue
		}
		var refused *awswire.Error
		if !errors.As(err, &refused) || len(refused.Unmet) == 0 {
			return nil, err
		}
		one := *refused
		switch {
		case slices.Contains(refused.Unmet, "events:source"):
			one.Code = "NotAuthorizedForSourceException"
		case slices.Contains(refused.Unmet, "events:detail-type"):
			one.Code = "NotAuthorizedForDetailTypeException"
		}
		denied[i] = &one
	}
	return denied, nil
}

// PutFromService publishes an event of an AWS service itself, whose source begins
// with "aws.", on the default bus. When it returns without an error, the event is
// where it goes, durably.
func (s *Service) PutFromService(source, detailType string, resources []string, detail []byte) error {
	to, refused := s.match(Entry{Source: source, DetailType: detailType, Detail: string(detail), Resources: resources})
	if refused != nil {
		return refused
	}
	if err := s.keep(to.archived); err != nil {
		return err
	}
	_, err := s.deliver(to.deliveries)
	return err
}

// routed is where an event goes.
type routed struct {
	id         string
	matched    bool // by a rule
	deliveries []delivery
	archived   []archived
}

// route checks an entry and finds where its event goes.
func (s *Service) route(entry Entry) (routed, *awswire.Error) {
	for _, p := range []struct{ name, value string }{
		{"Source", entry.Source}, {"DetailType", entry.DetailType}, {"Detail", entry.Detail},
	} {
		if p.value == "" {
			return routed{}, awswire.Errorf("InvalidArgument", "Parameter %s is not valid. Reason: %s is a required argument.", p.name, p.name)
		}
	}
	if len(entry.DetailType) > maxDetailType {
		return routed{}, awswire.Errorf("InvalidArgument", "Parameter DetailType is not valid. Reason: at most %d characters (got %d).", maxDetailType, len(entry.DetailType))
	}
	if entry.Source == "aws" || strings.HasPrefix(entry.Source, "aws.") {
		return routed{}, awswire.Errorf("NotAuthorizedForSourceException", "Not authorized for the source.")
	}
	if jsontext.Value(entry.Detail).Kind() != '{' || !jsontext.Value(entry.Detail).IsValid() {
		return routed{}, awswire.Errorf("MalformedDetail", "Detail is malformed.")
	}
	if nestedDeeper(entry.Detail, maxDepth) {
		return routed{}, awswire.Errorf("MalformedDetail", "Detail is malformed: it is nested more than %d levels deep.", maxDepth)
	}
	return s.match(entry)
}

// match makes the event of an entry, and finds where it goes.
func (s *Service) match(entry Entry) (routed, *awswire.Error) {
	name := s.busName(entry.EventBusName)
	s.mu.RLock()
	b, ok := s.buses[name]
	var rules *matcher
	if ok {
		rules = b.enabled
	}
	s.mu.RUnlock()
	if strings.HasPrefix(name, "arn:") {
		return routed{}, awswire.Errorf("InvalidAccountIdException", "The account ID provided is not valid: event bus %s is not one of account %s and region %s, which are all that the local environment has.",
			name, s.config.Account, s.config.Region)
	}
	out := routed{id: uuid.NewString()}
	if !ok {
		// EventBridge accepts such an entry, and drops it.
		s.config.Logger.Error("an event is dropped, as on AWS: its bus does not exist", "bus", name, "type", entry.Source+"/"+entry.DetailType)
		return out, nil
	}
	at := time.Now()
	if entry.Time != nil {
		at = fromEpoch(*entry.Time)
	}
	body, err := s.body(entry, out.id, at)
	if err != nil {
		return routed{}, awswire.Errorf("MalformedDetail", "Detail is malformed: %v", err)
	}
	matched, archives, err := rules.match(body)
	if err != nil {
		return routed{}, awswire.Errorf("MalformedDetail", "Detail is malformed: %v", err)
	}
	s.figures.count(name, matched)
	text := string(body)
	out.matched = len(matched) > 0
	for _, r := range matched {
		out.deliveries = append(out.deliveries, r.deliveries(text, entry.TraceHeader)...)
	}
	for _, a := range archives {
		out.archived = append(out.archived, archived{a.Name, out.id, at, text})
	}
	return out, nil
}

// nestedDeeper reports whether valid JSON has more levels than most.
func nestedDeeper(text string, most int) bool {
	if strings.Count(text, "{")+strings.Count(text, "[") <= most {
		return false
	}
	decoder := jsontext.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.ReadToken(); err != nil {
			return false
		}
		if decoder.StackDepth() > most {
			return true
		}
	}
}

func (s *Service) body(entry Entry, id string, at time.Time) ([]byte, error) {
	resources := entry.Resources
	if resources == nil {
		resources = []string{}
	}
	return s.eventJSON(event{
		ID: id, DetailType: entry.DetailType, Source: entry.Source,
		Time: timestamp(at), Resources: resources, Detail: jsontext.Value(entry.Detail),
	})
}

// eventJSON completes an event by what all have.
func (s *Service) eventJSON(e event) ([]byte, error) {
	e.Version, e.Account, e.Region = "0", s.config.Account, s.config.Region
	return json.Marshal(e)
}
