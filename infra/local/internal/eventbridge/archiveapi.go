package eventbridge

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

type archiveState struct {
	ArchiveArn   string
	State        string
	CreationTime float64 // seconds since 1970
}

func (s *Service) archiveState(name string) (*archiveState, error) {
	a, err := s.archive(name)
	if err != nil {
		return nil, err
	}
	return &archiveState{s.ArchiveARN(name), "ENABLED", epoch(a.CreatedAt)}, nil
}

func (s *Service) createArchive(ctx context.Context, in *struct {
	ArchiveName, EventSourceArn, Description, EventPattern string
	RetentionDays                                          int
}) (*archiveState, error) {
	if err := authorize(ctx, "CreateArchive", s.ArchiveARN(in.ArchiveName)); err != nil {
		return nil, err
	}
	bus, ok := strings.CutPrefix(in.EventSourceArn, s.BusARN(""))
	if !ok {
		return nil, awswire.Errorf("ValidationException", "Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN (got %q).", in.EventSourceArn)
	}
	if _, err := s.archive(in.ArchiveName); err == nil {
		return nil, awswire.Errorf("ResourceAlreadyExistsException", "Archive %s already exists.", in.ArchiveName)
	}
	a := Archive{Name: in.ArchiveName, Description: in.Description, Bus: bus, Pattern: json.RawMessage(in.EventPattern), RetentionDays: in.RetentionDays}
	if err := s.EnsureArchive(a); err != nil {
		return nil, err
	}
	return s.archiveState(in.ArchiveName)
}

func (s *Service) updateArchive(ctx context.Context, in *struct {
	ArchiveName, Description, EventPattern string
	RetentionDays                          *int
}) (*archiveState, error) {
	if err := authorize(ctx, "UpdateArchive", s.ArchiveARN(in.ArchiveName)); err != nil {
		return nil, err
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	existing, err := s.archive(in.ArchiveName)
	if err != nil {
		return nil, err
	}
	changed := existing.Archive
	if in.Description != "" {
		changed.Description = in.Description
	}
	if in.EventPattern != "" {
		changed.Pattern = json.RawMessage(in.EventPattern)
	}
	if in.RetentionDays != nil {
		changed.RetentionDays = *in.RetentionDays
	}
	if err := s.EnsureArchive(changed); err != nil {
		return nil, err
	}
	return s.archiveState(in.ArchiveName)
}

func (s *Service) deleteArchive(ctx context.Context, in *struct{ ArchiveName string }) (*none, error) {
	if err := authorize(ctx, "DeleteArchive", s.ArchiveARN(in.ArchiveName)); err != nil {
		return nil, err
	}
	if _, err := s.archive(in.ArchiveName); err != nil {
		return nil, err
	}
	_, err := s.DeleteArchive(in.ArchiveName)
	return &none{}, err
}

type archiveDescription struct {
	ArchiveArn     string `json:",omitempty"` // in DescribeArchive alone, and so are Description and EventPattern
	ArchiveName    string
	EventSourceArn string
	Description    string `json:",omitempty"`
	EventPattern   string `json:",omitempty"`
	State          string
	RetentionDays  int
	SizeBytes      int
	EventCount     int
	CreationTime   float64
}

func (s *Service) describeArchive(ctx context.Context, in *struct{ ArchiveName string }) (*archiveDescription, error) {
	if err := authorize(ctx, "DescribeArchive", s.ArchiveARN(in.ArchiveName)); err != nil {
		return nil, err
	}
	a, err := s.archive(in.ArchiveName)
	if err != nil {
		return nil, err
	}
	d, err := s.summary(a)
	if err != nil {
		return nil, err
	}
	d.ArchiveArn, d.Description, d.EventPattern = s.ArchiveARN(a.Name), a.Description, string(a.Pattern)
	return &d, nil
}

func (s *Service) summary(a *archive) (archiveDescription, error) {
	events, bytes, err := s.contents(a.Name)
	return archiveDescription{
		ArchiveName: a.Name, EventSourceArn: s.BusARN(a.Bus), State: "ENABLED", RetentionDays: a.RetentionDays,
		EventCount: events, SizeBytes: bytes, CreationTime: epoch(a.CreatedAt),
	}, err
}

type archiveList struct {
	Archives  []archiveDescription
	NextToken string `json:",omitempty"`
}

func (s *Service) listArchives(ctx context.Context, in *struct {
	EventSourceArn, NamePrefix, State string
	paging
}) (*archiveList, error) {
	if err := authorize(ctx, "ListArchives", "*"); err != nil {
		return nil, err
	}
	s.mu.RLock()
	all := slices.Collect(maps.Values(s.archives))
	s.mu.RUnlock()
	all = slices.DeleteFunc(all, func(a *archive) bool {
		return in.EventSourceArn != "" && in.EventSourceArn != s.BusARN(a.Bus) || !strings.HasPrefix(a.Name, in.NamePrefix) || in.State != "" && in.State != "ENABLED"
	})
	page, next, err := awswire.Page(all, func(a *archive) string { return a.Name }, in.NextToken, in.Limit, pageSize)
	if err != nil {
		return nil, err
	}
	out := &archiveList{Archives: []archiveDescription{}, NextToken: next}
	for _, a := range page {
		d, err := s.summary(a)
		if err != nil {
			return nil, err
		}
		out.Archives = append(out.Archives, d)
	}
	return out, nil
}

type destination struct {
	Arn        string
	FilterArns []string `json:",omitempty"`
}

type replayState struct {
	ReplayArn       string
	State           string
	StateReason     string  `json:",omitempty"`
	ReplayStartTime float64 `json:",omitzero"`
}

func (s *Service) startReplayOp(ctx context.Context, in *struct {
	ReplayName, Description, EventSourceArn string
	EventStartTime, EventEndTime            *float64
	Destination                             destination
}) (*replayState, error) {
	if err := authorize(ctx, "StartReplay", s.ReplayARN(in.ReplayName)); err != nil {
		return nil, err
	}
	if !validRuleName.MatchString(in.ReplayName) {
		return nil, awswire.Errorf("ValidationException", "replay name %q is not valid: 1 to 64 of letters, digits, . - _", in.ReplayName)
	}
	if n := len(in.Description); n > maxDescription {
		return nil, awswire.Errorf("ValidationException", "Description: at most %d characters (got %d)", maxDescription, n)
	}
	name, err := s.archiveName(in.EventSourceArn)
	if err != nil {
		return nil, err
	}
	a, err := s.archive(name)
	if err != nil {
		return nil, err
	}
	if in.Destination.Arn != s.BusARN(a.Bus) {
		return nil, awswire.Errorf("ValidationException", "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted: want %s (got %q).", s.BusARN(a.Bus), in.Destination.Arn)
	}
	rules, err := s.rules(a.Bus)
	if err != nil {
		return nil, err
	}
	for _, arn := range in.Destination.FilterArns {
		if !slices.ContainsFunc(rules, func(r *rule) bool { return r.arn == arn }) {
			return nil, awswire.Errorf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s", arn, a.Bus)
		}
	}
	if in.EventStartTime == nil || in.EventEndTime == nil || *in.EventStartTime >= *in.EventEndTime {
		return nil, awswire.Errorf("ValidationException", "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	r := &replay{
		Name: in.ReplayName, Description: in.Description, Archive: name, Bus: a.Bus, Rules: in.Destination.FilterArns,
		From: fromEpoch(*in.EventStartTime), To: fromEpoch(*in.EventEndTime),
	}
	if err := s.startReplay(r); err != nil {
		return nil, err
	}
	return &replayState{ReplayArn: s.ReplayARN(r.Name), State: replayStarting, ReplayStartTime: epoch(r.StartedAt)}, nil
}

// fromEpoch reads a time as the API writes it.
func fromEpoch(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)) }

