package tap

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/infra/names"
)

func TestWhatIsLeftIsRemovedOnceNobodyCanWantIt(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	me := identity{owner: "ann@laptop", process: "10.1"}
	running := func(process string) bool { return process == "10.1" || process == "20.1" }
	for _, c := range []struct {
		what   string
		label  Label
		due    bool
		reason string
	}{
		{"mine, of a process that is gone", Label{Owner: "ann@laptop", Process: "30.1", Expires: now.Add(time.Hour)}, true, "its process is gone"},
		{"mine, of another program that runs", Label{Owner: "ann@laptop", Process: "20.1", Expires: now.Add(time.Hour)}, false, ""},
		{"another's on another machine, where I cannot see its process", Label{Owner: "bob@desk", Process: "30.1", Expires: now.Add(time.Hour)}, false, ""},
		{"mine on another machine", Label{Owner: "ann@desk", Process: "30.1", Expires: now.Add(time.Second)}, false, ""},
		{"another's, expired", Label{Owner: "bob@desk", Process: "30.1", Expires: now.Add(-time.Second)}, true, "expired"},
		{"mine, expired, though a process with its id runs", Label{Owner: "ann@laptop", Process: "20.1", Expires: now.Add(-time.Second)}, true, "expired"},
		{"at the very moment of its expiry", Label{Owner: "bob@desk", Process: "30.1", Expires: now}, false, ""},
	} {
		reason, due := c.label.due(me, now, running)
		if due != c.due || reason != c.reason {
			t.Errorf("%s: %v %q", c.what, due, reason)
		}
	}
}

func TestALabelIsReadBackFromTagsAndFromADescription(t *testing.T) {
	l := NewLabel("penstock-local", time.Hour)
	if got, ok := readTags(l.tags()); !ok || got != l {
		t.Errorf("tags: %+v, want %+v", got, l)
	}
	if got, ok := readDescription(l.describe()); !ok || got != l {
		t.Errorf("description: %+v, want %+v", got, l)
	}
	if len(l.describe()) > 512 {
		t.Errorf("a rule's description takes 512 characters, this has %d", len(l.describe()))
	}
}

// A function may be called "tail", and its rules look like a tail's.
func TestWhatIsNotLabelledIsNotATap(t *testing.T) {
	for _, text := range []string{"", "savings/SAVINGS_WITHDRAWAL to penstock-local-tail", descriptionPrefix, descriptionPrefix + "{}", descriptionPrefix + `{"penstock:owner":"a@b"}`} {
		if l, ok := readDescription(text); ok {
			t.Errorf("%q was read as %+v", text, l)
		}
	}
	for _, tags := range []map[string]string{nil, {"penstock:function": "tail"}, {tagOwner: "a", tagProcess: "1", tagBus: "b", tagExpires: "soon"}} {
		if l, ok := readTags(tags); ok {
			t.Errorf("%v was read as %+v", tags, l)
		}
	}
}

func TestNamesFitAndTellTheOwner(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	for _, c := range []struct{ app, env, owner, want string }{
		{"penstock", "local", "ann@laptop", "penstock-local-tail-ann-laptop-"},
		{"penstock", "local", "ANN.Lee@Lap_Top", "penstock-local-tail-ann-lee-lap-top-"},
		{"penstock", "local", strings.Repeat("x", 100) + "@y", "penstock-local-tail-" + strings.Repeat("x", 33) + "-"},
		{"penstock", "local", "@", "penstock-local-tail-"},
		{strings.Repeat("a", 40), "production", "ann@laptop", strings.Repeat("a", 40) + "-production-tail-"},
	} {
		name := NewName(names.New(c.app, c.env).TailPrefix(), c.owner)
		if c.app == "penstock" && !valid.MatchString(name) || !strings.HasPrefix(name, c.want) {
			t.Errorf("%+v: %s", c, name)
		}
		if again := NewName(names.New(c.app, c.env).TailPrefix(), c.owner); again == name {
			t.Errorf("twice the same: %s", name)
		}
	}
}

func TestAProcessIsAliveUntilItHasEnded(t *testing.T) {
	if !alive(processID(os.Getpid())) {
		t.Error("this process is not alive")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id := processID(cmd.Process.Pid)
	if !alive(id) {
		t.Error("a running child is not alive")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if alive(id) {
		t.Error("a child that was killed is alive")
	}
	if _, _, ok := stat(os.Getpid()); ok && alive(fmt.Sprintf("%d.1", os.Getpid())) {
		t.Error("an earlier process with this one's pid is taken for alive")
	}
	if !alive("not a pid") {
		t.Error("what cannot be told must be left alone")
	}
}
