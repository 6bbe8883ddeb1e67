package tail

import (
	"fmt"
	"strings"
	"testing"
)

func TestAnEventIsRememberedLongEnoughAndNotForEver(t *testing.T) {
	var s seen
	if s.before("a") || !s.before("a") {
		t.Fatal("not remembered")
	}
	for i := range maxSeen - 1 {
		s.before(fmt.Sprint(i))
	}
	if !s.before("a") {
		t.Fatal("forgotten too soon")
	}
	for i := range 5 * maxSeen {
		s.before(fmt.Sprint("x", i))
	}
	if n := len(s.recent) + len(s.older); n > 2*maxSeen {
		t.Fatalf("it remembers %d", n)
	}
}

func TestAReplayIsShownAgainAndARedeliveryIsNot(t *testing.T) {
	var shownIDs []string
	s := shown{tail: &Tail{Show: func(e Event) error { shownIDs = append(shownIDs, e.ID+e.Replay); return nil }}}
	for _, e := range []Event{{ID: "1"}, {ID: "1"}, {ID: "2"}, {ID: "1", Replay: "r"}, {ID: "1", Replay: "r"}} {
		if err := s.show(e); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(shownIDs, " "); got != "1 2 1r" || s.count != 3 {
		t.Fatal(got, s.count)
	}
}
