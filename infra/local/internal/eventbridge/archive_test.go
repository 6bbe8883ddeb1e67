package eventbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseb "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// at publishes an event of a type as of a time.
func at(t *testing.T, s *Service, name string, when time.Time) {
	t.Helper()
	seconds := float64(when.Unix())
	results, err := s.Put(t.Context(), []Entry{{EventBusName: "shop", Source: "savings", DetailType: name, Detail: `{"n":1}`, Time: &seconds}})
	if err != nil || results[0].ErrorCode != "" {
		t.Fatal(err, results)
	}
}

// received returns the types of the events that a queue got, those of replays with
// the replay's name.
func (q *queues) received(t *testing.T, queue string) string {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	var got []string
	for _, m := range q.got {
		if m.QueueARN != arn+queue {
			continue
		}
		var e event
		if err := json.Unmarshal([]byte(m.Body), &e); err != nil {
			t.Fatal(err)
		}
		if e.ReplayName != "" {
			e.DetailType += "@" + e.ReplayName
		}
		got = append(got, e.DetailType)
	}
	return strings.Join(got, " ")
}

func mustArchive(t *testing.T, s *Service, a Archive) {
	t.Helper()
	if err := s.EnsureArchive(a); err != nil {
		t.Fatal(err)
	}
}

func TestAnArchiveIsReplayedToTheRulesThatAreChosen(t *testing.T) {
	q := &queues{}
	c, s := client(t, q)
	ctx := t.Context()
	mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "a"}}})
	mustRule(t, s, Rule{Bus: "shop", Name: "b", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "b"}}})
	archive, err := c.CreateArchive(ctx, &awseb.CreateArchiveInput{
		ArchiveName: aws.String("all"), EventSourceArn: aws.String(s.BusARN("shop")), Description: aws.String("everything"),
	})
	if err != nil || *archive.ArchiveArn != s.ArchiveARN("all") || archive.State != types.ArchiveStateEnabled {
		t.Fatal(err, archive)
	}
	start := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	for i := range 250 { // in the order of their times, whatever that of their publishing
		at(t, s, fmt.Sprint("E", 249-i), start.Add(time.Duration(249-i)*time.Second))
	}
	described, err := c.DescribeArchive(ctx, &awseb.DescribeArchiveInput{ArchiveName: aws.String("all")})
	if err != nil || described.EventCount != 250 || described.SizeBytes < 250*100 || *described.Description != "everything" {
		t.Fatal(err, described)
	}
	q.mu.Lock()
	q.got = nil
	q.mu.Unlock()
	replay, err := c.StartReplay(ctx, &awseb.StartReplayInput{
		ReplayName: aws.String("again"), EventSourceArn: archive.ArchiveArn,
		EventStartTime: aws.Time(start.Add(10 * time.Second)), EventEndTime: aws.Time(start.Add(240 * time.Second)),
		Destination: &types.ReplayDestination{Arn: aws.String(s.BusARN("shop")), FilterArns: []string{s.RuleARN("shop", "b")}},
	})
	if err != nil || *replay.ReplayArn != s.ReplayARN("again") || replay.State != types.ReplayStateStarting {
		t.Fatal(err, replay)
	}
	s.running.Wait()
	var want []string
	for i := 10; i < 240; i++ {
		want = append(want, fmt.Sprintf("E%d@again", i))
	}
	if got := q.received(t, "b"); got != strings.Join(want, " ") {
		t.Errorf("b got %s", got)
	}
	if got := q.received(t, "a"); got != "" {
		t.Errorf("a got %s", got)
	}
	done, err := c.DescribeReplay(ctx, &awseb.DescribeReplayInput{ReplayName: aws.String("again")})
	if err != nil || done.State != types.ReplayStateCompleted || !done.EventLastReplayedTime.Equal(start.Add(239*time.Second)) ||
		done.ReplayEndTime == nil || done.Destination.FilterArns[0] != s.RuleARN("shop", "b") {
		t.Fatal(err, done)
	}
	// What is replayed is not archived again.
	described, err = c.DescribeArchive(ctx, &awseb.DescribeArchiveInput{ArchiveName: aws.String("all")})
	if err != nil || described.EventCount != 250 {
		t.Fatal(err, described)
	}
	list, err := c.ListReplays(ctx, &awseb.ListReplaysInput{EventSourceArn: archive.ArchiveArn, State: types.ReplayStateCompleted})
	if err != nil || len(list.Replays) != 1 || *list.Replays[0].ReplayName != "again" {
		t.Fatal(err, list)
	}
	if _, err := c.DeleteArchive(ctx, &awseb.DeleteArchiveInput{ArchiveName: aws.String("all")}); err != nil {
		t.Fatal(err)
	}
	archives, err := c.ListArchives(ctx, &awseb.ListArchivesInput{})
	if err != nil || len(archives.Archives) != 0 {
		t.Fatal(err, archives)
	}
}

