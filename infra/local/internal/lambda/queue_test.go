package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

const queueARN = "arn:aws:sqs:us-east-1:000000000000:q"

// fakeQueue is a standard queue in memory.
type fakeQueue struct {
	visibility time.Duration

	mu       sync.Mutex
	messages []*fakeMessage
	arrived  chan struct{} // closed when messages arrive
}

type fakeMessage struct {
	QueueMessage
	visibleAt time.Time
}

func newFakeQueue() *fakeQueue {
	return &fakeQueue{visibility: 10 * time.Minute, arrived: make(chan struct{})}
}

func (q *fakeQueue) setVisibility(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.visibility = d
}

func (q *fakeQueue) send(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		id := fmt.Sprint("id-", len(q.messages))
		q.messages = append(q.messages, &fakeMessage{QueueMessage: QueueMessage{
			ID: id, Body: body, BodyMD5: "0123456789abcdef0123456789abcdef", SenderID: "AIDA", SentAt: time.Now(),
		}})
	}
	close(q.arrived)
	q.arrived = make(chan struct{})
}

func (q *fakeQueue) Receive(ctx context.Context, arn string, most, maxBytes int, wait time.Duration) ([]QueueMessage, error) {
	deadline := time.Now().Add(wait)
	for {
		q.mu.Lock()
		var out []QueueMessage
		now, wake, size := time.Now(), deadline, 0
		for _, m := range q.messages {
			switch {
			case m == nil:
			case m.visibleAt.After(now):
				wake = slices.MinFunc([]time.Time{wake, m.visibleAt}, time.Time.Compare)
			case len(out) < most && (len(out) == 0 || size+len(m.Body) <= maxBytes):
				size += len(m.Body)
				m.ReceiveCount++
				m.ReceiptHandle = fmt.Sprint(m.ID, "/", m.ReceiveCount)
				m.visibleAt = now.Add(q.visibility)
				out = append(out, m.QueueMessage)
			}
		}
		arrived := q.arrived
		q.mu.Unlock()
		if len(out) > 0 || !now.Before(deadline) {
			return out, nil
		}
		timer := time.NewTimer(time.Until(wake))
		select {
		case <-arrived:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

func (q *fakeQueue) Send(_ context.Context, arn, body string) error {
	q.send(body)
	return nil
}

func (q *fakeQueue) Policy(string) *policy.Policy { return nil }

func (q *fakeQueue) Delete(_ context.Context, arn string, handles []string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range q.messages {
		if m != nil && slices.Contains(handles, m.ReceiptHandle) {
			q.messages[i] = nil
		}
	}
	return nil
}

func (q *fakeQueue) VisibilityTimeout(string) (time.Duration, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.visibility, nil
}

// left returns the receive counts of the messages that are still there.
func (q *fakeQueue) left() map[string]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := map[string]int{}
	for _, m := range q.messages {
		if m != nil {
			out[m.Body] = m.ReceiveCount
		}
	}
	return out
}

func (q *fakeQueue) received() (n int) {
	for _, count := range q.left() {
		n += min(count, 1)
	}
	return n
}

// call is an invocation that a fake function got.
type call struct {
	at      time.Duration // since the test began
	bodies  []string
	payload []byte
}

// fakeFunction stands in for Invoke.
type fakeFunction struct {
	began  time.Time
	answer func(call) (*Result, error) // nil: at once, with success

	mu      sync.Mutex
	calls   []call
	running int
	most    int // that ran at the same time
}

func (f *fakeFunction) invoke(_ context.Context, _ string, payload []byte) (*Result, error) {
	var event struct {
		Records []struct {
			Body     string
			Dynamodb struct{ SequenceNumber string }
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	c := call{at: time.Since(f.began), payload: payload}
	for _, r := range event.Records {
		c.bodies = append(c.bodies, r.Body+r.Dynamodb.SequenceNumber)
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	f.running++
	f.most = max(f.most, f.running)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	if f.answer == nil {
		return &Result{}, nil
	}
	return f.answer(c)
}

func (f *fakeFunction) sizes() (sizes []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		sizes = append(sizes, len(c.bodies))
	}
	return sizes
}

// atOnce returns how many invocations run now, and the most that ran at the
// same time since it was last asked.
func (f *fakeFunction) atOnce() (running, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	running, most = f.running, f.most
	f.most = running
	return running, most
}

func failed() (*Result, error) {
	return &Result{Payload: []byte(`{"errorMessage":"failed"}`), FunctionError: unhandled}, nil
}

// queueTest runs a test with a mapping of queue q to function f, in fake time.
func queueTest(t *testing.T, spec Mapping, test func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q, f := newFakeQueue(), &fakeFunction{began: time.Now()}
		l := newLambda(t, func(c *Config) { c.Queues = q })
		l.invoke = f.invoke
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		spec.Function, spec.SourceARN = "f", queueARN
		id, err := l.CreateMapping(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		test(t, l, id, q, f)
	})
}

// pass lets fake time go by, and everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func numbered(from, to int) (bodies []string) {
	for i := range to - from {
		bodies = append(bodies, fmt.Sprint("message ", from+i))
	}
	return bodies
}

func counted(t *testing.T, l *Lambda, id string) Counters {
	t.Helper()
	m, err := l.Mapping(id)
	if err != nil {
		t.Fatal(err)
	}
	return m.Counters
}

func TestABatchIsHandedOverWhenItIsFullOrItsWindowCloses(t *testing.T) {
	queueTest(t, Mapping{BatchSize: 500, Window: 60 * time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		q.send(numbered(0, 1200)...)
		pass(time.Second)
		if got := f.sizes(); !slices.Equal(got, []int{500, 500}) {
			t.Fatalf("after a second: batches of %v", got)
		}
		q.send(numbered(1200, 1250)...)
		pass(58 * time.Second)
		if got := f.sizes(); len(got) != 2 {
			t.Fatalf("before the window closes: batches of %v", got)
		}
		pass(2 * time.Second)
		if got := f.sizes(); !slices.Equal(got, []int{500, 500, 250}) {
			t.Fatalf("after the window: batches of %v", got)
		}
		if left := q.left(); len(left) != 0 {
			t.Fatalf("%d messages were not deleted", len(left))
		}
		if got, want := counted(t, l, id), (Counters{Batches: 3, Invocations: 3, Polled: 1250, Invoked: 1250, Deleted: 1250}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestMessagesThatTrickleInAreGatheredUntilTheWindowCloses(t *testing.T) {
	queueTest(t, Mapping{BatchSize: 100, Window: 10 * time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		pass(30 * time.Second) // the window does not begin before the first message
		for i := range 40 {
			q.send(fmt.Sprint(i))
			pass(time.Second)
		}
		pass(10 * time.Second)
		for i, size := range f.sizes() {
			if size < 9 || size > 11 {
				t.Fatalf("batch %d: of %d, want about 10", i, size)
			}
		}
		if first := f.calls[0].at; first != 40*time.Second {
			t.Fatalf("the first batch was handed over after %v, want 40s", first)
		}
		if n := len(q.left()); n != 0 {
			t.Fatalf("%d messages left", n)
		}
	})
}

func TestWithoutAWindowAMessageIsHandedOverAtOnce(t *testing.T) {
	queueTest(t, Mapping{}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		pass(90 * time.Second)
		q.send("one")
		synctest.Wait()
		if len(f.calls) != 1 || f.calls[0].at != 90*time.Second {
			t.Fatalf("got %+v", f.calls)
		}
		q.send(numbered(0, 25)...)
		synctest.Wait()
		if got := f.sizes(); len(got) != 4 || got[1]+got[2]+got[3] != 25 {
			t.Fatalf("batches of %v", got)
		}
	})
}

func TestAnEventNeverExceeds6MB(t *testing.T) {
	for name, body := range map[string]string{
		"plain":            strings.Repeat("x", 300<<10),
		"much escaped":     strings.Repeat(`"\`, 150<<10),
		"small":            strings.Repeat("x", 1<<10),
		"larger than most": strings.Repeat(`"`, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			queueTest(t, Mapping{BatchSize: 10_000, Window: 5 * time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
				f.answer = func(c call) (*Result, error) {
					if len(c.payload) > maxPayload {
						t.Errorf("an event of %d bytes", len(c.payload))
					}
					for body, receives := range q.left() {
						if receives > 1 {
							t.Errorf("received %d times: %.10s…", receives, body)
						}
					}
					return &Result{}, nil
				}
				n := 14 << 20 / len(body)
				for range n {
					q.send(body)
				}
				pass(time.Minute)
				handled := 0
				for _, size := range f.sizes() {
					handled += size
				}
				if handled != n || len(q.left()) != 0 {
					t.Fatalf("%d messages of %d were handled, in batches of %v", handled, n, f.sizes())
				}
				// Batches that the size ended are nearly full.
				for _, c := range f.calls[:len(f.calls)-1] {
					if len(c.payload) < maxPayload*2/3 {
						t.Errorf("an event of only %d bytes", len(c.payload))
					}
				}
			})
		})
	}
}

func TestWhatIsDeletedDependsOnTheAnswer(t *testing.T) {
	for _, c := range []struct {
		answer string
		left   []string
	}{
		{``, nil},
		{`null`, nil},
		{`{}`, nil},
		{`{"other":"x"}`, nil},
		{`{"batchItemFailures":null}`, nil},
		{`{"batchItemFailures":[]}`, nil},
		{`{"batchItemFailures":[{"itemIdentifier":"id-1"}]}`, []string{"b"}},
		{`{"batchItemFailures":[{"itemIdentifier":"id-2"},{"itemIdentifier":"id-0"},{"itemIdentifier":"id-0"}]}`, []string{"a", "c"}},
		{`{"batchItemFailures":[{"itemIdentifier":"id-1"},{"itemIdentifier":"unknown"}]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[{"itemIdentifier":""}]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[{"itemIdentifier":null}]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[{"itemIdentifier":7}]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[{"messageId":"id-1"}]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[{"ItemIdentifier":"id-1"}]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[null]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":["id-1"]}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":"id-1"}`, []string{"a", "b", "c"}},
		{`{"batchItemFailures":[`, []string{"a", "b", "c"}},
		{`not JSON`, []string{"a", "b", "c"}},
		{`"a text"`, []string{"a", "b", "c"}},
		{`[]`, []string{"a", "b", "c"}},
	} {
		for _, reports := range []bool{true, false} {
			queueTest(t, Mapping{ReportBatchItemFailures: reports}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
				f.answer = func(call) (*Result, error) { return &Result{Payload: []byte(c.answer)}, nil }
				want := c.left
				if !reports { // the answer is not read
					want = nil
				}
				q.send("a", "b", "c")
				synctest.Wait()
				if got := slices.Sorted(maps.Keys(q.left())); !slices.Equal(got, want) {
					t.Errorf("answer %s, read %v: left %v, want %v", c.answer, reports, got, want)
				}
				if n := counted(t, l, id); n.FailedInvoke != uint64(len(want)) || n.Deleted != uint64(3-len(want)) {
					t.Errorf("answer %s, read %v: %+v", c.answer, reports, n)
				}
			})
		}
	}
}

func TestAFailedBatchComesBackAfterTheVisibilityTimeout(t *testing.T) {
	for _, reports := range []bool{true, false} {
		queueTest(t, Mapping{ReportBatchItemFailures: reports}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
			f.answer = func(c call) (*Result, error) {
				if c.at < time.Minute {
					return failed()
				}
				return &Result{}, nil
			}
			q.setVisibility(time.Minute)
			q.send("a", "b")
			pass(59 * time.Second)
			if got := f.sizes(); !slices.Equal(got, []int{2}) {
				t.Fatalf("before the timeout: batches of %v", got)
			}
			if left := q.left(); left["a"] != 1 || left["b"] != 1 {
				t.Fatalf("receive counts %v", left)
			}
			pass(2 * time.Second)
			if got := f.sizes(); !slices.Equal(got, []int{2, 2}) || len(q.left()) != 0 {
				t.Fatalf("after the timeout: batches of %v, left %v", got, q.left())
			}
		})
	}
}

