package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/events"
)

// Document is what goes through a pipeline: an event's detail, {"metadata": …,
// "data": …}, or any other JSON object.
type Document struct {
	JSON   []byte // is not changed, and must not be while the document is on its way
	Source Source
}

// Source is the event that a document was made of.
type Source struct {
	// Key is the event key: the ids of what the document emits derive from it,
	// so that two pipelines which receive the same event emit different ones.
	Key string `json:"eventKey,omitempty"`
	// ID, Type and OccurredAt are the event's.
	ID         string      `json:"id,omitempty"`
	Type       events.Type `json:"type,omitzero"`
	OccurredAt time.Time   `json:"occurredAt,omitzero"`
	// Subscription is the name of the one that received it.
	Subscription string `json:"subscription,omitempty"`
}

// Effects is everything through which a pipeline touches the world. What it
// emits is none of it: that is in the [Result], for the caller to publish.
type Effects struct {
	// Processor is the name of the pipeline's function, for dead letters.
	Processor string
	// Invoker calls functions; it may be nil for a pipeline without an
	// externalFunction stage.
	Invoker Invoker
	// Schemas checks the data of what is emitted, a *schema.Set; nil checks
	// nothing.
	Schemas events.Validator
	// Now is the time of dead letters; nil is time.Now.
	Now func() time.Time
}

// Invoker calls functions. It is used from several goroutines.
type Invoker interface {
	// Invoke makes a call, and returns when the function has answered, or with
	// Call.Async as soon as it is accepted. A response of no bytes is one that
	// has none.
	//
	// An error of the function itself is a *[FunctionError], one that says that
	// the pipeline or its surroundings are not set up rightly a *[SetupError];
	// any other is one of the API. It retries what is transient by itself, and
	// returns when ctx ends. Response and payload are not changed afterwards.
	Invoke(ctx context.Context, c Call) (response []byte, err error)
}

// Call is the call of a function.
type Call struct {
	*External
	// Payload is the request, a JSON object: the document, or what the stage's
	// payload makes of it.
	Payload []byte
	// Source is that of the document.
	Source Source
}

// FunctionError is the answer of a function that has failed.
type FunctionError struct {
	Type    string // as Errors.TimeoutError; may be empty
	Message string
}

func (e *FunctionError) Error() string {
	if e.Type == "" {
		return e.Message
	}
	return e.Type + ": " + e.Message
}

// SetupError is a call that cannot succeed for any document, because of a
// missing permission, function or role. It fails the document whatever onError
// says: it waits in its queue until the pipeline is mended.
type SetupError struct{ Err error }

func (e *SetupError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *SetupError) Unwrap() error { return e.Err }

// Outcome is what became of a document.
type Outcome string

const (
	// Passed: it came out at the end.
	Passed Outcome = "passed"
	// Discarded: a match or a validate let go of it.
	Discarded Outcome = "discarded"
	// Dead: it belongs in the DLQ; trying it again would end the same.
	Dead Outcome = "dead"
	// Failed: its event is to be delivered again.
	Failed Outcome = "failed"
)

// Result is the outcome of a document and what belongs to it.
type Result struct {
	Outcome Outcome
	// Document is what came out, if it passed.
	Document []byte
	// Emitted are the events that it made, if it passed or was discarded, in
	// the order of the stages. A document that is dead or failed emits nothing.
	Emitted []Emission
	// Ignored are the calls that failed without consequence (onError ignore).
	Ignored []error
	// Stage is where it was discarded, died or failed, as "pipeline[0].match";
	// empty if it passed or did not get to the first stage.
	Stage string
	// DeadLetter is why it is dead; nil if it is not.
	DeadLetter *DeadLetter
	// Err is why it failed; nil if it did not. See also [ErrNotStarted].
	Err error
}

// ErrNotStarted is among the errors of a document that failed because the
// context ended before anything was done for it that others could see.
var ErrNotStarted = errors.New("time ran out before its first call")

// DeadLetter says why a document cannot be processed.
type DeadLetter struct {
	// Processor is the name of the pipeline's function.
	Processor string    `json:"processor"`
	Time      time.Time `json:"time"`
	// Operator is the stage that gave up, as "pipeline[1].externalFunction";
	// "pipeline" if it was none of them.
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	// Document is what that stage received; a JSON string if it is not JSON,
	// null if it has more than MaxBytes.
	Document json.RawMessage `json:"document"`
	Source   Source          `json:"source"`
}