func TestAnArchiveKeepsWhatItsPatternMatchesAndForgetsWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := newService(t, t.TempDir(), &queues{})
		defer st.Close()
		defer s.Close()
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := s.EnsureBus(Bus{Name: "shop"}); err != nil {
			t.Fatal(err)
		}
		mustArchive(t, s, Archive{Name: "a-day", Bus: "shop", RetentionDays: 1})
		mustArchive(t, s, Archive{Name: "some", Bus: s.BusARN("shop"), Pattern: json.RawMessage(`{"detail-type":["W"]}`)})
		at(t, s, "W", time.Now())
		at(t, s, "X", time.Now().Add(2*time.Hour)) // as if it had been published then
		count := func(name string) int {
			t.Helper()
			n, _, err := s.contents(name)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if all, some := count("a-day"), count("some"); all != 2 || some != 1 {
			t.Fatalf("%d and %d are kept", all, some)
		}
		if st := s.Stats(); st.Unmatched["savings/W"] != 1 {
			t.Errorf("an archive counts as a rule: stats %+v", st)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if all, some := count("a-day"), count("some"); all != 1 || some != 1 {
			t.Errorf("after 25 hours, %d and %d are kept", all, some)
		}
	})
}

func TestAReplayGoesOnAfterARestartAndCanBeCancelled(t *testing.T) {
	dir := t.TempDir()
	q := &queues{}
	s, st := newService(t, dir, q)
	mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "a"}}})
	mustArchive(t, s, Archive{Name: "all", Bus: "shop"})
	start := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	for i := range 2*replayChunk + 1 {
		at(t, s, fmt.Sprint("E", i), start.Add(time.Duration(i)*time.Second))
	}
	one := replay{Name: "one", Archive: "all", Bus: "shop", From: start, To: start.Add(time.Hour), State: replayStarting, StartedAt: time.Now()}
	two := one
	two.Name, two.State = "two", replayCancelling
	s.mu.Lock()
	if err := errors.Join(s.saveReplay(&one), s.saveReplay(&two)); err != nil {
		t.Fatal(err)
	}
	s.mu.Unlock()
	going := one
	if !s.replayNext(&going) { // and then the process dies
		t.Fatal("one chunk is all")
	}
	st.Close()
	q.mu.Lock()
	q.got = nil
	q.mu.Unlock()

	s, st = newService(t, dir, q)
	defer st.Close()
	defer s.Close()
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	s.running.Wait()
	got := strings.Fields(q.received(t, "a"))
	if len(got) != replayChunk+1 || got[0] != fmt.Sprintf("E%d@one", replayChunk) {
		t.Errorf("after the restart, %d events were replayed: %v", len(got), got)
	}
	if one, two := s.replays["one"].State, s.replays["two"].State; one != replayCompleted || two != replayCancelled {
		t.Errorf("the replays are %s and %s", one, two)
	}
	var refused *awswire.Error
	if err := s.cancelReplay("one"); !errors.As(err, &refused) || refused.Code != "IllegalStatusException" {
		t.Errorf("cancelling what has ended: got %v", err)
	}
}

