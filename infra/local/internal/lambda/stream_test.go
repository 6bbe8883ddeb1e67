package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

const streamARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"

// fakeStream is a table's stream in memory.
type fakeStream struct {
	mu      sync.Mutex
	records []StreamRecord
	arrived chan struct{}
	trimmed uint64
}

func newFakeStream() *fakeStream { return &fakeStream{arrived: make(chan struct{})} }

// put writes a record of each key, padded to size bytes.
func (s *fakeStream) put(size int, keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		sequence := uint64(len(s.records) + 1)
		text := fmt.Sprintf(`{"key":%q,"dynamodb":{"SequenceNumber":"%021d"},"padding":%q}`, key, sequence, strings.Repeat("x", size))
		s.records = append(s.records, StreamRecord{Sequence: sequence, Key: key, At: time.Now(), JSON: []byte(text)})
	}
	close(s.arrived)
	s.arrived = make(chan struct{})
}

func (s *fakeStream) Read(ctx context.Context, arn string, after uint64, most int) ([]StreamRecord, error) {
	for {
		s.mu.Lock()
		rest, arrived := s.records[after:], s.arrived
		s.mu.Unlock()
		if len(rest) > 0 {
			return slices.Clone(rest[:min(most, len(rest))]), nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *fakeStream) Latest(context.Context, string) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.records)), nil
}

func (s *fakeStream) Trim(_ context.Context, arn string, upTo uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if upTo < s.trimmed {
		return fmt.Errorf("trimmed to %d, then to %d", s.trimmed, upTo)
	}
	s.trimmed = upTo
	return nil
}

func (s *fakeStream) key(sequence int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[sequence-1].Key
}

func (s *fakeStream) trimmedTo() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trimmed
}

// sequences returns the records of each invocation so far.
func (f *fakeFunction) sequences() (out [][]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		out = append(out, c.sequences())
	}
	return out
}

func (c call) sequences() (out []int) {
	for _, s := range c.bodies {
		n, _ := strconv.Atoi(s)
		out = append(out, n)
	}
	return out
}

// reported is the answer that names a record as failed.
func reported(sequence int) *Result {
	return &Result{Payload: fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":"%021d"}]}`, sequence)}
}

// onStream starts a mapping of a stream to a function.
func onStream(t *testing.T, l *Lambda, spec Mapping) string {
	t.Helper()
	if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
		t.Fatal(err)
	}
	spec.Function, spec.SourceARN = "f", streamARN
	if spec.StartingPosition == "" {
		spec.StartingPosition = "TRIM_HORIZON"
	}
	id, err := l.CreateMapping(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// streamTest runs a test with a mapping of stream s to function f, in fake
// time; before puts what the stream holds already.
func streamTest(t *testing.T, spec Mapping, before func(*fakeStream), test func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, f := newFakeStream(), &fakeFunction{began: time.Now()}
		if before != nil {
			before(s)
		}
		l := newLambda(t, func(c *Config) { c.Streams = s })
		l.invoke = f.invoke
		test(t, l, onStream(t, l, spec), s, f)
	})
}

func equal(t *testing.T, got [][]int, want ...[]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("invoked with %v, want %v", got, want)
	}
}

