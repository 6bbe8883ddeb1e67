package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
)

// fakeLogs is a log that hands out pages of two lines.
type fakeLogs struct {
	mu    sync.Mutex
	lines []types.FilteredLogEvent // in the order of their arrival
}

func (l *fakeLogs) log(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, types.FilteredLogEvent{EventId: &id, Timestamp: aws.Int64(at.UnixMilli()), Message: &id})
}

func (l *fakeLogs) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var matching []types.FilteredLogEvent
	for _, e := range l.lines {
		if *e.Timestamp >= *in.StartTime {
			matching = append(matching, e)
		}
	}
	slices.SortStableFunc(matching, func(a, b types.FilteredLogEvent) int { return int(*a.Timestamp - *b.Timestamp) })
	from := 0
	if in.NextToken != nil {
		if _, err := fmt.Sscan(*in.NextToken, &from); err != nil {
			return nil, err
		}
	}
	out := &cloudwatchlogs.FilterLogEventsOutput{Events: matching[from:min(from+2, len(matching))]}
	if from+2 < len(matching) {
		out.NextToken = aws.String(fmt.Sprint(from + 2))
	}
	return out, nil
}

func TestFollowingShowsEachLineOnceWhateverItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &fakeLogs{}
		begin := time.Now()
		logs.log("too old", begin.Add(-time.Millisecond))
		for i := range 5 { // three pages, all of one time
			logs.log(fmt.Sprint("a", i), begin)
		}
		reader := &logReader{client: logs, group: "g", from: begin, late: lateAWS}
		var mu sync.Mutex
		var shown []string
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- reader.follow(ctx, func(e types.FilteredLogEvent) error {
				mu.Lock()
				defer mu.Unlock()
				shown = append(shown, *e.Message)
				return nil
			})
		}()
		expect := func(want string) {
			t.Helper()
			time.Sleep(pollEvery + time.Millisecond)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(shown, " "); got != want {
				t.Fatalf("shown is %q, want %q", got, want)
			}
			shown = nil
		}
		expect("a0 a1 a2 a3 a4")
		expect("")
		logs.log("b0", begin) // the same time again
		expect("b0")
		logs.log("c0", time.Now())
		logs.log("c1", time.Now())
		expect("c0 c1")
		time.Sleep(time.Minute)
		logs.log("d0", time.Now())
		expect("d0")
		logs.log("late", time.Now().Add(-lateAWS/2))
		expect("late")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if len(reader.seen) > 2 {
			t.Errorf("ids of lines that cannot come again are still kept: %v", reader.seen)
		}
	})
}

func TestColorsAreThoseOfTheLevel(t *testing.T) {
	for line, color := range map[string]string{
		`{"level":"ERROR","msg":"x"}`: "\x1b[31m",
		`{"level":"WARN","msg":"x"}`:  "\x1b[33m",
		`{"level":"INFO","msg":"x"}`:  "",
		`START RequestId: 1`:          "\x1b[90m",
		`REPORT RequestId: 1`:         "\x1b[90m",
		`panic: STARTLED`:             "",
		`Runtime.ExitError`:           "\x1b[31m",
		`Runtime.ExitErrors are seen`: "",
		"REPORT RequestId: 1\tDuration: 3000.00 ms\tStatus: timeout":                                      "\x1b[31m",
		"INIT_REPORT Init Duration: 1.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError":   "\x1b[31m",
		`2026-11-21T15:00:00.000Z c81f22b7-6db5-4047-8f92-ed2119c7513f Task timed out after 3.00 seconds`: "\x1b[31m",
		`RequestId: c81f22b7-6db5-4047-8f92-ed2119c7513f Error: Runtime exited with error: exit status 1`: "\x1b[31m",
	} {
		want := line
		if color != "" {
			want = color + line + "\x1b[0m"
		}
		if got := colored(line); got != want {
			t.Errorf("%s is %q", line, got)
		}
	}
}

// The whole: a follower in a process of its own, while events are handled.
func TestLogsFollowShowsEachEventOnceAndEndsWithCtrlC(t *testing.T) {
	d := startDev(t, t.TempDir())
	follower := exec.Command("penstock", "functions", "logs", "trade-allocated", "--follow", "--filter", `"msg":"outcome"`)
	follower.Dir = projectRoot(t)
	follower.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+*d.aws.BaseEndpoint)
	follower.Stderr = os.Stderr
	out, err := follower.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = follower.Process.Kill() })

	const rounds, each = 5, 40
	publisher := eventbus.New(eventbridge.NewFromConfig(d.aws), "penstock-local")
	go func() {
		for range rounds {
			batch := make([]events.Event, each)
			for i := range batch {
				batch[i] = trading.SampleTradeAllocated()
			}
			if err := publisher.PublishBatch(t.Context(), batch); err != nil {
				t.Error(err)
			}
			<-time.After(pollEvery / 3) // so that lines come between polls, and while one is under way
		}
	}()
	shown := map[string]int{}
	lines := bufio.NewScanner(out)
	for len(shown) < rounds*each && lines.Scan() {
		_, rest, found := strings.Cut(lines.Text(), `"id":"`)
		if !found {
			t.Fatalf("not an outcome: %s", lines.Text())
		}
		id, _, _ := strings.Cut(rest, `"`)
		shown[id]++
	}
	if err := follower.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		t.Errorf("shown after all of them: %s", lines.Text())
	}
	if err := follower.Wait(); err != nil {
		t.Fatalf("Ctrl-C ended it with %v", err)
	}
	for id, n := range shown {
		if n != 1 {
			t.Errorf("event %s was shown %d times", id, n)
		}
	}
	if len(shown) != rounds*each {
		t.Errorf("%d events were shown, want %d", len(shown), rounds*each)
	}
}