// run is a document on its way.
type run struct {
	ctx      context.Context
	effects  *Effects
	source   Source
	document value
	scope    scope
	emitted  []Emission
	ignored  []error
	stage    int  // the next one
	called   bool // a call has been begun
	buffer   []byte
	result   Result
}

// failure is an error after which trying again may help.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// Run sends one document through the pipeline. It is [Pipeline.RunBatch] for a
// batch of one.
func (p *Pipeline) Run(ctx context.Context, d Document, effects Effects) Result {
	return p.RunBatch(ctx, []Document{d}, effects)[0]
}

// enter reads the document; false if that is the end of it.
func (r *run) enter(d *Document) bool {
	r.source = d.Source
	if r.ctx.Err() != nil {
		r.outOfTime("")
		return false
	}
	v, err := readDocument(d.JSON)
	if err != nil {
		r.die("", err, documentText(d.JSON))
		return false
	}
	r.document = v
	return true
}

// advance goes through the stages until the document has an outcome (nil), or
// comes to a function that has to be called.
func (r *run) advance(stages []stage) *stage {
	for ; r.stage < len(stages); r.stage++ {
		s := &stages[r.stage]
		if s.call != nil {
			return s
		}
		r.scope.root = &r.document
		r.scope.variables, r.scope.stack = r.scope.variables[:0], r.scope.stack[:0]
		passes, err := s.step.apply(r)
		if err != nil {
			r.fault(s.at, err)
			return nil
		}
		if !passes {
			r.result = Result{Outcome: Discarded, Emitted: r.emitted, Ignored: r.ignored, Stage: s.at}
			return nil
		}
	}
	out, err := r.document.jsonInto(r.buffer)
	if err != nil {
		r.fault(stages[len(stages)-1].at, err)
		return nil
	}
	r.buffer = out
	r.result = Result{Outcome: Passed, Document: bytes.Clone(out), Emitted: r.emitted, Ignored: r.ignored}
	return nil
}

// fault ends a document with what went wrong in a stage.
func (r *run) fault(at string, err error) {
	if f, ok := errors.AsType[*failure](err); ok {
		r.result = Result{Outcome: Failed, Err: f.error, Ignored: r.ignored, Stage: at}
		return
	}
	document, tooLarge := r.document.json()
	if tooLarge != nil {
		document = []byte("null")
	}
	r.die(at, err, document)
}

func (r *run) die(at string, err error, document []byte) {
	letter := &DeadLetter{
		Processor: r.effects.Processor,
		Time:      r.effects.now(),
		Operator:  at,
		Reason:    strings.TrimPrefix(strings.TrimPrefix(err.Error(), at), "."),
		Document:  document,
		Source:    r.source,
	}
	if at == "" {
		letter.Operator = "pipeline"
	}
	letter.Reason = strings.TrimPrefix(letter.Reason, ": ")
	r.result = Result{Outcome: Dead, DeadLetter: letter, Ignored: r.ignored, Stage: at}
}

func (e *Effects) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now().UTC()
}

// answered takes in how a call ended; false if that is the end of the document.
func (r *run) answered(s *stage, response []byte, err error) bool {
	e := s.call
	if err == nil {
		if err := e.put(r, response); err != nil {
			r.fault(s.at, err)
			return false
		}
		return true
	}
	_, ofFunction := errors.AsType[*FunctionError](err)
	_, ofSetup := errors.AsType[*SetupError](err)
	if ofFunction && e.Async {
		return true // a function that nobody waits for fails alone
	}
	what := "calling function"
	if ofFunction {
		what = "function"
	}
	err = fmt.Errorf("%s %s: %w", what, e.Function, err)
	switch {
	case r.ctx.Err() != nil || ofSetup || e.OnError == Fail:
		r.fault(s.at, &failure{fmt.Errorf("%s: %w", s.at, err)})
		return false
	case e.OnError == Ignore:
		r.ignored = append(r.ignored, fmt.Errorf("%s: %w", s.at, err))
		return true
	}
	r.fault(s.at, err)
	return false
}

// documentText is what was received, as JSON: itself, or a string of it.
func documentText(data []byte) []byte {
	if v := jsontext.Value(data); v.IsValid() {
		return append([]byte(nil), data...)
	}
	b, _ := jsontext.AppendQuote(nil, data) // what is not UTF-8 is replaced
	return b
}