func (s *Service) cancelReplayOp(ctx context.Context, in *struct{ ReplayName string }) (*replayState, error) {
	if err := authorize(ctx, "CancelReplay", s.ReplayARN(in.ReplayName)); err != nil {
		return nil, err
	}
	if err := s.cancelReplay(in.ReplayName); err != nil {
		return nil, err
	}
	return &replayState{ReplayArn: s.ReplayARN(in.ReplayName), State: replayCancelling}, nil
}

type replayDescription struct {
	ReplayArn             string       `json:",omitempty"` // in DescribeReplay alone, and so are Description and Destination
	Description           string       `json:",omitempty"`
	Destination           *destination `json:",omitempty"`
	ReplayName            string
	EventSourceArn        string
	State                 string
	StateReason           string  `json:",omitempty"`
	EventStartTime        float64 `json:",omitzero"`
	EventEndTime          float64 `json:",omitzero"`
	EventLastReplayedTime float64 `json:",omitzero"`
	ReplayStartTime       float64 `json:",omitzero"`
	ReplayEndTime         float64 `json:",omitzero"`
}

func (s *Service) describeReplay(ctx context.Context, in *struct{ ReplayName string }) (*replayDescription, error) {
	if err := authorize(ctx, "DescribeReplay", s.ReplayARN(in.ReplayName)); err != nil {
		return nil, err
	}
	s.mu.RLock()
	r, ok := s.replays[in.ReplayName]
	s.mu.RUnlock()
	if !ok {
		return nil, noSuchReplay(in.ReplayName)
	}
	d := s.replaySummary(r)
	d.ReplayArn, d.Description, d.Destination = s.ReplayARN(r.Name), r.Description, &destination{s.BusARN(r.Bus), r.Rules}
	return &d, nil
}

func (s *Service) replaySummary(r *replay) replayDescription {
	return replayDescription{
		ReplayName: r.Name, EventSourceArn: s.ArchiveARN(r.Archive), State: r.State, StateReason: r.Reason,
		EventStartTime: epoch(r.From), EventEndTime: epoch(r.To), EventLastReplayedTime: epoch(r.Last),
		ReplayStartTime: epoch(r.StartedAt), ReplayEndTime: epoch(r.EndedAt),
	}
}

type replayList struct {
	Replays   []replayDescription
	NextToken string `json:",omitempty"`
}

func (s *Service) listReplays(ctx context.Context, in *struct {
	EventSourceArn, NamePrefix, State string
	paging
}) (*replayList, error) {
	if err := authorize(ctx, "ListReplays", "*"); err != nil {
		return nil, err
	}
	all := []replayDescription{}
	s.mu.RLock()
	for _, r := range s.replays {
		d := s.replaySummary(r)
		if (in.EventSourceArn == "" || in.EventSourceArn == d.EventSourceArn) && strings.HasPrefix(r.Name, in.NamePrefix) && (in.State == "" || in.State == r.State) {
			all = append(all, d)
		}
	}
	s.mu.RUnlock()
	page, next, err := awswire.Page(all, func(d replayDescription) string { return d.ReplayName }, in.NextToken, in.Limit, pageSize)
	return &replayList{page, next}, err
}
