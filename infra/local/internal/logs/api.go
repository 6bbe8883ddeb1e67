package logs

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Target is the prefix of X-Amz-Target for the operations; the protocol is AWS
// JSON 1.1.
const Target = "Logs_20140328"

// Operations are the wire operations of CloudWatch Logs that the local
// environment serves.
func (l *Logs) Operations() awswire.Operations {
	return awswire.Operations{
		"DescribeLogGroups":  awswire.Op(l.describeLogGroups),
		"DescribeLogStreams": awswire.Op(l.describeLogStreams),
		"FilterLogEvents":    awswire.Op(l.filterLogEvents),
		"GetLogEvents":       awswire.Op(l.getLogEvents),
	}
}

func invalid(format string, args ...any) *awswire.Error {
	return awswire.Errorf("InvalidParameterException", format, args...)
}

func notFound(format string, args ...any) *awswire.Error {
	return awswire.Errorf("ResourceNotFoundException", format, args...)
}

// authorize asks whether the caller may perform an action, like FilterLogEvents,
// on a log group. Its resource is a stream even where the action is about the
// group: then the stream's name is empty, and so is the group's where the action
// is about all of them (so AWS names it in its denials).
func (l *Logs) authorize(ctx context.Context, action, group, stream string) error {
	return awswire.Authorize(ctx, awswire.Access{Action: "logs:" + action, Resource: l.arn(group) + ":log-stream:" + stream})
}

// find returns the group that a request names by name or by ARN, if the caller
// may perform the action on it, or on a stream of it.
func (l *Logs) find(ctx context.Context, action, name, identifier, stream string) (*group, error) {
	switch {
	case (name == "") == (identifier == ""):
		return nil, invalid("exactly one of logGroupName and logGroupIdentifier is required")
	case strings.HasPrefix(identifier, "arn:"):
		_, name, _ = strings.Cut(identifier, ":log-group:")
		name = strings.TrimSuffix(name, ":*")
	case name == "":
		name = identifier
	}
	if err := l.authorize(ctx, action, name, stream); err != nil {
		return nil, err
	}
	if g := l.group(name); g != nil {
		return g, nil
	}
	return nil, notFound("The specified log group does not exist: %s", name)
}

func (l *Logs) arn(group string) string {
	return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", l.cfg.Region, l.cfg.Account, group)
}

// pageLimit is a request's limit, or most if it has none.
func pageLimit(limit *int, most int) (int, error) {
	if limit == nil {
		return most, nil
	}
	if *limit < 1 || *limit > most {
		return 0, invalid("limit %d: between 1 and %d is possible", *limit, most)
	}
	return *limit, nil
}

const maxDescribed = 50 // "DescribeLogGroups", "DescribeLogStreams": limit

type describeLogGroupsInput struct {
	LogGroupNamePrefix  string `json:"logGroupNamePrefix"`
	LogGroupNamePattern string `json:"logGroupNamePattern"`
	Limit               *int   `json:"limit"`
	NextToken           string `json:"nextToken"`
}

type describeLogGroupsOutput struct {
	LogGroups []logGroup `json:"logGroups"`
	NextToken string     `json:"nextToken,omitempty"`
}

type logGroup struct {
	ARN               string `json:"arn"`
	CreationTime      int64  `json:"creationTime"`
	LogGroupARN       string `json:"logGroupArn"`
	LogGroupClass     string `json:"logGroupClass"`
	LogGroupName      string `json:"logGroupName"`
	MetricFilterCount int    `json:"metricFilterCount"`
	RetentionInDays   int    `json:"retentionInDays,omitzero"`
	StoredBytes       int64  `json:"storedBytes"`
}

func (l *Logs) describeLogGroups(ctx context.Context, in *describeLogGroupsInput) (*describeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return nil, invalid("logGroupNamePrefix and logGroupNamePattern are mutually exclusive")
	}
	if err := l.authorize(ctx, "DescribeLogGroups", "", ""); err != nil {
		return nil, err
	}
	limit, err := pageLimit(in.Limit, maxDescribed)
	if err != nil {
		return nil, err
	}
	out := &describeLogGroupsOutput{LogGroups: []logGroup{}}
	for _, g := range l.sorted() {
		name := g.about.Name // never changes
		if name <= in.NextToken || !strings.HasPrefix(name, in.LogGroupNamePrefix) || !strings.Contains(name, in.LogGroupNamePattern) {
			continue
		}
		if len(out.LogGroups) == limit {
			out.NextToken = out.LogGroups[limit-1].LogGroupName
			break
		}
		v := g.view()
		stored := v.end
		if len(v.segments) > 0 {
			stored -= v.segments[0].start
		}
		out.LogGroups = append(out.LogGroups, logGroup{
			ARN:             l.arn(name) + ":*",
			LogGroupARN:     l.arn(name),
			LogGroupName:    name,
			LogGroupClass:   "STANDARD",
			CreationTime:    g.about.Created,
			RetentionInDays: v.retentionDays,
			StoredBytes:     stored,
		})
	}
	return out, nil
}

