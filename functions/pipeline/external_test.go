package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// answers is an Invoker that answers every call with the same.
type answers struct {
	response string
	err      error
	calls    []Call
}

func (a *answers) Invoke(_ context.Context, c Call) ([]byte, error) {
	a.calls = append(a.calls, c)
	return []byte(a.response), a.err
}

func mustParse(t *testing.T, stages string, publishes ...events.Type) *Pipeline {
	t.Helper()
	p, err := Parse([]byte(stages), publishes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	occurred = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	source   = Source{Key: "risk/withdrawals/e-1", ID: "e-1", Type: events.Type{Source: "savings", Name: "SAVINGS_WITHDRAWAL"}, OccurredAt: occurred, Subscription: "withdrawals"}
)

// through runs {"amount":5} through stages whose calls are answered by a.
func through(t *testing.T, stages string, a *answers) Result {
	t.Helper()
	return mustParse(t, stages).Run(context.Background(), Document{JSON: []byte(`{"amount":5}`), Source: source}, Effects{
		Processor: "risk", Invoker: a, Now: func() time.Time { return occurred.Add(time.Minute) },
	})
}

func passes(t *testing.T, r Result, want string) {
	t.Helper()
	if r.Outcome != Passed || string(r.Document) != want {
		t.Errorf("outcome %s: %s %+v %v, want %s", r.Outcome, r.Document, r.DeadLetter, r.Err, want)
	}
}

func isDead(t *testing.T, r Result, reason string) {
	t.Helper()
	if r.Outcome != Dead || r.DeadLetter.Reason != reason || r.Stage != r.DeadLetter.Operator {
		t.Errorf("outcome %s: %s %+v %v, want it dead: %s", r.Outcome, r.Document, r.DeadLetter, r.Err, reason)
	}
}

func fails(t *testing.T, r Result, reason string) {
	t.Helper()
	if r.Outcome != Failed || r.Err == nil || r.Err.Error() != reason {
		t.Errorf("outcome %s: %s %+v %v, want it failed: %s", r.Outcome, r.Document, r.DeadLetter, r.Err, reason)
	}
}

func isRefused(t *testing.T, stages, fault string) {
	t.Helper()
	if _, err := Parse([]byte(stages), nil); err == nil || err.Error() != fault {
		t.Errorf("%s\nis refused with\n%v\nnot with\n%s", stages, err, fault)
	}
}

func TestA1FunctionsAreNamedByNameOrARNAndCalledByAConnection(t *testing.T) {
	for _, name := range []string{
		"score-risk", "score-risk:live", "score-risk:$LATEST", "arn:aws:lambda:eu-west-1:123456789012:function:score-risk",
		"arn:aws:lambda:eu-west-1:123456789012:function:score-risk:7", "123456789012:function:score-risk",
	} {
		a := &answers{response: "1"}
		through(t, `[{"$externalFunction": {"connectionName": "risk-team", "functionName": "`+name+`", "as": "risk"}}]`, a)
		if len(a.calls) != 1 || a.calls[0].Function != name || a.calls[0].Connection != "risk-team" || a.calls[0].Source != source || a.calls[0].Path != "pipeline[0].externalFunction" {
			t.Errorf("calls %+v", a.calls)
		}
	}
	for _, name := range []string{"score risk", "arn:aws:sqs:eu-west-1:123456789012:queue", "a/b", "https://x", strings.Repeat("x", 65)} {
		isRefused(t, `[{"externalFunction": {"functionName": "`+name+`"}}]`,
			`pipeline[0].externalFunction.functionName: "`+name+`" is neither the name nor the ARN of a Lambda function`)
	}
	p := mustParse(t, `[{"match": {}}, {"externalFunction": {"functionName": "f", "as": "x", "parallelism": 4, "partitionBy": "$id"}}, {"externalFunction": {"functionName": "g", "execution": "async", "onError": "ignore"}}]`)
	list := p.Externals()
	if len(list) != 2 || list[0].Function != "f" || list[0].Parallelism != 4 || !list[0].Partitioned || list[0].As != "x" || list[0].Async || list[0].OnError != ToDLQ ||
		list[1].Function != "g" || !list[1].Async || list[1].Parallelism != 1 || list[1].OnError != Ignore || list[1].Path != "pipeline[2].externalFunction" {
		t.Errorf("externals %+v", list)
	}
}

func TestA2ExecutionIsSyncUnlessItIsAsync(t *testing.T) {
	a := &answers{response: `{"score": 7}`}
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "risk"}}, {"set": {"after": "$risk.score"}}]`, a), `{"amount":5,"risk":{"score": 7},"after":7}`)
	if a.calls[0].Async || string(a.calls[0].Payload) != `{"amount":5}` {
		t.Errorf("call %+v with %s", a.calls[0], a.calls[0].Payload)
	}

	a = &answers{response: "ignored"}
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "execution": "async"}}, {"set": {"after": 1}}]`, a), `{"amount":5,"after":1}`)
	if !a.calls[0].Async {
		t.Errorf("call %+v", a.calls[0])
	}
}

