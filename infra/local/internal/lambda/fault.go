package lambda

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// fault is why a program did not answer, or did not come up, as Lambda tells
// the caller and the log ("Understanding the Lambda execution environment
// lifecycle", failures; the forms of the lines are those of CloudWatch Logs'
// text format).
type fault struct {
	kind    string // the error type
	message string
	payload []byte // what the program has posted of it itself
}

// Error types of Lambda's own.
const (
	faultExit       = "Runtime.ExitError"
	faultEntrypoint = "Runtime.InvalidEntrypoint"
	faultTimeout    = "Sandbox.Timedout"
	faultSandbox    = "Sandbox.Failure"
)

// exited is the fault of a program that has ended.
func exited(p *process) *fault { return &fault{kind: faultExit, message: p.reason()} }

// timedOut is the fault of a program that took too long.
func timedOut(limit time.Duration) *fault {
	return &fault{kind: faultTimeout, message: fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds())}
}

// outcome is that of the invocation, as its caller sees it.
func (f *fault) outcome(requestID string) outcome {
	if f.payload != nil {
		return outcome{payload: f.payload, failed: true}
	}
	payload, err := json.Marshal(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{f.kind, fmt.Sprintf("RequestId: %s Error: %s", requestID, f.message)})
	if err != nil {
		payload = []byte(`{"errorType":"` + f.kind + `"}`) // text that is not UTF-8
	}
	return outcome{payload: payload, failed: true}
}

// lines are what the log says of the fault between START and END. Of one that
// the program has reported itself, the program has said it.
func (f *fault) lines(requestID string) []string {
	switch {
	case f.payload != nil:
		return nil
	case f.kind == faultTimeout:
		return []string{strings.Join([]string{time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), requestID, f.message}, " ")}
	}
	return []string{"RequestId: " + requestID + " Error: " + f.message, f.kind}
}

// status is the end of the REPORT and INIT_REPORT lines; empty without a fault.
func (f *fault) status() string {
	switch {
	case f == nil:
		return ""
	case f.kind == faultTimeout:
		return "\tStatus: timeout"
	}
	return "\tStatus: error\tError Type: " + f.kind
}