func TestAThrottledBatchIsTriedAgainUntilItsMessagesAreVisible(t *testing.T) {
	queueTest(t, Mapping{}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if c.at < 20*time.Second || c.bodies[0] == "b" {
				return nil, throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
			}
			return &Result{}, nil
		}
		q.setVisibility(time.Minute)
		q.send("a")
		pass(50 * time.Second)
		if n := counted(t, l, id); len(q.left()) != 0 || n.Polled != 1 || n.Invocations != 1 || n.Throttles < 5 {
			t.Fatalf("left %v, %+v", q.left(), n)
		}
		q.send("b")
		pass(59 * time.Second)
		if left := q.left(); left["b"] != 1 {
			t.Fatalf("within the visibility timeout: %v", left)
		}
		pass(60 * time.Second)
		if left := q.left(); left["b"] != 2 {
			t.Fatalf("after the visibility timeout: %v", left)
		}
	})
}

func TestConcurrencyBeginsAt5AndGrowsBy300AMinuteUpToTheMaximum(t *testing.T) {
	queueTest(t, Mapping{BatchSize: 1, MaximumConcurrency: 12}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		f.answer = func(call) (*Result, error) { time.Sleep(30 * time.Second); return &Result{}, nil }
		q.send(numbered(0, 60)...)
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{100 * time.Millisecond, 5}, {time.Second, 10}, {10 * time.Second, 12}} {
			pass(step.after)
			if running, _ := f.atOnce(); running != step.want {
				t.Fatalf("%d invocations at once, want %d", running, step.want)
			}
			if n := q.received(); n != step.want {
				t.Fatalf("%d messages were received for %d slots", n, step.want)
			}
		}
		pass(5 * time.Minute)
		if _, most := f.atOnce(); most != 12 || len(q.left()) != 0 {
			t.Fatalf("at most %d at once, %d messages left", most, len(q.left()))
		}
		q.send(numbered(0, 60)...) // the queue was empty: from 5 again
		pass(100 * time.Millisecond)
		if running, _ := f.atOnce(); running != 5 {
			t.Fatalf("%d invocations at once after a rest, want 5", running)
		}
	})
}

