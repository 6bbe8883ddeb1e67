package replay

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

func client(t *testing.T, app, env string) *Client {
	t.Helper()
	target := &cli.Target{Names: names.New(app, env)}
	return &Client{target: target, subs: &subscriptions.Environment{Target: target, Declared: []subscriptions.Subscription{{Function: "f", Name: "s", Queue: "q"}}}, notes: os.Stderr}
}

func TestNamesFitTheLongestOfAnEnvironmentAndTellThatEventsAreHandledAnew(t *testing.T) {
	c := client(t, strings.Repeat("a", 40), "prodctn") // a bus of 48 characters, as many as its archive's name takes
	for reprocess, pattern := range map[bool]string{false: `^a{40}-prodctn-replay-[a-z2-7]{6}$`, true: `^a{40}-prodctn-replay-[a-z2-7]{2}_again$`} {
		name := c.newName(reprocess)
		if !regexp.MustCompile(pattern).MatchString(name) || len(name) > 64 {
			t.Errorf("reprocess %v: %s (%d characters)", reprocess, name, len(name))
		}
		if strings.HasSuffix(name, handler.ReprocessSuffix) != reprocess {
			t.Errorf("reprocess %v: handlers see it otherwise in %s", reprocess, name)
		}
	}
}

func TestAPlanIsReadBackFromTheTagsOfItsQueue(t *testing.T) {
	c := client(t, "shop", "prod")
	p := Plan{
		Subscription: c.subs.Declared[0],
		From:         time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), To: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC),
		Rate: 0.5, Pattern: `{"detail":{"data":{"name":["` + strings.Repeat("ü", (MaxPattern-40)/2) + `"]}}}`,
	}
	tags := p.tags()
	if len(tags)+4 > 50 { // the label has four
		t.Errorf("%d tags: a queue takes 50", len(tags)+4)
	}
	allowed := regexp.MustCompile(`^[A-Za-z0-9 _.:/=+@-]{1,256}$`)
	for k, v := range tags {
		if !allowed.MatchString(k) || !allowed.MatchString(v) {
			t.Errorf("tag %s is %q", k, v)
		}
	}
	got, err := c.readPlan(t.Context(), tags)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(p) {
		t.Errorf("read %v, want %v; %v", got, p, err)
	}
	delete(tags, tagPlan+"0")
	if got, err := c.readPlan(t.Context(), tags); err == nil {
		t.Errorf("without its beginning it was read as %v", got)
	}
}

func TestTheTemporaryRuleMatchesOfTheSubscriptionsEventsThoseOfTheReplayAlone(t *testing.T) {
	text, err := restricted(`{"source":["savings"],"$or":[{"detail":{"a":[1]}},{"detail":{"b":[1]}}]}`, "mine")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]bool{
		`{"source":"savings","replay-name":"mine","detail":{"a":1}}`:   true,
		`{"source":"savings","replay-name":"mine","detail":{"b":1}}`:   true,
		`{"source":"savings","replay-name":"mine","detail":{"c":1}}`:   false,
		`{"source":"savings","replay-name":"theirs","detail":{"a":1}}`: false,
		`{"source":"savings","detail":{"a":1}}`:                        false, // live
		`{"source":"trading","replay-name":"mine","detail":{"a":1}}`:   false,
	} {
		if got, err := p.Match([]byte(event)); err != nil || got != want {
			t.Errorf("%s: %v, want %v; %v", event, got, want, err)
		}
	}
}

func TestACallTakesAsManyMessagesAsFitIt(t *testing.T) {
	message := func(bytes int) types.Message { return types.Message{Body: aws.String(strings.Repeat("x", bytes))} }
	for _, c := range []struct {
		sizes []int
		want  int
	}{
		{[]int{1, 1, 1}, 3},
		{[]int{1 << 20, 1}, 1}, // one that is as large as a message may be goes alone
		{[]int{600 << 10, 300 << 10, 300 << 10}, 2},
	} {
		var messages []types.Message
		for _, n := range c.sizes {
			messages = append(messages, message(n))
		}
		if got := fits(messages); got != c.want {
			t.Errorf("%v: %d, want %d", c.sizes, got, c.want)
		}
	}
}

func TestNoMessageIsTakenLongBeforeItsTurn(t *testing.T) {
	for rate, want := range map[float64]int{0: 10, MinRate: 1, 1: 2, 3: 6, 5: 10, MaxRate: 10} {
		f := newForwarder(nil, "", "", rate)
		if got := f.atOnce(); got != want {
			t.Errorf("at %v a second, %d at once, want %d", rate, got, want)
		}
		if rate > 0 {
			if wait := float64(f.workers()*f.atOnce()) / rate; rate >= 1 && wait > 10 {
				t.Errorf("at %v a second, a message may wait for %v s: it is hidden for 30 s", rate, wait)
			}
		}
		if f.limiter.Burst() < f.atOnce() {
			t.Errorf("at %v a second, %d messages never have their turn", rate, f.atOnce())
		}
	}
}

func TestProgressIsThePartOfTheTimeThatWasReplayed(t *testing.T) {
	from := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		s    Status
		want float64
	}{
		{Status{State: Starting}, 0},
		{Status{State: Running, LastReplayed: from.Add(15 * time.Minute)}, 0.25},
		{Status{State: Running, LastReplayed: from.Add(-time.Second)}, 0},
		{Status{State: Completed}, 1},
		{Status{State: Cancelled, LastReplayed: from.Add(30 * time.Minute)}, 0.5},
	} {
		c.s.From, c.s.To = from, from.Add(time.Hour)
		if got := c.s.Progress(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.s, got, c.want)
		}
	}
}