type describeLogStreamsInput struct {
	LogGroupName        string `json:"logGroupName"`
	LogGroupIdentifier  string `json:"logGroupIdentifier"`
	LogStreamNamePrefix string `json:"logStreamNamePrefix"`
	OrderBy             string `json:"orderBy"`
	Descending          bool   `json:"descending"`
	Limit               *int   `json:"limit"`
	NextToken           string `json:"nextToken"`
}

type describeLogStreamsOutput struct {
	LogStreams []logStream `json:"logStreams"`
	NextToken  string      `json:"nextToken,omitempty"`
}

type logStream struct {
	ARN                 string `json:"arn"`
	CreationTime        int64  `json:"creationTime"`
	FirstEventTimestamp int64  `json:"firstEventTimestamp"`
	LastEventTimestamp  int64  `json:"lastEventTimestamp"`
	LastIngestionTime   int64  `json:"lastIngestionTime"`
	LogStreamName       string `json:"logStreamName"`
	StoredBytes         int64  `json:"storedBytes"`
}

func (l *Logs) describeLogStreams(ctx context.Context, in *describeLogStreamsInput) (*describeLogStreamsOutput, error) {
	g, err := l.find(ctx, "DescribeLogStreams", in.LogGroupName, in.LogGroupIdentifier, "")
	if err != nil {
		return nil, err
	}
	limit, err := pageLimit(in.Limit, maxDescribed)
	if err != nil {
		return nil, err
	}
	byName := func(a, b logStream) int { return cmp.Compare(a.LogStreamName, b.LogStreamName) }
	order := byName
	switch in.OrderBy {
	case "", "LogStreamName":
	case "LastEventTime":
		if in.LogStreamNamePrefix != "" {
			return nil, invalid("logStreamNamePrefix cannot be combined with orderBy LastEventTime")
		}
		order = func(a, b logStream) int {
			return cmp.Or(cmp.Compare(a.LastEventTimestamp, b.LastEventTimestamp), byName(a, b))
		}
	default:
		return nil, invalid("orderBy %q: LogStreamName or LastEventTime is possible", in.OrderBy)
	}
	streams, err := g.view().streams()
	if err != nil {
		return nil, err
	}
	out := &describeLogStreamsOutput{LogStreams: []logStream{}}
	for name, info := range streams {
		if strings.HasPrefix(name, in.LogStreamNamePrefix) {
			out.LogStreams = append(out.LogStreams, logStream{
				ARN:                 l.arn(g.about.Name) + ":log-stream:" + name,
				CreationTime:        info.firstMS,
				FirstEventTimestamp: info.firstMS,
				LastEventTimestamp:  info.lastMS,
				LastIngestionTime:   info.lastMS,
				LogStreamName:       name,
				StoredBytes:         info.bytes,
			})
		}
	}
	slices.SortFunc(out.LogStreams, order)
	if in.Descending {
		slices.Reverse(out.LogStreams)
	}
	// The token is the name of the last stream of the page before.
	if in.NextToken != "" {
		i := slices.IndexFunc(out.LogStreams, func(s logStream) bool { return s.LogStreamName == in.NextToken })
		out.LogStreams = out.LogStreams[i+1:]
	}
	if len(out.LogStreams) > limit {
		out.LogStreams = out.LogStreams[:limit]
		out.NextToken = out.LogStreams[limit-1].LogStreamName
	}
	return out, nil
}