func TestFailuresReduceConcurrencyUnlessTheyAreReported(t *testing.T) {
	for reports, want := range map[bool]int{true: 5, false: 1} {
		queueTest(t, Mapping{BatchSize: 1, MaximumConcurrency: 5, ReportBatchItemFailures: reports}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
			var ok atomic.Bool
			f.answer = func(call) (*Result, error) {
				time.Sleep(time.Second)
				if ok.Load() {
					return &Result{}, nil
				}
				return failed()
			}
			q.send(numbered(0, 500)...)
			pass(10 * time.Second)
			f.atOnce()
			pass(10 * time.Second)
			if _, most := f.atOnce(); most != want {
				t.Fatalf("reported %v: %d invocations at once after failures, want %d", reports, most, want)
			}
			ok.Store(true)
			pass(10 * time.Second)
			if _, most := f.atOnce(); most != 5 {
				t.Fatalf("reported %v: %d invocations at once after successes, want 5", reports, most)
			}
		})
	}
}

func TestGatheringGoesOnWhileABatchIsHandled(t *testing.T) {
	queueTest(t, Mapping{BatchSize: 100, Window: time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		f.answer = func(call) (*Result, error) { time.Sleep(20 * time.Second); return &Result{}, nil }
		q.send(numbered(0, 300)...)
		pass(time.Second)
		if running, _ := f.atOnce(); running != 3 {
			t.Fatalf("%d batches are being handled, want 3", running)
		}
	})
}

