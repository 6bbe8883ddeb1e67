package lambda

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// copyProgram returns the path of another program that does the same.
func copyProgram(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnInvocationUnderWayFinishesWithTheOldProgramAndTheNextGetsTheNew(t *testing.T) {
	l, _ := withFunction(t, func(f *Function) { f.Timeout = time.Minute })
	old := describe(t, l)
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go connect(ctx, l, "connect and hang", listener) // in the old environment
	running := connected(t, listener)

	next := copyProgram(t, "next")
	if changed, err := l.UpdateCode("f", next, ""); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if changed, err := l.UpdateCode("f", next, t.TempDir()); err != nil || !changed {
		t.Errorf("another folder: changed %v, %v", changed, err)
	}
	if changed, err := l.UpdateCode("f", next, ""); err != nil || !changed {
		t.Errorf("its own folder again: changed %v, %v", changed, err)
	}
	if changed, err := l.UpdateCode("f", next, ""); err != nil || changed {
		t.Fatalf("the same again: changed %v, %v", changed, err)
	}
	if d := describe(t, l); d.PID == old.PID || d.Directory != filepath.Dir(next) {
		t.Errorf("after the swap it runs in %s as process %d, before as %d", d.Directory, d.PID, old.PID)
	}
	if l.functions["f"].busyNow(l) != 1 {
		t.Error("the invocation that began before does not count")
	}
	cancel() // which kills it: it was alive until now
	ended(t, running)
}

func (f *function) busyNow(l *Lambda) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.load.busy
}

func TestIdleEnvironmentsOfTheOldProgramEndAtOnceAndBusyOnesWhenTheyAreDone(t *testing.T) {
	l, _ := withFunction(t, nil)
	idle := listen(t)
	connect(t.Context(), l, "connect", idle) // and then it is idle, connected still
	r := connected(t, idle)
	f := Function{Name: "f", Program: program, Timeout: 20 * time.Second}
	if err := l.EnsureFunction(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	ended(t, r)
	if got := l.functions["f"].Timeout; got != 20*time.Second {
		t.Errorf("timeout %v", got)
	}
	before := l.functions["f"]
	if err := l.EnsureFunction(t.Context(), f); err != nil || l.functions["f"] != before {
		t.Errorf("the same form again is another version (%v)", err)
	}
	f.Timeout = time.Hour
	if err := l.EnsureFunction(t.Context(), f); err == nil || l.functions["f"] != before {
		t.Errorf("a timeout of an hour: %v", err)
	}
	l.DeleteFunction("f")
	l.DeleteFunction("f")
	if _, err := l.Invoke(t.Context(), "f", []byte("{}")); err == nil {
		t.Error("it can be invoked after it was deleted")
	}
}

func TestReservedConcurrencyIsCountedAnewWhenItChanges(t *testing.T) {
	n := 900
	l, _ := withFunction(t, func(f *Function) { f.ReservedConcurrency = &n })
	less := 100
	if err := l.EnsureFunction(t.Context(), Function{Name: "f", Program: program, ReservedConcurrency: &less}); err != nil {
		t.Fatal(err)
	}
	rest := 800
	if err := l.CreateFunction(t.Context(), Function{Name: "g", Program: program, ReservedConcurrency: &rest}); err != nil {
		t.Fatal(err)
	}
	l.DeleteFunction("f")
	l.DeleteFunction("g")
	if l.reserved != 0 {
		t.Errorf("%d are reserved when there is no function", l.reserved)
	}
}

// Real programs, swapped all the time under load.
func TestNoMessageIsLostOrHandledByAKilledProcessWhileProgramsAreSwapped(t *testing.T) {
	const messages, swaps = 3000, 12
	l, _ := withFunction(t, nil)
	q := newFakeQueue()
	l.cfg.Queues = q
	var failures atomic.Int64
	l.invoke = func(ctx context.Context, name string, payload []byte) (*Result, error) {
		result, err := l.Invoke(ctx, name, payload)
		if err != nil || result.FunctionError != "" {
			failures.Add(1)
		}
		return result, err
	}
	if _, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN, BatchSize: 10, ReportBatchItemFailures: true}); err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range messages / 10 {
			q.send(numbered(10*i, 10*i+10)...)
		}
	})
	programs := []string{copyProgram(t, "a"), copyProgram(t, "b")}
	for i := range swaps {
		if _, err := l.UpdateCode("f", programs[i%2], ""); err != nil {
			t.Fatal(err)
		}
		invoke(t, l, request{Do: "echo"}) // by the new one, so that it is at work when the next comes
	}
	sending.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(q.left()) > 0 && pause(ctx, 10*time.Millisecond) {
	}
	if left := q.left(); len(left) > 0 || failures.Load() > 0 {
		t.Errorf("%d messages are left, %d invocations failed", len(left), failures.Load())
	}
}

