package lambda

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// A function changes by becoming another version of itself, under its name.
// What is under way finishes with the program and the settings that it began
// with; the execution environments of the old version end when they have
// nothing to do, and the next invocation starts one of the new.

// EnsureFunction adds a function, or gives an existing one this form, as a
// deployment does. One that has this form already is left alone. Its errors
// are those of CreateFunction, and then nothing has changed.
func (l *Lambda) EnsureFunction(_ context.Context, f Function) error {
	if err := f.complete(); err != nil {
		return err
	}
	return l.put(f, true)
}

// UpdateCode gives a function another program, the path of an executable, and
// another folder to run in, its own if empty; it reports whether either is
// another. The old ones must stay where they are as long as the Lambda is open: an
// invocation that began before may still start it.
func (l *Lambda) UpdateCode(name, program, taskRoot string) (bool, error) {
	l.mu.Lock()
	old, exists := l.functions[name]
	l.mu.Unlock()
	if !exists {
		return false, notFound("Function not found: %s", l.functionARN(name))
	}
	f := old.Function
	f.Program, f.TaskRoot = program, taskRoot
	if err := f.complete(); err != nil {
		return false, err
	}
	if f.Program == old.Program && f.TaskRoot == old.TaskRoot {
		return false, nil
	}
	return true, l.put(f, true)
}

// DeleteFunction removes a function. Invocations that have begun finish; events
// that it was invoked with asynchronously, and that wait, are given up. One that
// does not exist is not an error.
func (l *Lambda) DeleteFunction(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetAsync(name)
	l.forgetEventInvokeConfig(name)
	if f := l.functions[name]; f != nil {
		delete(l.functions, name)
		l.reserved -= f.reserves()
		f.retire()
	}
}

// put makes f a function, in place of one of its name if replace says so.
func (l *Lambda) put(f Function, replace bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.functions[f.Name]
	if old != nil && !replace {
		return &awswire.Error{Code: "ResourceConflictException", Status: 409, Message: "Function already exist: " + f.Name}
	}
	if old != nil && reflect.DeepEqual(old.Function, f) {
		return nil
	}
	reserved := l.reserved
	if old != nil {
		reserved -= old.reserves()
	}
	if n := f.ReservedConcurrency; n != nil && (*n < 0 || accountConcurrency-reserved-*n < unreservable) {
		return invalid("Specified ReservedConcurrentExecutions for function %s decreases account's UnreservedConcurrentExecution below its minimum value of [%d] (got %d, and %d are reserved already)", f.Name, unreservable, *n, reserved)
	}
	version := &function{
		Function: f, arn: l.functionARN(f.Name), modified: time.Now(), load: newLoad(f.reserves()),
		code: sync.OnceValues(func() (code, error) { return readCode(f.Program) }),
	}
	if old != nil {
		version.load = old.load
		version.load.resize(f.reserves())
		old.retire()
	}
	l.reserved = reserved + version.reserves()
	l.functions[f.Name] = version
	if old == nil {
		// An event that waits may end before the deployment says this again.
		if err := l.recallEventInvokeConfig(f.Name); err != nil {
			return err
		}
		return l.resumeAsync(f.Name)
	}
	return nil
}

func (f *Function) reserves() int {
	if f.ReservedConcurrency == nil {
		return 0
	}
	return *f.ReservedConcurrency
}

// retire ends the environments that are idle, and sees to it that the others
// end instead of becoming idle. The caller holds Lambda's mu.
func (f *function) retire() {
	f.retired = true
	for _, env := range f.idle {
		env.idleTimer.Stop()
		env.process.kill()
	}
	f.idle = nil
}

// EnsureMapping starts a mapping, or gives the one that exists for the function
// and the source this form, as a deployment does: what the template says
// differently from before changes, and what a person or the breaker has changed
// in the meantime stays. Batches that have begun finish. It returns the
// mapping's UUID; its errors are those of CreateMapping.
func (l *Lambda) EnsureMapping(ctx context.Context, spec Mapping) (string, error) {
	spec.setDefaults()
	id := mappingID(&spec)
	l.mu.Lock()
	m, f := l.mappings[id], l.functions[spec.Function]
	l.mu.Unlock()
	if m == nil {
		return l.CreateMapping(ctx, spec)
	}
	if err := spec.check(); err != nil {
		return "", err
	}
	if err := l.checkSource(&spec, f); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.spec
	after := m.saved.merge(spec)
	if err := m.change(spec.values(), after); err != nil {
		return "", err
	}
	// A filter cannot be compared, but the patterns that it was made of can.
	before.Filter, after.Filter = nil, nil
	if !reflect.DeepEqual(before, after) {
		m.interrupt()
	}
	return id, nil
}

// DeleteMapping ends a mapping for good: a mapping of the same function and
// source that is made later knows nothing of it. It returns when the batches
// that had begun have finished, or with an error when ctx ends: then it ends
// all the same, but may be remembered. One that does not exist is not an error.
func (l *Lambda) DeleteMapping(ctx context.Context, id string) error {
	l.mu.Lock()
	m := l.mappings[id]
	delete(l.mappings, id)
	l.mu.Unlock()
	if m == nil { // not at work, but maybe remembered
		m = &mapping{l: l, uuid: id}
		known, err := m.load()
		if err != nil || !known {
			return err
		}
		return m.forget(m.saved.Source)
	}
	m.mu.Lock()
	m.deleted = true
	m.interrupt()
	m.mu.Unlock()
	select {
	case <-m.ended:
		return m.forget(m.source)
	case <-ctx.Done():
		return fmt.Errorf("waiting for the batches of the mapping of %s that have begun: %w", m.source, ctx.Err())
	}
}

// forget removes what is remembered of a mapping.
func (m *mapping) forget(source string) error {
	b := m.l.cfg.Store.NewBatch()
	b.Delete(m.key())
	b.Delete(checkpointKey(source).String(m.uuid))
	return b.Commit()
}
