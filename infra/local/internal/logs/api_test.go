package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// client returns the AWS SDK's client, connected to l.
func client(t *testing.T, l *Logs) *cloudwatchlogs.Client {
	t.Helper()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.JSON(Target, "1.1", l.Operations())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return cloudwatchlogs.New(cloudwatchlogs.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	})
}

func messages(t *testing.T, events []types.OutputLogEvent) (out []string) {
	t.Helper()
	for _, e := range events {
		out = append(out, *e.Message)
	}
	return out
}

func TestTheSDKFiltersEvents(t *testing.T) {
	l := open(t, t.TempDir())
	c := client(t, l)
	for i, line := range number(25) {
		l.Append("/aws/lambda/f", fmt.Sprint("stream-", i%2), line)
	}
	filter := func(in *cloudwatchlogs.FilterLogEventsInput) (lines, ids []string, pages int) {
		in.LogGroupName = aws.String("/aws/lambda/f")
		for p := cloudwatchlogs.NewFilterLogEventsPaginator(c, in); p.HasMorePages(); pages++ {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.Events {
				lines, ids = append(lines, *e.Message), append(ids, *e.EventId)
			}
		}
		return lines, ids, pages
	}
	lines, ids, pages := filter(&cloudwatchlogs.FilterLogEventsInput{Limit: aws.Int32(10)})
	want(t, lines, number(25))
	if pages != 3 || ids[24] <= ids[23] || len(ids[0]) != 56 {
		t.Fatalf("%d pages, ids %v", pages, ids)
	}
	lines, _, _ = filter(&cloudwatchlogs.FilterLogEventsInput{FilterPattern: aws.String(`"line 7"`)})
	want(t, lines, []string{"line 7"})
	lines, _, _ = filter(&cloudwatchlogs.FilterLogEventsInput{LogStreamNames: []string{"stream-1"}, Limit: aws.Int32(4)})
	if len(lines) != 12 || lines[0] != "line 1" {
		t.Fatalf("lines of one stream: %q", lines)
	}
	lines, _, _ = filter(&cloudwatchlogs.FilterLogEventsInput{StartTime: aws.Int64(0), EndTime: aws.Int64(1)})
	want(t, lines, nil)
}

func TestAPageOfEventsHoldsOneMegabyte(t *testing.T) {
	l := open(t, t.TempDir())
	big := string(make([]byte, 400<<10))
	for range 5 {
		l.Append("g", "s", big)
	}
	out, err := client(t, l).FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")})
	if err != nil || len(out.Events) != 2 || out.NextToken == nil {
		t.Fatalf("%d events of 400 KB, %v; want 2 and a token", len(out.Events), err)
	}
}