func TestAMappingTakesItsNewFormAndKeepsWhatAPersonHasChanged(t *testing.T) {
	spec := Mapping{Function: "f", SourceARN: queueARN, BatchSize: 10}
	queueTest(t, spec, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		spec.BatchSize, spec.ReportBatchItemFailures, spec.MaximumConcurrency = 3, true, 2
		if again, err := l.EnsureMapping(t.Context(), spec); err != nil || again != id {
			t.Fatal(again, err)
		}
		synctest.Wait()
		m, err := l.Mapping(id)
		if err != nil || m.State != "Disabled" || m.BatchSize != 3 || !m.ReportBatchItemFailures || m.MaximumConcurrency != 2 {
			t.Fatalf("%+v, %v", m, err)
		}
		spec.BatchSize = 0
		spec.Window = time.Hour
		if _, err := l.EnsureMapping(t.Context(), spec); err == nil {
			t.Fatal("a window of an hour is taken")
		}
		if _, err := l.UpdateMapping(id, MappingUpdate{Enabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		q.send(numbered(1, 4)...)
		pass(time.Second)
		if got := f.sizes(); !slices.Equal(got, []int{3}) {
			t.Errorf("batches of %v", got)
		}
	})
}

func TestADeletedMappingFinishesItsBatchAndIsForgotten(t *testing.T) {
	spec := Mapping{Function: "f", SourceARN: queueARN}
	queueTest(t, spec, func(t *testing.T, l *Lambda, id string, q *fakeQueue, f *fakeFunction) {
		finish := make(chan struct{})
		began := make(chan struct{})
		l.invoke = func(context.Context, string, []byte) (*Result, error) {
			close(began)
			<-finish
			return &Result{}, nil
		}
		q.send("a")
		<-began
		deleted := make(chan error)
		go func() { deleted <- l.DeleteMapping(t.Context(), id) }()
		synctest.Wait()
		q.send("b") // which nobody reads any more
		select {
		case err := <-deleted:
			t.Fatal("it did not wait for the batch", err)
		default:
		}
		close(finish)
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
		if left := slices.Sorted(maps.Keys(q.left())); !slices.Equal(left, []string{"b"}) {
			t.Errorf("left: %q", left)
		}
		if _, known, err := l.cfg.Store.Get((&mapping{uuid: id}).key()); known || err != nil {
			t.Errorf("it is remembered: %v, %v", known, err)
		}
		if err := l.DeleteMapping(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
}

func TestAMappingThatIsOnlyRememberedIsForgotten(t *testing.T) {
	streamTest(t, Mapping{StartingPosition: "LATEST"}, nil, func(t *testing.T, l *Lambda, id string, s *fakeStream, f *fakeFunction) {
		l.mu.Lock()
		m := l.mappings[id]
		delete(l.mappings, id) // as after a restart with other templates
		l.mu.Unlock()
		if err := l.DeleteMapping(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, known, err := m.checkpoint(); known || err != nil {
			t.Errorf("its checkpoint is remembered: %v, %v", known, err)
		}
	})
}
