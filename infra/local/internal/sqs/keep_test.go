package sqs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// nothingLeft fails the test if a service without messages still has something
// of one, in memory or in the store.
func nothingLeft(t *testing.T, s *Service) {
	t.Helper()
	if n := s.kept.Load(); n != 0 {
		t.Errorf("%d bytes of messages are kept in memory", n)
	}
	for _, space := range []string{"sqs.message", "sqs.state"} {
		for e, err := range s.store.Scan(store.Prefix(store.NewKey(space))) {
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("the store still has %q", e.Key)
		}
	}
}

func TestAMessageLeavesNothingBehindHoweverItEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		dlq := ensure(t, s, "dlq", nil)
		q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "1",
			"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": 1}`, s.ARN("dlq"))})
		for name, end := range map[string]func(){
			"received and deleted": func() {
				got := receive(t, q, 0)
				if _, err := q.remove([]string{got[0].ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			},
			"purged": func() {
				pass(time.Minute)
				if err := s.Purge("q"); err != nil {
					t.Fatal(err)
				}
			},
			"expired": func() {
				pass(5 * 24 * time.Hour)
				synctest.Wait()
			},
			"dead, moved back, and deleted": func() {
				receive(t, q, 0)
				pass(2 * time.Second)
				receive(t, q, 0)
				if c := dlq.counts(); c.visible != 1 {
					t.Fatalf("in the DLQ: %+v", c)
				}
				if _, err := s.StartMove(s.ARN("dlq"), "", 0); err != nil {
					t.Fatal(err)
				}
				got := receive(t, q, time.Second)
				if _, err := q.remove([]string{got[0].ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			},
		} {
			t.Log(name)
			send(t, s, q, "message")
			end()
			nothingLeft(t, s)
		}
	})
}

func TestMessagesThatMemoryHasNoRoomForAreReadBack(t *testing.T) {
	s, end := newService(t, t.TempDir())
	defer end()
	q := ensure(t, s, "q", nil)
	const size = 1 << 20
	var sent []string
	for i := range maxKept/size + 4 {
		sent = append(sent, strings.Repeat(string(rune('A'+i)), size))
	}
	send(t, s, q, sent...)
	if n := s.kept.Load(); n != maxKept {
		t.Errorf("%d bytes are kept in memory, want %d", n, maxKept)
	}
	for len(sent) > 0 {
		var handles []string
		for _, r := range receive(t, q, 0) {
			if r.Body != sent[0] {
				t.Fatalf("received %.3q…, want %.3q…", r.Body, sent[0])
			}
			handles, sent = append(handles, r.ReceiptHandle), sent[1:]
		}
		if _, err := q.remove(handles); err != nil {
			t.Fatal(err)
		}
	}
	nothingLeft(t, s)
}

func TestADelayedMessageStaysSoOverARestart(t *testing.T) {
	dir := t.TempDir()
	s, end := newService(t, dir)
	q := ensure(t, s, "q", Attributes{"DelaySeconds": "900"})
	send(t, s, q, "later")
	end()

	s, end = newService(t, dir)
	defer end()
	q, err := s.find("q")
	if err != nil {
		t.Fatal(err)
	}
	if c := q.counts(); c != (counts{delayed: 1}) {
		t.Errorf("after the restart: %+v", c)
	}
}

func TestMessagesOfEarlierVersionsOfTheStoreAreRead(t *testing.T) {
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	at := time.Now().Truncate(time.Millisecond)
	texts := func(fields ...string) (out string) {
		for _, f := range fields {
			out += string(rune(len(f))) + f
		}
		return out
	}
	stamp := string((&entry{visibleAt: at}).encode()[:6]) // a time, as it begins there
	for version, stored := range map[string]string{
		"1": "\x01" + stamp + texts("id", "sender", "dlq-source", "", "body"),
		"2": "\x02" + stamp + texts("id", "sender", "dlq-source", "group", "trace", "", "body"),
	} {
		m, err := decodeMessage([]byte(stored))
		if err != nil {
			t.Fatalf("version %s: %v", version, err)
		}
		if m.ID != "id" || m.Body != "body" || m.DeadLetterSource != "dlq-source" || !m.SentAt.Equal(at) || m.BodyMD5() != "841a2d689ad86bd1611447453c22c6fc" {
			t.Errorf("version %s: %+v", version, m)
		}
		if _, err := decodeMessage([]byte(stored[:len(stored)-1])); err == nil {
			t.Errorf("version %s: a damaged message is read", version)
		}
	}
}

func TestWhatWasReceivedAndDeletedIsForgottenBeforeItsVisibilityTimeoutEnds(t *testing.T) {
	s, end := newService(t, t.TempDir())
	defer end()
	q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "40000"})
	for range 250 {
		ten := make([]sendEntry, 10)
		for i := range ten {
			ten[i].MessageBody = "message"
		}
		if _, err := s.sendAll(t.Context(), q, ten); err != nil {
			t.Fatal(err)
		}
		var handles []string
		for _, r := range receive(t, q, 0) {
			handles = append(handles, r.ReceiptHandle)
		}
		if _, err := q.remove(handles); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(q.hidden); n > 1100 {
		t.Errorf("the queue remembers when %d messages become visible, and has none", n)
	}
	nothingLeft(t, s)
}