func TestA3AsWithAsyncIsAnError(t *testing.T) {
	isRefused(t, `[{"externalFunction": {"functionName": "f", "execution": "async", "as": "x"}}]`,
		`pipeline[0].externalFunction.as: an async call has no response to put anywhere: leave out "as", or call with "execution": "sync"`)
}

func TestA3AsIsRequiredForSyncUnlessItIsTheLastStage(t *testing.T) {
	isRefused(t, `[{"externalFunction": {"functionName": "f"}}, {"match": {}}]`,
		`pipeline[0].externalFunction: "as" is required: the field for the response (a sync call does without only in the last stage)`)
	passes(t, through(t, `[{"externalFunction": {"functionName": "f"}}]`, &answers{response: "not JSON, and nobody reads it"}), `{"amount":5}`)
}

func TestA3AResponseOfNoBytesSetsNoField(t *testing.T) {
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "x"}}]`, &answers{}), `{"amount":5}`)
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "x"}}]`, &answers{response: "null"}), `{"amount":5,"x":null}`)
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "x"}}]`, &answers{response: `""`}), `{"amount":5,"x":""}`)
}

func TestA3AsMayBeAPathAndReplacesWhatIsThere(t *testing.T) {
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "a.b"}}]`, &answers{response: "[1]"}), `{"amount":5,"a":{"b":[1]}}`)
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "amount"}}]`, &answers{response: "6"}), `{"amount":6}`)
}

func TestAResponseThatIsNotJSONGoesToTheDLQAlways(t *testing.T) {
	for _, onError := range []string{"dlq", "ignore", "fail"} {
		isDead(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "x", "onError": "`+onError+`"}}]`, &answers{response: "<html>"}),
			`the response of function f cannot be put in "x": not JSON: invalid character '<' at start of value, at byte 0`)
	}
}

func TestADocumentThatCannotBeConvertedGoesToTheDLQAlways(t *testing.T) {
	for _, onError := range []string{"dlq", "ignore", "fail"} {
		stages := `[{"externalFunction": {"functionName": "f", "as": "x", "onError": "` + onError + `", "payload": [{"replaceRoot": {"newRoot": "$amount"}}]}}]`
		a := &answers{}
		isDead(t, through(t, stages, a), "payload[0].replaceRoot.newRoot: must be an object, and is 5 (of type long)")
		if len(a.calls) > 0 {
			t.Errorf("calls %+v", a.calls)
		}
		r := mustParse(t, stages).Run(context.Background(), Document{JSON: []byte("\xff{"), Source: source}, Effects{Invoker: a})
		if r.Outcome != Dead || r.DeadLetter.Operator != "pipeline" || string(r.DeadLetter.Document) != `"\ufffd{"` && string(r.DeadLetter.Document) != `"�{"` {
			t.Errorf("%+v %+v %s", r, r.DeadLetter, r.DeadLetter.Document)
		}
	}
}

