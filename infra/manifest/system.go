package manifest

import (
	"encoding/json"
	"strings"

	"github.com/penstock-dev/penstock/functions/connector/call"
	"github.com/penstock-dev/penstock/infra/names"
)

// System returns the functions of Penstock's own that a project's functions need,
// with subscriptions of their own, as manifests: nobody writes them, but they have
// the same queues, alarms and secrets.
func System(functions []Function) []Function {
	for i := range functions {
		if len(functions[i].Topics) > 0 {
			return []Function{callback()}
		}
	}
	return nil
}

// The detail types of what Lambda's destinations put on the bus ("Capturing
// records of Lambda asynchronous invocations"); the source is ResultSource.
const (
	ResultSource  = "lambda"
	ResultSuccess = "Lambda Function Invocation Result - Success"
	ResultFailure = "Lambda Function Invocation Result - Failure"
)

// callback sends the results of asynchronous calls to those who wait for them. A
// result that is not taken is tried for up to an hour and a half.
func callback() Function {
	pattern, err := json.Marshal(map[string]any{
		"source":      []string{ResultSource},
		"detail-type": []string{ResultSuccess, ResultFailure},
		"detail": map[string]any{"requestPayload": map[string]any{"headers": map[string]any{
			strings.ToLower(call.CallbackHeader): []any{map[string]bool{"exists": true}},
		}}},
	})
	if err != nil {
		panic(err) // texts are JSON
	}
	return Function{
		Dir:            names.SystemPackages + names.Callback,
		Name:           names.Callback,
		Description:    "Sends the results of asynchronous calls to those who wait for them",
		MemoryMB:       256,
		TimeoutSeconds: 60,
		MaxConcurrency: 10,
		Secrets:        []string{names.CallbackSecret},
		Subscriptions: []Subscription{{
			Name:            names.CallbackResults,
			Event:           ResultSource + "/Lambda Function Invocation Result",
			Matches:         pattern,
			BatchSize:       10,
			MaxReceiveCount: 12,
			Retry:           Retry{BaseSeconds: 10, CapSeconds: 900},
			// One host that is down is no reason to keep results from the others.
			Breaker: Breaker{Off: true},
		}},
	}
}