func TestAStreamIsReadInOrderFromItsStart(t *testing.T) {
	streamTest(t, Mapping{BatchSize: 3}, func(s *fakeStream) { s.put(0, "a", "b", "c", "d") }, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		synctest.Wait()
		equal(t, f.sequences(), []int{1, 2, 3}, []int{4})
		s.put(0, "e")
		synctest.Wait()
		equal(t, f.sequences(), []int{1, 2, 3}, []int{4}, []int{5})
		if n := s.trimmedTo(); n != 5 {
			t.Fatalf("trimmed to %d", n)
		}
		if got, want := counted(t, l, id), (Counters{Batches: 3, Invocations: 3, Polled: 5, Invoked: 5}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestAStreamIsReadFromItsEndIfTheMappingSaysSo(t *testing.T) {
	streamTest(t, Mapping{StartingPosition: "LATEST"}, func(s *fakeStream) { s.put(0, "a", "b") }, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		s.put(0, "c")
		synctest.Wait()
		equal(t, f.sequences(), []int{3})
	})
}

func TestAStreamsBatchIsHandedOverWhenItIsFullOrItsWindowCloses(t *testing.T) {
	streamTest(t, Mapping{BatchSize: 3, Window: 10 * time.Second}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		s.put(0, "a")
		pass(9 * time.Second)
		s.put(0, "b")
		synctest.Wait()
		equal(t, f.sequences())
		pass(time.Second)
		equal(t, f.sequences(), []int{1, 2})
		s.put(0, "c", "d", "e", "f")
		synctest.Wait()
		equal(t, f.sequences(), []int{1, 2}, []int{3, 4, 5})
	})
}

func TestAStreamsEventNeverExceeds6MB(t *testing.T) {
	streamTest(t, Mapping{BatchSize: 10_000, Window: time.Second}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		for range 50 {
			s.put(400<<10, "a")
		}
		pass(time.Minute)
		total := 0
		for _, c := range f.calls {
			total += len(c.bodies)
			if len(c.payload) > maxPayload {
				t.Errorf("an event of %d bytes", len(c.payload))
			}
		}
		if total != 50 || len(f.calls) != 4 {
			t.Fatalf("%d records in batches of %v", total, f.sizes())
		}
	})
}

func TestAFailingBatchIsTriedAgainInOrderBeforeWhatFollows(t *testing.T) {
	streamTest(t, Mapping{BatchSize: 2}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			switch {
			case c.at < 200*time.Millisecond:
				return failed()
			case c.at < 2*time.Second:
				return nil, throttled("ConcurrentInvocationLimitExceeded")
			}
			return &Result{}, nil
		}
		s.put(0, "a", "b", "c")
		pass(time.Minute)
		calls := f.sequences()
		for _, c := range calls[:len(calls)-1] {
			equal(t, [][]int{c}, []int{1, 2})
		}
		equal(t, calls[len(calls)-1:], []int{3})
		if n := len(calls); n < 4 || n > 10 {
			t.Fatalf("%d invocations in %v", n, f.calls[n-1].at)
		}
	})
}

func TestAKeysFailureDoesNotHoldUpTheOtherLanes(t *testing.T) {
	streamTest(t, Mapping{ParallelizationFactor: 10, BatchSize: 1}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if c.bodies[0] == fmt.Sprintf("%021d", 1) {
				return failed()
			}
			return &Result{}, nil
		}
		var keys []string
		for i := range 200 {
			keys = append(keys, fmt.Sprint("key ", i%50))
		}
		s.put(0, keys...)
		pass(10 * time.Second)
		seen := map[int]bool{}
		for _, c := range f.sequences() {
			seen[c[0]] = true
		}
		if seen[51] {
			t.Fatal("the second record of the failing key was handled before the first")
		}
		if len(seen) < 100 {
			t.Fatalf("only %d of 200 records were handled", len(seen))
		}
		if n := s.trimmedTo(); n != 0 {
			t.Fatalf("trimmed to %d, and record 1 is not handled", n)
		}
	})
}

