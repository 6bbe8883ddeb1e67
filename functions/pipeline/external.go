package pipeline

import (
	"fmt"
	"regexp"
)

// External is an externalFunction stage: a Lambda function that is called with
// a document. Its fields have their defaults filled in.
type External struct {
	// Path is where the stage stands, as "pipeline[1].externalFunction".
	Path string
	// Connection names a role and region of the environment's settings; empty
	// for the pipeline's own role.
	Connection string
	// Function is the name or the ARN of the Lambda function, and may end in a
	// version or an alias.
	Function string
	// Async says that the pipeline does not wait for the function.
	Async bool
	// As is the path of the field that the response is put in; empty: it is
	// dropped.
	As string
	// OnError says what becomes of a document whose call failed.
	OnError OnError
	// Parallelism is how many calls of the stage are under way at once, from 1
	// to MaxParallelism.
	Parallelism int
	// Partitioned says that documents with the same key are called one after
	// another, in the order of their batch.
	Partitioned bool

	as          *branch // puts the response in
	payload     []stage
	partitionBy expression
}

// OnError is what becomes of a document whose call failed.
type OnError string

const (
	// ToDLQ sends the document to the DLQ. It is the default.
	ToDLQ OnError = "dlq"
	// Ignore lets the document pass as it is, without a response.
	Ignore OnError = "ignore"
	// Fail fails the document, so that its event is delivered again.
	Fail OnError = "fail"
)

// MaxParallelism is the most calls of one stage at once: what Atlas Stream
// Processing allows its largest processors.
const MaxParallelism = 64

// A function is named as Lambda's Invoke takes it ("Invoke: FunctionName"): by
// name, partial ARN or ARN, each with or without a version or an alias.
var validFunction = regexp.MustCompile(`^(arn:aws[a-zA-Z-]*:lambda:)?([a-z]{2}(-[a-z]+)+-\d:)?(\d{12}:)?(function:)?[a-zA-Z0-9-_]{1,64}(:(\$LATEST|[a-zA-Z0-9-_]+))?$`)

// responseSlot is where a response stands among the variables of a scope, for
// the branch that puts it in.
const responseSlot = 0

func (p *parser) external(at string, v *value, last bool) *External {
	e := &External{Path: at, OnError: ToDLQ, Parallelism: 1}
	if _, ok := p.object(at, v, "connectionName", "functionName", "execution", "as", "onError", "payload", "parallelism", "partitionBy"); !ok {
		return e
	}
	e.Connection = p.string(at, v, "connectionName")
	e.Function = p.string(at, v, "functionName")
	switch {
	case v.field("functionName") == nil:
		p.fault(at, `"functionName" is required: the name or the ARN of a Lambda function`)
	case e.Function != "" && !validFunction.MatchString(e.Function):
		p.fault(within(at, "functionName"), "%q is neither the name nor the ARN of a Lambda function", e.Function)
	}
	e.Async = p.string(at, v, "execution", "sync", "async") == "async"
	if onError := p.string(at, v, "onError", string(ToDLQ), string(Ignore), string(Fail)); onError != "" {
		e.OnError = OnError(onError)
	}
	switch {
	case v.field("as") != nil && e.Async:
		p.fault(within(at, "as"), `an async call has no response to put anywhere: leave out "as", or call with "execution": "sync"`)
	case v.field("as") == nil && !e.Async && !last:
		p.fault(at, `"as" is required: the field for the response (a sync call does without only in the last stage)`)
	default:
		p.responseField(at, v, e)
	}
	if payload := v.field("payload"); payload != nil {
		e.payload = p.stages(within(at, "payload"), payload, payloadStages)
	}
	p.parallelism(at, v, e)
	return e
}

func (p *parser) responseField(at string, v *value, e *External) {
	e.As = p.string(at, v, "as")
	if e.As == "" {
		return
	}
	here := within(at, "as")
	if path, ok := p.fieldPath(here, e.As); ok {
		e.as = &branch{keep: true}
		p.add(here, e.as, path, item{do: compute, value: variable{slot: responseSlot}})
	}
}

func (p *parser) parallelism(at string, v *value, e *External) {
	if n := v.field("parallelism"); n != nil {
		here := within(at, "parallelism")
		number := n.number()
		switch {
		case !n.numeric() || !number.whole || number.i < 1 || number.i > MaxParallelism:
			p.fault(here, "must be a whole number from 1 to %d, not %s", MaxParallelism, kindOf(n))
		case number.i > 1 && e.Async:
			p.fault(here, `more than 1 needs "execution": "sync": an async call does not wait for the function`)
		default:
			e.Parallelism = int(number.i)
		}
	}
	by := v.field("partitionBy")
	if by == nil {
		return
	}
	here := within(at, "partitionBy")
	if e.Async || e.Parallelism <= 1 {
		p.fault(here, `needs "execution": "sync" and a "parallelism" of more than 1: one call at a time keeps the order of all documents`)
	}
	e.Partitioned = true
	e.partitionBy = p.expression(here, by)
}

// callOf makes the call of a document.
func (e *External) callOf(r *run) (Call, error) {
	payload := run{ctx: r.ctx, document: r.document}
	for i := range e.payload {
		payload.scope.root = &payload.document
		// These stages let every document pass.
		if _, err := e.payload[i].step.apply(&payload); err != nil {
			return Call{}, err
		}
	}
	body, err := payload.document.json()
	return Call{External: e, Payload: body, Source: r.source}, err
}

// put puts a response into the document. One of no bytes sets nothing; one that
// is not JSON is an error.
func (e *External) put(r *run, response []byte) error {
	if e.as == nil || len(response) == 0 {
		return nil
	}
	v, err := readValue(response)
	if err != nil {
		return fmt.Errorf("the response of function %s cannot be put in %q: %w", e.Function, e.As, err)
	}
	r.scope.root = &r.document
	r.scope.variables = append(r.scope.variables[:responseSlot], v)
	document, err := e.as.apply(&r.scope, r.document)
	if err != nil {
		return err
	}
	r.scope.variables = r.scope.variables[:responseSlot]
	r.document = document
	return nil
}

// keyOf is a document's key among the partitions: values that are equal have
// the same.
func (e *External) keyOf(r *run) (string, error) {
	r.scope.root = &r.document
	v, err := e.partitionBy.eval(&r.scope)
	if err != nil {
		return "", err
	}
	return string(appendKey(nil, &v)), nil
}

// appendKey writes a value so that equal ones read the same: numbers by their
// value, texts by what they say.
func appendKey(b []byte, v *value) []byte {
	switch v.kind {
	case missing:
		return append(b, "missing"...)
	case digits, integer, double:
		n := v.number()
		if !n.whole && n.f >= -1<<63 && n.f < 1<<63 && n.f == float64(int64(n.f)) {
			n = ofInt(int64(n.f))
		}
		return n.append(b)
	case text:
		return appendQuoted(b, v.content())
	case object:
		b = append(b, '{')
		for i, fields := 0, v.open().fields; i < len(fields); i++ {
			b = appendQuoted(b, fields[i].name)
			b = append(b, ':')
			b = append(appendKey(b, &fields[i].value), ',')
		}
		return append(b, '}')
	case array:
		b = append(b, '[')
		for i, items := 0, v.open().items; i < len(items); i++ {
			b = append(appendKey(b, &items[i]), ',')
		}
		return append(b, ']')
	}
	return v.appendJSON(b)
}