func TestA4OnErrorOfAPIErrors(t *testing.T) {
	down := &answers{err: errors.New("ThrottlingException: slow down")}
	const reason = "calling function f: ThrottlingException: slow down"
	for _, execution := range []string{`"as": "x"`, `"execution": "async"`} {
		stage := func(onError string) string {
			return `[{"externalFunction": {"functionName": "f", ` + execution + onError + `}}, {"set": {"after": 1}}]`
		}
		isDead(t, through(t, stage(""), down), reason)
		isDead(t, through(t, stage(`, "onError": "dlq"`), down), reason)
		fails(t, through(t, stage(`, "onError": "fail"`), down), "pipeline[0].externalFunction: "+reason)
		r := through(t, stage(`, "onError": "ignore"`), down)
		passes(t, r, `{"amount":5,"after":1}`)
		if len(r.Ignored) != 1 || r.Ignored[0].Error() != "pipeline[0].externalFunction: "+reason {
			t.Errorf("ignored %v", r.Ignored)
		}
	}
}

func TestA4OnErrorOfFunctionErrorsIsForSyncOnly(t *testing.T) {
	broken := &answers{err: &FunctionError{Type: "Runtime.ExitError", Message: "exit status 1"}}
	const reason = "function f: Runtime.ExitError: exit status 1"
	stage := func(onError string) string {
		return `[{"externalFunction": {"functionName": "f", "as": "x", "onError": "` + onError + `"}}]`
	}
	isDead(t, through(t, stage("dlq"), broken), reason)
	fails(t, through(t, stage("fail"), broken), "pipeline[0].externalFunction: "+reason)
	passes(t, through(t, stage("ignore"), broken), `{"amount":5}`)

	for _, onError := range []string{"dlq", "ignore", "fail"} {
		r := through(t, `[{"externalFunction": {"functionName": "f", "execution": "async", "onError": "`+onError+`"}}]`, broken)
		passes(t, r, `{"amount":5}`)
		if len(r.Ignored) > 0 {
			t.Errorf("ignored %v", r.Ignored)
		}
	}
}

func TestAWrongSetupFailsTheDocumentWhateverOnErrorSays(t *testing.T) {
	for _, onError := range []string{"dlq", "ignore", "fail"} {
		denied := &answers{err: &SetupError{errors.New("AccessDeniedException: not authorized")}}
		fails(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "x", "onError": "`+onError+`"}}]`, denied),
			"pipeline[0].externalFunction: calling function f: AccessDeniedException: not authorized")
	}
}

func TestACallThatTimeRanOutForFailsTheDocumentWhateverOnErrorSays(t *testing.T) {
	for _, onError := range []string{"dlq", "ignore", "fail"} {
		ctx, cancel := context.WithCancel(context.Background())
		p := mustParse(t, `[{"externalFunction": {"functionName": "f", "as": "x", "onError": "`+onError+`"}}]`)
		r := p.Run(ctx, Document{JSON: []byte(`{}`)}, Effects{Invoker: invokerFunc(func(ctx context.Context, _ Call) ([]byte, error) {
			cancel()
			return nil, ctx.Err()
		})})
		if r.Outcome != Failed || !errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, ErrNotStarted) {
			t.Errorf("%+v", r)
		}
	}
}

type invokerFunc func(context.Context, Call) ([]byte, error)

func (f invokerFunc) Invoke(ctx context.Context, c Call) ([]byte, error) { return f(ctx, c) }

func TestA5PayloadShapesTheRequestAndNotTheDocument(t *testing.T) {
	a := &answers{response: "true"}
	passes(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "ok", "payload": [
		{"$addFields": {"double": {"$multiply": ["$amount", 2]}}}, {"$set": {"x": 1}}, {"$project": {"double": 1, "x": 1}}, {"$replaceRoot": {"newRoot": {"request": "$$ROOT"}}}
	]}}]`, a), `{"amount":5,"ok":true}`)
	if got := string(a.calls[0].Payload); got != `{"request":{"double":10,"x":1}}` {
		t.Errorf("payload %s", got)
	}
}

