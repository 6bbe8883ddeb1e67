package logs

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

func open(t testing.TB, dir string) *Logs {
	t.Helper()
	l, err := Open(Config{Dir: dir, Region: "us-east-1", Account: "000000000000", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// everything reads all lines of a group from a time on, page by page.
func everything(t testing.TB, l *Logs, group string, from time.Time, limit int) (lines []string) {
	t.Helper()
	q := &query{from: from.UnixMilli(), to: math.MaxInt64, limit: limit, stream: func([]byte) bool { return true }}
	position := int64(0)
	for more := true; more; {
		var events []event
		var err error
		events, position, more, err = l.group(group).view().readForward(position, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			lines = append(lines, e.message)
		}
	}
	return lines
}

func number(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprint("line ", i))
	}
	return lines
}

func want(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %d lines %.200q, want %d %.200q", len(got), got, len(want), want)
	}
}

// So that the search that the tests of a whole environment make means something.
func TestASecretThatIsLoggedIsFoundInTheFiles(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.Append("f", "s", "all is well\n")
	if places, err := secretstest.SearchFiles(dir); err != nil || len(places) > 0 {
		t.Fatalf("found where there is none: %q, %v", places, err)
	}
	l.Append("f", "s", `{"msg":"calling","token":"`+secretstest.Value("token")+`"}`+"\n")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if places, err := secretstest.SearchFiles(dir); err != nil || len(places) == 0 {
		t.Errorf("not found (%v)", err)
	}
}

func TestLinesOfAllStreamsAreReadInTheOrderInWhichTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, t.TempDir())
		start := time.Now()
		for i, line := range number(10) {
			l.Append("group", fmt.Sprint("stream ", i%3), line)
			time.Sleep(time.Second)
		}
		want(t, everything(t, l, "group", start, 4), number(10))
		want(t, everything(t, l, "group", start.Add(7*time.Second), 4), number(10)[7:])
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTimeNeverGoesBackWithinAGroup(t *testing.T) {
	l := open(t, t.TempDir())
	l.Append("group", "s", "early")
	g := l.group("group")
	g.lastMS += 60_000 // as after the clock was set back by a minute
	l.Append("group", "s", "late")
	l.Append("group", "s", "later")
	want(t, everything(t, l, "group", time.UnixMilli(g.lastMS), 10), []string{"late", "later"})
}

func TestWrittenLinesSurviveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir)
		if err := l.CreateGroup("/aws/lambda/f", 7); err != nil {
			t.Fatal(err)
		}
		for _, line := range number(5) {
			l.Append("/aws/lambda/f", "s", line+"\nwith a second line")
		}
		time.Sleep(time.Second)
		// What the process wrote when it was killed: a record was under way.
		path := filepath.Join(dir, "%2Faws%2Flambda%2Ff", fmt.Sprintf("%020d.log", 0))
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("946684800000 1 400 s line 5"); err != nil {
			t.Fatal(err)
		}
		f.Close()

		l = open(t, dir)
		l.Append("/aws/lambda/f", "s", "after the restart")
		got := everything(t, l, "/aws/lambda/f", time.Time{}, 100)
		if len(got) != 6 || got[4] != "line 4\nwith a second line" || got[5] != "after the restart" {
			t.Fatalf("got %q", got)
		}
		if days := l.group("/aws/lambda/f").about.RetentionDays; days != 7 {
			t.Fatalf("retention %d after the restart, want 7", days)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFileThatHoldsNoWholeRecordIsRemovedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.Append("g", "s", "whole")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "g", fmt.Sprintf("%020d.log", 1000)), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	l.Append("g", "s", "next")
	want(t, everything(t, l, "g", time.Time{}, 10), []string{"whole", "next"})
}

func TestExpiredLinesAreNotReturnedAndTheirFilesRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, t.TempDir())
		if err := l.CreateGroup("g", 3); err != nil {
			t.Fatal(err)
		}
		big := strings.Repeat("x", 1<<20)
		for day := range 10 {
			for range 5 { // a file a day
				l.Append("g", "s", fmt.Sprint("day ", day, big))
			}
			time.Sleep(24*time.Hour + time.Minute)
		}
		got := everything(t, l, "g", time.Time{}, 100)
		if len(got) != 10 || !strings.HasPrefix(got[0], "day 8") {
			t.Fatalf("%d lines, the first is %.10q; want the 10 of the last days", len(got), got[0])
		}
		if n := len(l.group("g").segments); n > 5 {
			t.Fatalf("%d files are left", n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFollowingReaderLosesNothing(t *testing.T) {
	l := open(t, t.TempDir())
	if err := l.CreateGroup("g", 0); err != nil {
		t.Fatal(err)
	}
	const writers, lines = 4, 5_000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range lines {
				l.Append("g", fmt.Sprint(w), fmt.Sprintf("%d/%d %s", w, i, strings.Repeat("x", i%700)))
			}
		})
	}
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	// As the AWS CLI's `logs tail --follow` does: page by token to the end,
	// then again from the last time seen, knowing the events of that time.
	seen := map[int64]bool{}
	last := int64(0)
	for done := false; !done; {
		select {
		case <-finished:
			done = true // one last round
		default:
		}
		q := &query{from: last, to: math.MaxInt64, limit: 100, stream: func([]byte) bool { return true }}
		position := int64(0)
		for more := true; more; {
			events, next, again, err := l.group("g").view().readForward(position, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				seen[e.position] = true
				last = max(last, e.ms)
			}
			position, more = next, again
		}
	}
	if len(seen) != writers*lines {
		t.Fatalf("read %d lines of %d", len(seen), writers*lines)
	}
}

func TestGroupsTakeOnlyNamesAndRetentionsThatAWSTakes(t *testing.T) {
	l := open(t, t.TempDir())
	for _, c := range []struct {
		name string
		days int
		want string
	}{{"with space", 7, `"with space"`}, {"g", 8, "8 days"}, {"g", -1, "-1 days"}} {
		if err := l.CreateGroup(c.name, c.days); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %d days: got %v, want an error that names %s", c.name, c.days, err, c.want)
		}
	}
}

func TestLinesAppendedAfterCloseAreDropped(t *testing.T) {
	l := open(t, t.TempDir())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Append("g", "s", "too late")
}

func BenchmarkAppend(b *testing.B) {
	l := open(b, b.TempDir())
	line := strings.Repeat("x", 250)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		l.Append("group", "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef", line)
	}
}