func TestDisablingLetsTheBatchesFinishAndEnablingDeliversTheBacklog(t *testing.T) {
	queueTest(t, Mapping{BatchSize: 100, Window: 100 * time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		f.answer = func(call) (*Result, error) { time.Sleep(10 * time.Second); return &Result{}, nil }
		q.send(numbered(0, 150)...)
		pass(5 * time.Second)
		no, yes := false, true
		m, err := l.UpdateMapping(id, MappingUpdate{Enabled: &no})
		if err != nil || m.State != "Disabling" {
			t.Fatalf("%s, %v", m.State, err)
		}
		q.send(numbered(150, 200)...)
		pass(time.Minute)
		if m, _ := l.Mapping(id); m.State != "Disabled" {
			t.Fatalf("state %s", m.State)
		}
		// What was received when it was disabled is handled, nothing more.
		if got := f.sizes(); !slices.Equal(got, []int{100, 50}) || len(q.left()) != 50 || q.received() != 0 {
			t.Fatalf("batches of %v, %d messages left", got, len(q.left()))
		}
		if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: &yes}); err != nil {
			t.Fatal(err)
		}
		pass(200 * time.Second)
		if got := f.sizes(); !slices.Equal(got, []int{100, 50, 50}) || len(q.left()) != 0 {
			t.Fatalf("batches of %v, %d messages left", got, len(q.left()))
		}
	})
}