type filterLogEventsInput struct {
	LogGroupName        string   `json:"logGroupName"`
	LogGroupIdentifier  string   `json:"logGroupIdentifier"`
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           int64    `json:"startTime"`
	EndTime             *int64   `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	Limit               *int     `json:"limit"`
	NextToken           string   `json:"nextToken"`
	StartFromHead       *bool    `json:"startFromHead"`
	Interleaved         bool     `json:"interleaved"` // AWS ignores it since 2019
}

type filterLogEventsOutput struct {
	Events             []filteredLogEvent `json:"events"`
	NextToken          string             `json:"nextToken,omitempty"`
	SearchedLogStreams []struct{}         `json:"searchedLogStreams"` // always empty, as on AWS since 2020
}

type filteredLogEvent struct {
	EventID       string `json:"eventId"`
	IngestionTime int64  `json:"ingestionTime"`
	LogStreamName string `json:"logStreamName"`
	Message       string `json:"message"`
	Timestamp     int64  `json:"timestamp"`
}

func (l *Logs) filterLogEvents(ctx context.Context, in *filterLogEventsInput) (*filterLogEventsOutput, error) {
	g, err := l.find(ctx, "FilterLogEvents", in.LogGroupName, in.LogGroupIdentifier, "")
	if err != nil {
		return nil, err
	}
	if in.StartFromHead != nil && !*in.StartFromHead {
		return nil, invalid("startFromHead false is not supported by the local environment: give a startTime")
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "" {
		return nil, invalid("logStreamNames and logStreamNamePrefix are mutually exclusive")
	}
	q := &query{from: in.StartTime, to: math.MaxInt64}
	if in.EndTime != nil {
		q.to = *in.EndTime
	}
	if q.from > q.to {
		return nil, invalid("startTime %d is later than endTime %d", q.from, q.to)
	}
	if q.limit, err = pageLimit(in.Limit, maxPageEvents); err != nil {
		return nil, err
	}
	if q.match, err = parsePattern(in.FilterPattern); err != nil {
		return nil, invalid("%v", err)
	}
	q.stream = func(name []byte) bool { return strings.HasPrefix(string(name), in.LogStreamNamePrefix) }
	if len(in.LogStreamNames) > 0 {
		q.stream = func(name []byte) bool { return slices.Contains(in.LogStreamNames, string(name)) }
	}
	position, err := parsePosition(in.NextToken)
	if err != nil {
		return nil, err
	}
	events, next, more, err := g.view().readForward(position, q)
	if err != nil {
		return nil, err
	}
	out := &filterLogEventsOutput{Events: make([]filteredLogEvent, len(events)), SearchedLogStreams: []struct{}{}}
	for i, e := range events {
		out.Events[i] = filteredLogEvent{formatPosition(e.position), e.ms, e.stream, e.message, e.ms}
	}
	if more {
		out.NextToken = formatPosition(next)
	}
	return out, nil
}

// formatPosition writes a position with as many digits as AWS's event ids
// have, so that they sort as text.
func formatPosition(p int64) string { return fmt.Sprintf("%056d", p) }

func parsePosition(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	p, err := strconv.ParseInt(token, 10, 64)
	if err != nil {
		return 0, invalid("The specified nextToken is invalid: %s", token)
	}
	return p, nil
}

type getLogEventsInput struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
	LogStreamName      string `json:"logStreamName"`
	StartTime          int64  `json:"startTime"`
	EndTime            *int64 `json:"endTime"`
	Limit              *int   `json:"limit"`
	NextToken          string `json:"nextToken"`
	StartFromHead      bool   `json:"startFromHead"`
}

type getLogEventsOutput struct {
	Events            []outputLogEvent `json:"events"`
	NextForwardToken  string           `json:"nextForwardToken"`
	NextBackwardToken string           `json:"nextBackwardToken"`
}

type outputLogEvent struct {
	IngestionTime int64  `json:"ingestionTime"`
	Message       string `json:"message"`
	Timestamp     int64  `json:"timestamp"`
}

// The tokens of GetLogEvents tell the direction, and the position: behind the
// last event returned, or before the first.
const (
	forwardToken  = "f/"
	backwardToken = "b/"
)

func (l *Logs) getLogEvents(ctx context.Context, in *getLogEventsInput) (*getLogEventsOutput, error) {
	g, err := l.find(ctx, "GetLogEvents", in.LogGroupName, in.LogGroupIdentifier, in.LogStreamName)
	if err != nil {
		return nil, err
	}
	q := &query{
		from:   in.StartTime,
		to:     math.MaxInt64,
		stream: func(name []byte) bool { return string(name) == in.LogStreamName },
	}
	if in.EndTime != nil {
		q.to = *in.EndTime - 1 // "equal to or later than this time are not included"
	}
	if q.limit, err = pageLimit(in.Limit, maxPageEvents); err != nil {
		return nil, err
	}
	v := g.view()
	streams, err := v.streams()
	if err != nil {
		return nil, err
	}
	if _, known := streams[in.LogStreamName]; !known {
		return nil, notFound("The specified log stream does not exist: %s", in.LogStreamName)
	}

	// The page lies between first and behind, positions in the group.
	var events []event
	var first, behind int64
	token, isForward := strings.CutPrefix(in.NextToken, forwardToken)
	token, isBackward := strings.CutPrefix(token, backwardToken)
	position, err := parsePosition(token)
	switch {
	case err != nil || in.NextToken != "" && !isForward && !isBackward:
		return nil, invalid("The specified nextToken is invalid: %s", in.NextToken)
	case isForward || in.NextToken == "" && in.StartFromHead:
		first = position
		events, behind, _, err = v.readForward(position, q)
	default:
		first, behind = position, position
		if !isBackward {
			first, behind = v.end, v.end
		}
		events, err = v.readBackward(behind, q)
	}
	if err != nil {
		return nil, err
	}
	out := &getLogEventsOutput{Events: make([]outputLogEvent, len(events))}
	for i, e := range events {
		out.Events[i] = outputLogEvent{e.ms, e.message, e.ms}
	}
	if len(events) > 0 {
		first = events[0].position
	}
	if isBackward && len(events) > 0 {
		behind = events[len(events)-1].next
	}
	out.NextForwardToken = forwardToken + formatPosition(behind)
	out.NextBackwardToken = backwardToken + formatPosition(first)
	return out, nil
}