func TestA5PayloadTakesFourStagesOnly(t *testing.T) {
	for _, stage := range []string{`{"$match": {}}`, `{"unset": "a"}`, `{"validate": {}}`, `{"emit": {}}`, `{"externalFunction": {}}`} {
		name := strings.TrimPrefix(strings.Split(stage, `"`)[1], "$")
		isRefused(t, `[{"externalFunction": {"functionName": "f", "payload": [`+stage+`]}}]`,
			`pipeline[0].externalFunction.payload[0]: the stage "`+name+`" is not allowed here: only project, addFields, set, replaceRoot`)
	}
	isRefused(t, `[{"externalFunction": {"functionName": "f", "payload": [{"set": {"a": {"$sun": 1}}}, {"$group": {}}]}}]`,
		`pipeline[0].externalFunction.payload[0].set.a.$sun: `+unknownError("operator", "$sun", operators).Error()+
			"\n"+`pipeline[0].externalFunction.payload[1]: unknown stage "$group" (there are project, addFields, set, replaceRoot)`)
}

func TestA6TheDeadLetterHasProcessorTimeOperatorReasonDocumentAndSource(t *testing.T) {
	r := through(t, `[{"set": {"seen": true}}, {"externalFunction": {"functionName": "f", "as": "x"}}]`, &answers{err: &FunctionError{Message: "no"}})
	got, err := json.Marshal(r.DeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"processor":"risk","time":"2026-11-21T09:01:00Z","operator":"pipeline[1].externalFunction","reason":"function f: no",` +
		`"document":{"amount":5,"seen":true},"source":{"eventKey":"risk/withdrawals/e-1","id":"e-1","type":"savings/SAVINGS_WITHDRAWAL","occurredAt":"2026-11-21T09:00:00Z","subscription":"withdrawals"}}`
	if string(got) != want {
		t.Errorf("dead letter\n%s\nwant\n%s", got, want)
	}
}

func TestA7ParallelismAboveOneNeedsSync(t *testing.T) {
	isRefused(t, `[{"externalFunction": {"functionName": "f", "execution": "async", "parallelism": 2}}]`,
		`pipeline[0].externalFunction.parallelism: more than 1 needs "execution": "sync": an async call does not wait for the function`)
	for _, n := range []string{"0", "65", "-1", "1.5", `"2"`, "null"} {
		_, err := Parse([]byte(`[{"externalFunction": {"functionName": "f", "parallelism": `+n+`}}]`), nil)
		if err == nil || !strings.HasPrefix(err.Error(), "pipeline[0].externalFunction.parallelism: must be a whole number from 1 to 64, not ") {
			t.Errorf("parallelism %s: %v", n, err)
		}
	}
	mustParse(t, `[{"externalFunction": {"functionName": "f", "execution": "async", "parallelism": 1}}]`)
}

func TestA7PartitionByNeedsSyncAndAParallelismAboveOne(t *testing.T) {
	const fault = `pipeline[0].externalFunction.partitionBy: needs "execution": "sync" and a "parallelism" of more than 1: one call at a time keeps the order of all documents`
	isRefused(t, `[{"externalFunction": {"functionName": "f", "partitionBy": "$a"}}]`, fault)
	isRefused(t, `[{"externalFunction": {"functionName": "f", "partitionBy": "$a", "parallelism": 1}}]`, fault)
	isRefused(t, `[{"externalFunction": {"functionName": "f", "partitionBy": "$a", "execution": "async"}}]`, fault)
	mustParse(t, `[{"externalFunction": {"functionName": "f", "partitionBy": {"$toUpper": "$a"}, "parallelism": 2}}]`)
}
