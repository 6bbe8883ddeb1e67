package pipeline

import (
	"context"
	"fmt"
	"slices"
)

// RunBatch sends documents through the pipeline, and returns their results in
// the same order. They do not affect one another, but for the order of calls:
// in an externalFunction stage,
//
//   - with a parallelism of 1, which is the default, documents are called for
//     one after another, in the order of the batch;
//   - with more, that many calls are under way at once, in no order;
//   - with partitionBy, those with the same key are called for one after
//     another, in the order of the batch, and those with different keys at once.
//
// Between stages there is no barrier: what has passed one goes on to the next.
// Everything but the calls happens on the caller's goroutine.
//
// When ctx ends, no call is begun any more; documents that would need one
// fail, those without any call so far with [ErrNotStarted].
func (p *Pipeline) RunBatch(ctx context.Context, documents []Document, effects Effects) []Result {
	results := make([]Result, len(documents))
	b := batch{pipeline: p, done: make(chan answer)}
	for i := range p.stages {
		if call := p.stages[i].call; call != nil {
			b.gates = append(b.gates, newGate(i, call, len(documents)))
		}
	}
	if len(b.gates) == 0 { // one after another, and all in the memory of the first
		var r run
		for i := range documents {
			r = run{ctx: ctx, effects: &effects, scope: r.scope, buffer: r.buffer}
			if r.enter(&documents[i]) {
				r.advance(p.stages)
			}
			results[i] = r.result
		}
		return results
	}
	b.runs = make([]run, len(documents))
	for i := range documents {
		r := &b.runs[i]
		r.ctx, r.effects = ctx, &effects
		if r.enter(&documents[i]) {
			b.advance(i, r)
		} else {
			b.settled(i, -1)
		}
		b.collect(false)
	}
	for b.calls > 0 {
		b.collect(true)
	}
	for i := range results {
		results[i] = b.runs[i].result
	}
	return results
}

// batch is the documents of one batch on their way.
type batch struct {
	pipeline *Pipeline
	runs     []run
	gates    []*gate
	done     chan answer
	calls    int // under way
}

// answer is how the call of a document ended.
type answer struct {
	document int
	gate     *gate
	response []byte
	err      error
}

// advance takes a document to its next call, or to its end.
func (b *batch) advance(i int, r *run) {
	before := r.stage
	s := r.advance(b.pipeline.stages)
	if s == nil {
		b.settled(i, before-1)
		return
	}
	for _, g := range b.gates {
		if g.stage == r.stage {
			g.arrived(i)
			b.admit(g)
		}
	}
}

// settled tells the gates behind a stage that a document will not come.
func (b *batch) settled(i, behind int) {
	for _, g := range b.gates {
		if g.stage > behind {
			g.gone(i)
			b.admit(g)
		}
	}
}

// admit begins the calls that a gate allows.
func (b *batch) admit(g *gate) {
	for {
		i, ok := g.turn()
		if !ok {
			break
		}
		r := &b.runs[i]
		if g.external.Partitioned {
			key, err := g.external.keyOf(r)
			if err != nil {
				r.fault(b.pipeline.stages[g.stage].at, err)
				b.settled(i, g.stage)
				continue
			}
			g.enqueue(i, key)
		} else {
			g.ready = append(g.ready, i)
		}
	}
	for g.calls < g.external.Parallelism && len(g.ready) > 0 {
		i := g.ready[0]
		g.ready = g.ready[1:]
		b.call(g, i)
	}
}

// call begins the call of a document.
func (b *batch) call(g *gate, i int) {
	r := &b.runs[i]
	if r.ctx.Err() != nil {
		r.outOfTime(b.pipeline.stages[g.stage].at)
		g.left(i)
		b.settled(i, g.stage)
		return
	}
	c, err := g.external.callOf(r)
	if err != nil {
		r.fault(b.pipeline.stages[g.stage].at, err)
		g.left(i)
		b.settled(i, g.stage)
		return
	}
	r.called = true
	g.calls++
	b.calls++
	go func() {
		response, err := r.effects.Invoker.Invoke(r.ctx, c)
		b.done <- answer{i, g, response, err}
	}()
}

// collect takes in answers that are there, and at least one if it is to wait.
func (b *batch) collect(wait bool) {
	for b.calls > 0 {
		var a answer
		if wait {
			a = <-b.done
		} else {
			select {
			case a = <-b.done:
			default:
				return
			}
		}
		wait = false
		b.calls--
		a.gate.calls--
		a.gate.left(a.document)
		r := &b.runs[a.document]
		if r.answered(&b.pipeline.stages[a.gate.stage], a.response, a.err) {
			r.stage++
			b.advance(a.document, r)
		} else {
			b.settled(a.document, a.gate.stage)
		}
		b.admit(a.gate)
	}
}

// outOfTime fails a document that has to wait for its next delivery.
func (r *run) outOfTime(at string) {
	err := context.Cause(r.ctx)
	if !r.called {
		err = fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	r.result = Result{Outcome: Failed, Err: err, Ignored: r.ignored, Stage: at}
}

// gate is an externalFunction stage within a batch: who may call next.
type gate struct {
	stage    int
	external *External
	calls    int // under way

	// Where order counts, documents are admitted in the order of the batch: one
	// waits until each before it has come or will not come.
	ordered bool
	came    []coming
	next    int // the first that has not been admitted

	arrivals []int            // admitted without order
	ready    []int            // may call, in this order
	behind   map[string][]int // by the key of one that is ready or called, those that wait for it
	keys     map[int]string   // of those in ready or called
}

type coming uint8

const (
	awaited coming = iota
	present
	absent
)

func newGate(stage int, e *External, documents int) *gate {
	g := &gate{stage: stage, external: e, ordered: e.Parallelism == 1 || e.Partitioned}
	if g.ordered {
		g.came = make([]coming, documents)
	}
	if e.Partitioned {
		g.behind, g.keys = map[string][]int{}, map[int]string{}
	}
	return g
}

// arrived says that a document wants to call.
func (g *gate) arrived(i int) {
	if g.ordered {
		g.came[i] = present
	} else {
		g.arrivals = append(g.arrivals, i)
	}
}

// gone says that a document will not come.
func (g *gate) gone(i int) {
	if g.ordered && g.came[i] == awaited {
		g.came[i] = absent
	}
}

// turn returns the next document to be admitted.
func (g *gate) turn() (i int, ok bool) {
	if !g.ordered {
		if len(g.arrivals) == 0 {
			return 0, false
		}
		i, g.arrivals = g.arrivals[0], g.arrivals[1:]
		return i, true
	}
	for g.next < len(g.came) && g.came[g.next] != awaited {
		g.next++
		if g.came[g.next-1] == present {
			return g.next - 1, true
		}
	}
	return 0, false
}

// enqueue lets a document call, or wait for the one before it with its key.
func (g *gate) enqueue(i int, key string) {
	g.keys[i] = key
	if waiting, taken := g.behind[key]; taken {
		g.behind[key] = append(waiting, i)
		return
	}
	g.behind[key] = nil
	g.ready = append(g.ready, i)
}

// left says that a document is done here, and lets the next one with its key
// call.
func (g *gate) left(i int) {
	if g.keys == nil {
		return
	}
	key := g.keys[i]
	delete(g.keys, i)
	waiting := g.behind[key]
	if len(waiting) == 0 {
		delete(g.behind, key)
		return
	}
	g.ready = append(g.ready, waiting[0])
	g.behind[key] = slices.Delete(waiting, 0, 1)
}