func TestAPartialAnswerMovesTheCheckpointToTheLowestFailure(t *testing.T) {
	streamTest(t, Mapping{ReportBatchItemFailures: true, BisectBatchOnFunctionError: true}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if len(c.bodies) == 5 {
				return &Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"000000000000000000005"},{"itemIdentifier":"000000000000000000003"}]}`)}, nil
			}
			return &Result{Payload: []byte(`{"batchItemFailures":[]}`)}, nil
		}
		s.put(0, "a", "b", "c", "d", "e")
		synctest.Wait()
		if n := s.trimmedTo(); n != 2 {
			t.Fatalf("trimmed to %d, want 2", n)
		}
		pass(time.Minute)
		equal(t, f.sequences(), []int{1, 2, 3, 4, 5}, []int{3, 4, 5})
		if got := counted(t, l, id); got.Invoked != 8 || got.FailedInvoke != 3 {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestAnAnswerThatIsMalformedFailsTheWholeBatch(t *testing.T) {
	for _, answer := range []string{
		`{"batchItemFailures":[{"itemIdentifier":""}]}`, `{"batchItemFailures":[{"itemIdentifier":"9"}]}`,
		`{"batchItemFailures":[{"itemIdentifier":"x"}]}`, `{"batchItemFailures":[{"sequence":"1"}]}`, `nonsense`,
	} {
		streamTest(t, Mapping{ReportBatchItemFailures: true}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
			f.answer = func(c call) (*Result, error) { return &Result{Payload: []byte(answer)}, nil }
			s.put(0, "a", "b")
			pass(time.Second)
			if n := s.trimmedTo(); n != 0 {
				t.Errorf("%s: trimmed to %d", answer, n)
			}
			for _, c := range f.sequences() {
				equal(t, [][]int{c}, []int{1, 2})
			}
		})
	}
}

func TestBisectionFindsTheRecordThatFailsAndAttemptsEndIt(t *testing.T) {
	one := 1
	streamTest(t, Mapping{BisectBatchOnFunctionError: true, MaximumRetryAttempts: &one}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if slices.Contains(c.sequences(), 3) {
				return failed()
			}
			return &Result{}, nil
		}
		s.put(0, "a", "b", "c", "d")
		pass(time.Minute)
		equal(t, f.sequences(), []int{1, 2, 3, 4}, []int{1, 2}, []int{3, 4}, []int{3}, []int{3}, []int{4})
		if got := counted(t, l, id); got.Dropped != 1 || s.trimmedTo() != 4 {
			t.Fatalf("got %+v, trimmed to %d", got, s.trimmedTo())
		}
	})
}

func TestABatchIsDroppedAfterItsAttempts(t *testing.T) {
	two := 2
	streamTest(t, Mapping{MaximumRetryAttempts: &two, BatchSize: 2}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if slices.Contains(c.sequences(), 1) {
				return failed()
			}
			return &Result{}, nil
		}
		s.put(0, "a", "b", "c")
		pass(time.Minute)
		equal(t, f.sequences(), []int{1, 2}, []int{1, 2}, []int{1, 2}, []int{3})
	})
}

func TestRecordsAreDroppedByAge(t *testing.T) {
	streamTest(t, Mapping{MaximumRecordAge: time.Minute}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(c call) (*Result, error) {
			if slices.Contains(c.sequences(), 1) {
				return failed()
			}
			return &Result{}, nil
		}
		s.put(0, "a")
		pass(30 * time.Second)
		s.put(0, "b")
		pass(20 * time.Second)
		if s.trimmedTo() != 0 {
			t.Fatal("dropped before its time")
		}
		pass(time.Minute)
		if got := counted(t, l, id); got.Dropped == 0 || s.trimmedTo() != 2 {
			t.Fatalf("got %+v, trimmed to %d", got, s.trimmedTo())
		}
	})
}

func TestARecordIsTriedUntilTheStreamHasItNoMore(t *testing.T) {
	streamTest(t, Mapping{}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(call) (*Result, error) { return failed() }
		s.put(0, "a")
		pass(24*time.Hour - time.Second)
		if s.trimmedTo() != 0 {
			t.Fatal("given up before its time")
		}
		pass(time.Minute)
		// CloudWatch does not count it as dropped.
		if got := counted(t, l, id); got.Dropped != 0 || got.Invocations < 24*60 || s.trimmedTo() != 1 {
			t.Fatalf("got %+v, trimmed to %d", got, s.trimmedTo())
		}
	})
}

func TestRecordsThatTheFilterDoesNotWantCountAsHandled(t *testing.T) {
	wanted := func(record []byte) bool { return strings.Contains(string(record), `"key":"yes"`) }
	streamTest(t, Mapping{Filter: wanted}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		s.put(0, "no", "no")
		synctest.Wait()
		if len(f.calls) != 0 || s.trimmedTo() != 2 {
			t.Fatalf("%d invocations, trimmed to %d", len(f.calls), s.trimmedTo())
		}
		s.put(0, "yes", "no")
		synctest.Wait()
		equal(t, f.sequences(), []int{3})
		if got := counted(t, l, id); got.FilteredOut != 3 || got.Polled != 4 || s.trimmedTo() != 4 {
			t.Fatalf("got %+v, trimmed to %d", got, s.trimmedTo())
		}
	})
}

func TestAStreamsMappingIsDisabledAndEnabledLive(t *testing.T) {
	streamTest(t, Mapping{BatchSize: 1}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		f.answer = func(call) (*Result, error) { time.Sleep(10 * time.Second); return &Result{}, nil }
		s.put(0, "a", "b", "c")
		pass(5 * time.Second)
		no, yes := false, true
		if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: &no}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		equal(t, f.sequences(), []int{1})
		if s.trimmedTo() != 1 {
			t.Fatal("the batch under way was not finished")
		}
		if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: &yes}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		equal(t, f.sequences(), []int{1}, []int{2}, []int{3})
	})
}

func TestTheStreamIsTrimmedToWhatEveryMappingHasHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newFakeStream(), &fakeFunction{began: time.Now()}
		l := newLambda(t, func(c *Config) { c.Streams = s })
		l.invoke = func(ctx context.Context, function string, payload []byte) (*Result, error) {
			if function == "stuck" {
				return failed()
			}
			return f.invoke(ctx, function, payload)
		}
		for _, name := range []string{"stuck", "f"} {
			if err := l.CreateFunction(t.Context(), Function{Name: name, Program: program}); err != nil {
				t.Fatal(err)
			}
			if _, err := l.CreateMapping(t.Context(), Mapping{Function: name, SourceARN: streamARN, StartingPosition: "TRIM_HORIZON"}); err != nil {
				t.Fatal(err)
			}
		}
		s.put(0, "a", "b")
		pass(time.Second)
		equal(t, f.sequences(), []int{1, 2})
		if n := s.trimmedTo(); n != 0 {
			t.Fatalf("trimmed to %d, and a mapping has handled nothing", n)
		}
	})
}

// With failures of every kind and restarts at random, every record is handled,
// and the records of a key are first handled in their order.
func TestNoRecordIsLostOrOutOfOrder(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			answers := rand.New(rand.NewPCG(seed, 1)) // guarded by mu
			s := newFakeStream()
			st, err := store.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			handled := map[int]bool{}
			last := map[string]int{}
			total := 0
			f := &fakeFunction{began: time.Now()}
			f.answer = func(c call) (*Result, error) {
				mu.Lock()
				defer mu.Unlock()
				sequences := c.sequences()
				n, result, err := len(sequences), &Result{}, error(nil)
				switch answers.IntN(4) {
				case 0:
					n = 0
					result, err = failed()
				case 1:
					n = 0
					result, err = nil, throttled("ConcurrentInvocationLimitExceeded")
				case 2:
					n = answers.IntN(len(sequences))
					result = reported(sequences[n])
				}
				for _, sequence := range sequences[:n] {
					key := s.key(sequence)
					if !handled[sequence] && sequence < last[key] {
						t.Errorf("seed %d: record %d of key %s after %d", seed, sequence, key, last[key])
					}
					handled[sequence] = true
					last[key] = max(last[key], sequence)
				}
				return result, err
			}
			for range 10 {
				l := New(Config{Region: "us-east-1", Store: st, Streams: s, Logs: &logBook{}, Logger: slog.New(slog.DiscardHandler)})
				l.invoke = f.invoke
				onStream(t, l, Mapping{BatchSize: 7, ParallelizationFactor: 4, ReportBatchItemFailures: true, BisectBatchOnFunctionError: seed%2 == 0})
				for range random.IntN(100) {
					s.put(0, fmt.Sprint("key ", random.IntN(10)))
					total++
				}
				time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			l := New(Config{Region: "us-east-1", Store: st, Streams: s, Logs: &logBook{}, Logger: slog.New(slog.DiscardHandler)})
			l.invoke = f.invoke
			onStream(t, l, Mapping{BatchSize: 7, ParallelizationFactor: 4, ReportBatchItemFailures: true})
			pass(time.Hour)
			if len(handled) != total || s.trimmedTo() != uint64(total) {
				t.Errorf("seed %d: %d of %d records were handled, trimmed to %d", seed, len(handled), total, s.trimmedTo())
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
