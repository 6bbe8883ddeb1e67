package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

type logsFlags struct {
	common        *cli.Flags
	since         string
	follow        bool
	filter        string
	eventID       string
	correlationID string
}

func newFunctionsLogs(common *cli.Flags) *cobra.Command {
	f := logsFlags{common: common}
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print what a function logged, and follow it",
		Long: `Print what a function logged, oldest first: the lines as they are, coloured by
level on a terminal; with --output json one JSON object a line. --follow goes on
with what comes, until Ctrl-C.

--event-id and --correlation-id find the JSON lines that name the event: its
outcome record, and whatever the function logged while it handled it.`,
		Example: `  penstock functions logs withdrawal-fee
  penstock functions logs withdrawal-fee --since 2h --filter failed
  penstock functions logs withdrawal-fee --since 2026-03-02T09:00:00Z --output json
  penstock functions logs withdrawal-fee --follow --event-id 01976e5a-8c00-7000-8000-000000000001`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFunctions,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "10m", "how far back: a `duration` such as 30s, 10m or 7d, or a time such as 2026-03-02T09:00:00Z")
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on until Ctrl-C")
	flags.StringVar(&f.filter, "filter", "", "only lines that contain this `text`")
	flags.StringVar(&f.eventID, "event-id", "", "only lines about the event with this `id`")
	flags.StringVar(&f.correlationID, "correlation-id", "", "only lines about events with this correlation `id`")
	return cmd
}

func (f *logsFlags) run(cmd *cobra.Command, name string) error {
	ctx := cmd.Context()
	from, err := cli.ParseTime("--since", f.since, time.Now())
	if err != nil {
		return err
	}
	target, err := f.common.Target(ctx)
	if err != nil {
		return err
	}
	function, err := findFunction(target.Root, name)
	if err != nil {
		return err
	}
	reader := &logReader{
		client: cloudwatchlogs.NewFromConfig(target.AWS),
		group:  target.Names.LogGroup(function.Name),
		// Only CloudWatch lets a line arrive after a later one.
		late:    lateness(target),
		pattern: f.pattern(),
		from:    from,
	}
	show := logPrinter(cmd.OutOrStdout(), f.common)
	print := func(e types.FilteredLogEvent) error {
		if !strings.Contains(aws.ToString(e.Message), f.filter) {
			return nil
		}
		return show(e)
	}
	if f.follow {
		err = reader.follow(ctx, print)
	} else {
		err = reader.read(ctx, print)
	}
	var missing *types.ResourceNotFoundException
	switch {
	case f.follow && ctx.Err() != nil:
		return nil
	case errors.As(err, &missing):
		return fmt.Errorf("function %q has no log group %s in environment %q: it is not deployed there", name, reader.group, target.Env.Name)
	}
	return target.Explain(err)
}

// pattern is the filter pattern for the ids. Text is searched for here: what
// CloudWatch calls a term is not any part of a line.
func (f *logsFlags) pattern() string {
	var conditions []string
	for field, id := range map[string]string{"id": f.eventID, "correlationId": f.correlationID} {
		if id != "" {
			conditions = append(conditions, fmt.Sprintf("$.%s = %s", field, strconv.Quote(id)))
		}
	}
	if len(conditions) == 0 {
		return ""
	}
	return "{ " + strings.Join(conditions, " && ") + " }"
}

const (
	// pollEvery is how often a log that is followed is asked for news:
	// FilterLogEvents has a quota of 5 to 10 a second ("CloudWatch Logs
	// quotas"), which others share.
	pollEvery = time.Second
	// lateAWS is how long a line may take to CloudWatch longer than another.
	lateAWS = 15 * time.Second
)

func lateness(target *cli.Target) time.Duration {
	if target.Env.Endpoint != "" {
		return 0
	}
	return lateAWS
}

// logReader reads a function's log.
type logReader struct {
	client  cloudwatchlogs.FilterLogEventsAPIClient
	group   string
	pattern string        // CloudWatch's filter pattern; empty is every line
	late    time.Duration // how much later than another an earlier line may arrive
	from    time.Time

	// Following asks again for the end of what was seen, since more lines may
	// have its time; those that were are known by their ids.
	latest int64 // ms: the time of the newest line seen
	seen   map[string]int64
}

// read prints each line once that has arrived since the last read.
func (r *logReader) read(ctx context.Context, print func(types.FilteredLogEvent) error) error {
	start := max(r.from.UnixMilli(), r.latest-r.late.Milliseconds())
	for id, at := range r.seen {
		if at < start {
			delete(r.seen, id)
		}
	}
	if r.seen == nil {
		r.seen = map[string]int64{}
	}
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(r.client, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &r.group, StartTime: &start, FilterPattern: nonEmpty(r.pattern),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			id, at := aws.ToString(e.EventId), aws.ToInt64(e.Timestamp)
			if _, again := r.seen[id]; again {
				continue
			}
			r.seen[id] = at
			r.latest = max(r.latest, at)
			if err := print(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow prints lines as they come, until ctx ends.
func (r *logReader) follow(ctx context.Context, print func(types.FilteredLogEvent) error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := r.read(ctx, print); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// logPrinter prints lines as the flags say.
func logPrinter(out io.Writer, common *cli.Flags) func(types.FilteredLogEvent) error {
	color := common.Color(out)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return func(e types.FilteredLogEvent) error {
		line := strings.TrimRight(aws.ToString(e.Message), "\n")
		if common.JSON() {
			return encoder.Encode(newLogLine(e))
		}
		if color {
			line = colored(line)
		}
		_, err := fmt.Fprintln(out, line)
		return err
	}
}

// logLine is a line of a log for programs. A message that is JSON is put in as
// JSON.
type logLine struct {
	Time    time.Time `json:"time"`
	Stream  string    `json:"stream"`
	Message any       `json:"message"`
}

func newLogLine(e types.FilteredLogEvent) logLine {
	line := logLine{Time: time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), Stream: aws.ToString(e.LogStreamName)}
	text := strings.TrimRight(aws.ToString(e.Message), "\n")
	line.Message = text
	if strings.HasPrefix(text, "{") && json.Valid([]byte(text)) {
		line.Message = json.RawMessage(text)
	}
	return line
}

// The lines of Lambda's own, and those of them that tell of a failure ("Working
// with Lambda function logs"; "Understanding the Lambda execution environment
// lifecycle").
var (
	lambdaLine    = regexp.MustCompile(`^(START|END|REPORT|INIT_START|INIT_REPORT) `)
	lambdaFailure = regexp.MustCompile(`^(REPORT|INIT_REPORT) .*\tStatus: (error|timeout)|` +
		`^\S+Z [0-9a-f-]{36} Task timed out after |^RequestId: [0-9a-f-]{36} Error: |^(Runtime|Sandbox|Extension)\.[A-Za-z]+$`)
)

// colored gives a line the color of its level. What Lambda itself writes
// steps back.
func colored(line string) string {
	var record struct {
		Level string `json:"level"`
	}
	const red, yellow, grey, reset = "\x1b[31m", "\x1b[33m", "\x1b[90m", "\x1b[0m"
	color := ""
	switch err := json.Unmarshal([]byte(line), &record); {
	case err != nil && lambdaFailure.MatchString(line):
		color = red
	case err != nil && lambdaLine.MatchString(line):
		color = grey
	case err != nil:
	case strings.EqualFold(record.Level, "error"):
		color = red
	case strings.EqualFold(record.Level, "warn"):
		color = yellow
	case strings.EqualFold(record.Level, "debug"):
		color = grey
	}
	if color == "" {
		return line
	}
	return color + line + reset
}