func TestBatchSizeAndWindowChangeLive(t *testing.T) {
	queueTest(t, Mapping{BatchSize: 1000, Window: 300 * time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		q.send(numbered(0, 5)...)
		pass(time.Second)
		size, window := 2, time.Duration(0)
		if _, err := l.UpdateMapping(id, MappingUpdate{BatchSize: &size, Window: &window}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		q.send(numbered(5, 9)...)
		synctest.Wait()
		if got := f.sizes(); !slices.Equal(got, []int{5, 2, 2}) {
			t.Fatalf("batches of %v", got)
		}
		size = 11
		if _, err := l.UpdateMapping(id, MappingUpdate{BatchSize: &size}); err == nil || !strings.Contains(err.Error(), "Maximum batch window in seconds must be greater than 0") {
			t.Fatalf("got %v", err)
		}
	})
}

func TestMessagesThatTheFilterDoesNotWantAreDeleted(t *testing.T) {
	wanted := func(record []byte) bool { return strings.Contains(string(record), `"want":true`) }
	queueTest(t, Mapping{Filter: wanted, BatchSize: 100, Window: 10 * time.Second}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		q.send(`{"want":false}`, `no JSON "want":true`)
		pass(30 * time.Second)
		if len(f.calls) != 0 || len(q.left()) != 0 {
			t.Fatalf("%d invocations, left %v", len(f.calls), q.left())
		}
		q.send(`{"want":false}`, `{"want":true}`, `{"want":false}`)
		pass(10 * time.Second)
		if got := f.sizes(); !slices.Equal(got, []int{1}) || f.calls[0].bodies[0] != `{"want":true}` || len(q.left()) != 0 {
			t.Fatalf("batches of %v, left %v", got, q.left())
		}
		if got, want := counted(t, l, id), (Counters{Batches: 1, Invocations: 1, Polled: 5, FilteredOut: 4, Invoked: 1, Deleted: 1}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestAFilterSeesABodyAsJSONIfItIsJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":[1]}`: `{"body":{"a":[1]}}`, `17`: `{"body":17}`, `"x"`: `{"body":"x"}`, `not "JSON`: `{"body":"not \"JSON"}`, ``: `{"body":""}`,
	} {
		if got := string(filterRecord(body)); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestAMappingPassesThroughTheStatesThatAWSShows(t *testing.T) {
	queueTest(t, Mapping{}, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		f.answer = func(call) (*Result, error) { time.Sleep(10 * time.Second); return &Result{}, nil }
		state := func(want string) {
			t.Helper()
			if m, err := l.Mapping(id); err != nil || m.State != want {
				t.Fatalf("state %s, want %s (%v)", m.State, want, err)
			}
		}
		update := func(u MappingUpdate, want string) {
			t.Helper()
			if m, err := l.UpdateMapping(id, u); err != nil || m.State != want {
				t.Fatalf("state %s, want %s (%v)", m.State, want, err)
			}
		}
		no, yes, size, most := false, true, 5, 7
		synctest.Wait()
		state("Enabled")
		update(MappingUpdate{BatchSize: &size, MaximumConcurrency: &most}, "Updating")
		synctest.Wait()
		state("Enabled")
		if m, _ := l.Mapping(id); m.BatchSize != 5 || m.MaximumConcurrency != 7 {
			t.Fatalf("got %+v", m)
		}
		q.send("a")
		synctest.Wait()
		update(MappingUpdate{Enabled: &no}, "Disabling")
		pass(time.Second)
		state("Disabling") // a batch is under way
		if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: &yes}); err == nil || !strings.Contains(err.Error(), "ResourceInUseException") {
			t.Fatalf("an update meanwhile: %v", err)
		}
		pass(10 * time.Second)
		state("Disabled")
		update(MappingUpdate{Enabled: &yes}, "Enabling")
		synctest.Wait()
		state("Enabled")
	})
}

func TestAQueueThatCannotBeReceivedFromIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &failingQueue{fakeQueue: newFakeQueue(), failures: 3}
		f := &fakeFunction{began: time.Now()}
		l := newLambda(t, func(c *Config) { c.Queues = q })
		l.invoke = f.invoke
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN}); err != nil {
			t.Fatal(err)
		}
		q.send("a")
		pass(10 * time.Second)
		if len(f.calls) != 1 || len(q.left()) != 0 {
			t.Fatalf("%d invocations, left %v", len(f.calls), q.left())
		}
	})
}

type failingQueue struct {
	*fakeQueue
	failures int
}

func (q *failingQueue) Receive(ctx context.Context, arn string, most, maxBytes int, wait time.Duration) ([]QueueMessage, error) {
	if q.failures > 0 {
		q.failures--
		return nil, errors.New("no disk")
	}
	return q.fakeQueue.Receive(ctx, arn, most, maxBytes, wait)
}

// The same in real time, with a real program.
func TestAProgramHandlesABatchInPart(t *testing.T) {
	for _, c := range []struct{ send, left []string }{
		{[]string{"a", "b"}, nil},
		{[]string{"a", "fail b", "c"}, []string{"fail b"}},
		{[]string{"a", "malformed"}, []string{"a", "malformed"}},
		{[]string{"a", "exit"}, []string{"a", "exit"}},
	} {
		l, _ := withFunction(t, nil)
		q := newFakeQueue()
		q.send(c.send...)
		l.cfg.Queues = q
		done := make(chan error)
		l.invoke = func(ctx context.Context, name string, payload []byte) (*Result, error) {
			result, err := l.Invoke(ctx, name, payload)
			done <- err
			return result, err
		}
		if _, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN, ReportBatchItemFailures: true}); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil { // what has begun is finished
			t.Fatal(err)
		}
		if left := slices.Sorted(maps.Keys(q.left())); !slices.Equal(left, c.left) {
			t.Errorf("of %q are left %q, want %q", c.send, left, c.left)
		}
	}
}

func TestAQueuesEventIsTheDocumentedOne(t *testing.T) {
	why := "wh\"y"
	m := QueueMessage{
		ID: "059f36b4-87a3-44ab-83d2-661975830a7d", ReceiptHandle: "AQEB+/=", Body: "häll☺ \"quoted\" \\ \n\t\u2028</script>", BodyMD5: "e4e68fb7bd0e697a0ae8f1bb342846b3",
		SenderID: "AIDAIENQZJOLO23YVJ4VO", SentAt: time.UnixMilli(1545082649183), FirstReceivedAt: time.UnixMilli(1545082649185), ReceiveCount: 3,
		Attributes:       map[string]QueueAttribute{"Reason": {DataType: "String", StringValue: &why}, "Blob": {DataType: "Binary.png", BinaryValue: []byte{0, 255}}},
		DeadLetterSource: "arn:aws:sqs:us-east-1:000000000000:source", GroupID: "tenant-1", TraceHeader: "Root=1-5759e988-bd862e3fe1be46a994272793",
	}
	e := event{}
	for range 2 {
		e.add(func(dst []byte) []byte { return appendQueueRecord(dst, &m, queueSource(queueARN, "us-east-1")) })
	}
	payload := e.close()
	var got awsevents.SQSEvent
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	want := awsevents.SQSMessage{
		MessageId: m.ID, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Md5OfBody: m.BodyMD5,
		Attributes: map[string]string{
			"ApproximateReceiveCount": "3", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
			"ApproximateFirstReceiveTimestamp": "1545082649185", "DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-1:000000000000:source",
			"MessageGroupId": "tenant-1", "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
		},
		MessageAttributes: map[string]awsevents.SQSMessageAttribute{
			"Reason": {StringValue: &why, DataType: "String", StringListValues: []string{}, BinaryListValues: [][]byte{}},
			"Blob":   {BinaryValue: []byte{0, 255}, DataType: "Binary.png", StringListValues: []string{}, BinaryListValues: [][]byte{}},
		},
		EventSource: "aws:sqs", EventSourceARN: queueARN, AWSRegion: "us-east-1",
	}
	wantJSON, _ := json.Marshal(want)
	for _, message := range got.Records {
		if gotJSON, _ := json.Marshal(message); string(gotJSON) != string(wantJSON) {
			t.Fatalf("got\n%s\nwant\n%s", gotJSON, wantJSON)
		}
	}
	if len(got.Records) != 2 {
		t.Fatalf("%d records", len(got.Records))
	}
}

func BenchmarkEventOf500Messages(b *testing.B) {
	body := `{"version":"0","id":"0199","detail-type":"SAVINGS_WITHDRAWAL","source":"savings","account":"000000000000","detail":{"metadata":{"id":"01993c6e-8f2a-7c3e-9d51-3f1a2b4c5d6e"},"data":{` + strings.Repeat(`"field":"value",`, 40) + `"last":1}}}`
	messages := make([]QueueMessage, 500)
	for i := range messages {
		messages[i] = QueueMessage{ID: "059f36b4-87a3-44ab-83d2-661975830a7d", ReceiptHandle: "cGVuc3RvY2sgMTAwIDE", Body: body, BodyMD5: "e4e68fb7bd0e697a0ae8f1bb342846b3", SenderID: "events.amazonaws.com"}
	}
	source := queueSource(queueARN, "us-east-1")
	b.SetBytes(int64(len(messages) * len(body)))
	b.ReportAllocs()
	for b.Loop() {
		e := event{size: len(messages) * 1200}
		for i := range messages {
			e.add(func(dst []byte) []byte { return appendQueueRecord(dst, &messages[i], source) })
		}
		e.close()
	}
}