func TestTheSDKReadsAStreamInBothDirections(t *testing.T) {
	l := open(t, t.TempDir())
	c := client(t, l)
	for _, line := range number(10) {
		l.Append("g", "s", line)
		l.Append("g", "other", "x")
	}
	get := func(token *string, head bool) *cloudwatchlogs.GetLogEventsOutput {
		out, err := c.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String("g"), LogStreamName: aws.String("s"), Limit: aws.Int32(4), NextToken: token, StartFromHead: aws.Bool(head),
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	forward := get(nil, true)
	want(t, messages(t, forward.Events), number(10)[:4])
	forward = get(forward.NextForwardToken, true)
	want(t, messages(t, forward.Events), number(10)[4:8])
	want(t, messages(t, get(forward.NextBackwardToken, true).Events), number(10)[:4])
	forward = get(forward.NextForwardToken, true)
	want(t, messages(t, forward.Events), number(10)[8:])
	end := get(forward.NextForwardToken, true)
	if len(end.Events) != 0 || *end.NextForwardToken != *forward.NextForwardToken {
		t.Fatalf("at the end: %d events, token %s after %s", len(end.Events), *end.NextForwardToken, *forward.NextForwardToken)
	}
	l.Append("g", "s", "new")
	want(t, messages(t, get(end.NextForwardToken, true).Events), []string{"new"})

	back := get(nil, false)
	want(t, messages(t, back.Events), append(number(10)[7:], "new"))
	want(t, messages(t, get(back.NextForwardToken, true).Events), nil)
	back = get(back.NextBackwardToken, false)
	want(t, messages(t, back.Events), number(10)[3:7])
	back = get(back.NextBackwardToken, false)
	want(t, messages(t, back.Events), number(10)[:3])
	start := get(back.NextBackwardToken, false)
	if len(start.Events) != 0 || *start.NextBackwardToken != *back.NextBackwardToken {
		t.Fatalf("at the start: %d events, token %s after %s", len(start.Events), *start.NextBackwardToken, *back.NextBackwardToken)
	}
}

func TestTheSDKDescribesGroupsAndStreams(t *testing.T) {
	l := open(t, t.TempDir())
	c := client(t, l)
	for i := range 60 {
		if err := l.CreateGroup(fmt.Sprintf("/aws/lambda/f%02d", i), 30); err != nil {
			t.Fatal(err)
		}
		l.Append("/aws/lambda/f00", fmt.Sprintf("2026/01/02/[$LATEST]%02d", i), "line")
	}
	groups := 0
	for p := cloudwatchlogs.NewDescribeLogGroupsPaginator(c, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/aws/lambda/f")}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		groups += len(out.LogGroups)
		if g := out.LogGroups[0]; *g.RetentionInDays != 30 || *g.LogGroupArn != "arn:aws:logs:us-east-1:000000000000:log-group:"+*g.LogGroupName {
			t.Fatalf("got %+v", g)
		}
	}
	streams := map[string]bool{}
	for p := cloudwatchlogs.NewDescribeLogStreamsPaginator(c, &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: aws.String("/aws/lambda/f00"), OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true),
	}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.LogStreams {
			streams[*s.LogStreamName] = true
		}
	}
	if groups != 60 || len(streams) != 60 {
		t.Fatalf("%d groups and %d streams, want 60 of each", groups, len(streams))
	}
}

func TestRequestsThatCannotBeAnsweredSayWhy(t *testing.T) {
	l := open(t, t.TempDir())
	l.Append("g", "s", "line")
	c := client(t, l)
	filter := func(edit func(*cloudwatchlogs.FilterLogEventsInput)) error {
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g")}
		edit(in)
		_, err := c.FilterLogEvents(context.Background(), in)
		return err
	}
	var missing *types.ResourceNotFoundException
	if err := filter(func(in *cloudwatchlogs.FilterLogEventsInput) { in.LogGroupName = aws.String("h") }); !errors.As(err, &missing) {
		t.Errorf("no such group: %v", err)
	}
	if _, err := c.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("t")}); !errors.As(err, &missing) {
		t.Errorf("no such stream: %v", err)
	}
	for name, edit := range map[string]func(*cloudwatchlogs.FilterLogEventsInput){
		"pattern":   func(in *cloudwatchlogs.FilterLogEventsInput) { in.FilterPattern = aws.String("?A ?B") },
		"limit":     func(in *cloudwatchlogs.FilterLogEventsInput) { in.Limit = aws.Int32(10_001) },
		"token":     func(in *cloudwatchlogs.FilterLogEventsInput) { in.NextToken = aws.String("x") },
		"direction": func(in *cloudwatchlogs.FilterLogEventsInput) { in.StartFromHead = aws.Bool(false) },
		"times":     func(in *cloudwatchlogs.FilterLogEventsInput) { in.StartTime, in.EndTime = aws.Int64(2), aws.Int64(1) },
		"both": func(in *cloudwatchlogs.FilterLogEventsInput) {
			in.LogStreamNames, in.LogStreamNamePrefix = []string{"s"}, aws.String("s")
		},
	} {
		var refused *types.InvalidParameterException
		if err := filter(edit); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