func TestWhatIsNotAnArchiveOrAReplayIsRefused(t *testing.T) {
	c, s := client(t, &queues{})
	ctx := t.Context()
	for _, bus := range []string{"shop", "other"} {
		mustRule(t, s, Rule{Bus: bus, Name: "r", Pattern: everything})
	}
	mustArchive(t, s, Archive{Name: "all", Bus: "shop"})
	create := func(in awseb.CreateArchiveInput) error {
		if in.EventSourceArn == nil {
			in.EventSourceArn = aws.String(s.BusARN("shop"))
		}
		_, err := c.CreateArchive(ctx, &in)
		return err
	}
	replay := func(edit func(*awseb.StartReplayInput)) error {
		in := awseb.StartReplayInput{
			ReplayName: aws.String("r"), EventSourceArn: aws.String(s.ArchiveARN("all")), EventStartTime: aws.Time(time.Unix(1, 0)), EventEndTime: aws.Time(time.Unix(2, 0)),
			Destination: &types.ReplayDestination{Arn: aws.String(s.BusARN("shop"))},
		}
		edit(&in)
		_, err := c.StartReplay(ctx, &in)
		return err
	}
	if err := replay(func(in *awseb.StartReplayInput) { in.ReplayName = aws.String("taken") }); err != nil {
		t.Fatal(err)
	}
	_, cancelling := c.CancelReplay(ctx, &awseb.CancelReplayInput{ReplayName: aws.String("missing")})
	_, describing := c.DescribeArchive(ctx, &awseb.DescribeArchiveInput{ArchiveName: aws.String("missing")})
	for name, test := range map[string]struct {
		code string
		err  error
	}{
		"an archive twice":        {"ResourceAlreadyExistsException", create(awseb.CreateArchiveInput{ArchiveName: aws.String("all")})},
		"a long name":             {"ValidationException", create(awseb.CreateArchiveInput{ArchiveName: aws.String(strings.Repeat("a", 49))})},
		"a negative retention":    {"ValidationException", create(awseb.CreateArchiveInput{ArchiveName: aws.String("b"), RetentionDays: aws.Int32(-1)})},
		"a pattern":               {"InvalidEventPatternException", create(awseb.CreateArchiveInput{ArchiveName: aws.String("b"), EventPattern: aws.String(`{"a":1}`)})},
		"a bus that is none":      {"ValidationException", create(awseb.CreateArchiveInput{ArchiveName: aws.String("b"), EventSourceArn: aws.String(s.ArchiveARN("all"))})},
		"a bus that is missing":   {"ResourceNotFoundException", create(awseb.CreateArchiveInput{ArchiveName: aws.String("b"), EventSourceArn: aws.String(s.BusARN("missing"))})},
		"a key":                   {"ValidationException", create(awseb.CreateArchiveInput{ArchiveName: aws.String("b"), KmsKeyIdentifier: aws.String("k")})},
		"a missing archive":       {"ResourceNotFoundException", describing},
		"a missing replay":        {"ResourceNotFoundException", cancelling},
		"a replay twice":          {"ResourceAlreadyExistsException", replay(func(in *awseb.StartReplayInput) { in.ReplayName = aws.String("taken") })},
		"another bus":             {"ValidationException", replay(func(in *awseb.StartReplayInput) { in.Destination.Arn = aws.String(s.BusARN("other")) })},
		"a rule of another bus":   {"ResourceNotFoundException", replay(func(in *awseb.StartReplayInput) { in.Destination.FilterArns = []string{s.RuleARN("other", "r")} })},
		"a replay of no archive":  {"ValidationException", replay(func(in *awseb.StartReplayInput) { in.EventSourceArn = aws.String(s.BusARN("shop")) })},
		"an end before the start": {"ValidationException", replay(func(in *awseb.StartReplayInput) { in.EventEndTime = in.EventStartTime })},
	} {
		var api smithy.APIError
		if !errors.As(test.err, &api) || api.ErrorCode() != test.code {
			t.Errorf("%s: got %v, want %s", name, test.err, test.code)
		}
	}
}
