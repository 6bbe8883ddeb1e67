package lambda

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// oneRole is a guard with one role, which may do everything but what it is told.
type oneRole struct {
	mu     sync.Mutex
	denied []string // actions
	asked  []string // what was asked for, each once
}

func (r *oneRole) deny(actions ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied = actions
}

func (r *oneRole) Principal(string) (awswire.Principal, error) { return r, nil }

func (r *oneRole) Authorize(a awswire.Access) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := a.Action + " " + a.Resource; !slices.Contains(r.asked, one) {
		r.asked = append(r.asked, one)
	}
	if slices.Contains(r.denied, a.Action) {
		return awswire.Errorf("AccessDeniedException", "not authorized to perform: %s", a.Action)
	}
	return nil
}

func (r *oneRole) asksFor() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.asked, "\n")
}

func TestAMappingIsRefusedWhoseRoleMayNotReadItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		role, s := &oneRole{}, newFakeStream()
		l := newLambda(t, func(c *Config) { c.Queues, c.Streams, c.Roles = newFakeQueue(), s, role })
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		queue := Mapping{Function: "f", SourceARN: queueARN}
		stream := Mapping{Function: "f", SourceARN: streamARN, StartingPosition: "LATEST"}
		for _, c := range []struct {
			action string
			spec   Mapping
			want   string
		}{
			{"sqs:ReceiveMessage", queue, "InvalidParameterValueException: The function execution role does not have permissions to call ReceiveMessage on SQS"},
			{"sqs:DeleteMessage", queue, "permissions to call DeleteMessage on SQS"},
			{"sqs:GetQueueAttributes", queue, "permissions to call GetQueueAttributes on SQS"},
			{"dynamodb:GetRecords", stream, "InvalidParameterValueException: Cannot access stream " + streamARN},
			{"dynamodb:GetShardIterator", stream, "Cannot access stream"},
			{"dynamodb:DescribeStream", stream, "Cannot access stream"},
			{"dynamodb:ListStreams", stream, "Cannot access stream"},
		} {
			role.deny(c.action)
			if _, err := l.CreateMapping(t.Context(), c.spec); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "not authorized to perform: "+c.action) {
				t.Errorf("without %s: %v, want %s", c.action, err, c.want)
			}
			if _, err := l.EnsureMapping(t.Context(), c.spec); err == nil {
				t.Errorf("without %s it is deployed", c.action)
			}
		}
		role.deny()
		id, err := l.CreateMapping(t.Context(), queue)
		if err != nil {
			t.Fatal(err)
		}
		role.deny("sqs:DeleteMessage")
		if _, err := l.UpdateMapping(id, MappingUpdate{BatchSize: new(5)}); err == nil || !strings.Contains(err.Error(), "permissions to call DeleteMessage") {
			t.Errorf("an update without sqs:DeleteMessage: %v", err)
		}
		if m, err := l.Mapping(id); err != nil || m.BatchSize != 10 {
			t.Errorf("a refused update has changed the batch size to %d (%v)", m.BatchSize, err)
		}
	})
}

func TestPollingFailsWhileTheRoleDoesNotAllowIt(t *testing.T) {
	role := &oneRole{}
	synctest.Test(t, func(t *testing.T) {
		q, f := newFakeQueue(), &fakeFunction{began: time.Now()}
		l := newLambda(t, func(c *Config) { c.Queues, c.Roles = q, role })
		l.invoke = f.invoke
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		id, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN})
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		role.deny("sqs:ReceiveMessage")
		pass(time.Minute) // the poll that had begun is over
		q.send("a")
		pass(time.Minute)
		if got := counted(t, l, id); got.Polled != 0 {
			t.Fatalf("polled without permission: %+v", got)
		}
		role.deny()
		pass(2 * time.Second)
		if got := counted(t, l, id); got.Deleted != 1 {
			t.Fatalf("not polled again: %+v", got)
		}
		role.deny("sqs:DeleteMessage")
		q.send("b")
		pass(2 * time.Second)
		if got := counted(t, l, id); got.Invoked != 2 || got.Deleted != 1 {
			t.Fatalf("deleted without permission: %+v", got)
		}
	})
}

func TestAStreamIsReadOnlyWhileTheRoleAllowsIt(t *testing.T) {
	role := &oneRole{}
	synctest.Test(t, func(t *testing.T) {
		s, f := newFakeStream(), &fakeFunction{began: time.Now()}
		l := newLambda(t, func(c *Config) { c.Streams, c.Roles = s, role })
		l.invoke = f.invoke
		onStream(t, l, Mapping{})
		s.put(0, "a")
		pass(time.Second)
		role.deny("dynamodb:GetRecords")
		s.put(0, "b") // what a read that had begun still gets
		pass(time.Second)
		s.put(0, "c")
		pass(time.Minute)
		equal(t, f.sequences(), []int{1}, []int{2})
		role.deny()
		pass(2 * time.Second)
		equal(t, f.sequences(), []int{1}, []int{2}, []int{3})
	})
}

func TestWhatAProgramPrintsIsWrittenAsFarAsItsRoleMay(t *testing.T) {
	for _, c := range []struct {
		denied string
		lines  int
	}{{"", 1}, {"logs:CreateLogStream", 0}, {"logs:PutLogEvents", 0}} {
		role, book := &oneRole{}, &logBook{}
		role.deny(c.denied)
		l := newLambda(t, func(c *Config) { c.Logs, c.Roles = book, role })
		logs := &roleLogs{l: l, f: &function{Function: Function{Name: "f"}}}
		logs.Append("/aws/lambda/f", "s", "line\n")
		if n := len(book.lines); n != c.lines {
			t.Errorf("denied %q: %d lines, want %d", c.denied, n, c.lines)
		}
		if want := "logs:CreateLogStream arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:log-stream:s"; !strings.Contains(role.asksFor(), want) {
			t.Errorf("asked for %s", role.asksFor())
		}
	}
}
