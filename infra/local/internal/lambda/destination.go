package lambda

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Destinations take the records of asynchronous invocations.
type Destinations interface {
	// PutEvent publishes an event on a bus, as whom ctx acts for. It returns when
	// the event is durable.
	PutEvent(ctx context.Context, busARN, source, detailType string, resources []string, detail []byte) error
}

// condition is how an asynchronous invocation has ended.
type condition string

const (
	success                 condition = "Success"
	retriesExhausted        condition = "RetriesExhausted"
	eventAgeExceeded        condition = "EventAgeExceeded"
	zeroReservedConcurrency condition = "ZeroReservedConcurrency"
)

// invocationRecord is what a destination is sent ("Capturing records of Lambda
// asynchronous invocations").
type invocationRecord struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  requestContext   `json:"requestContext"`
	RequestPayload  jsontext.Value   `json:"requestPayload"`
	ResponseContext *responseContext `json:"responseContext,omitempty"` // nil: the function was never reached
	ResponsePayload jsontext.Value   `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID              string    `json:"requestId"`
	FunctionArn            string    `json:"functionArn"`
	Condition              condition `json:"condition"`
	ApproximateInvokeCount int       `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

// For an event bus, the record is the detail of an event, whose resources are the
// function and the bus (the same page, destination-specific JSON format).
const (
	resultSource      = "lambda"
	successDetailType = "Lambda Function Invocation Result - Success"
	failureDetailType = "Lambda Function Invocation Result - Failure"
)

// tell sends the record of an invocation to the function's destination for such
// an end, by the permission of the function's role. A record that it does not
// take, for want of that or since it is too large, is lost, as on AWS: there is
// DestinationDeliveryFailures to tell.
func (l *Lambda) tell(function string, e *asyncEvent, condition condition, response []byte) {
	config := l.eventInvokeOf(function)
	bus, detailType := config.OnFailure, failureDetailType
	if condition == success {
		bus, detailType = config.OnSuccess, successDetailType
	}
	if bus == "" || condition == "" {
		return
	}
	arn := l.functionARN(function) + ":$LATEST"
	record := invocationRecord{
		Version:        "1.0",
		Timestamp:      time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: requestContext{e.RequestID, arn, condition, e.Failures},
		RequestPayload: e.Payload,
	}
	if condition == success {
		record.RequestContext.ApproximateInvokeCount++
	}
	if response != nil {
		record.ResponseContext = &responseContext{StatusCode: 200, ExecutedVersion: "$LATEST"}
		if condition != success {
			record.ResponseContext.FunctionError = unhandled
		}
		record.ResponsePayload = jsonOf(response)
	}
	detail, err := json.Marshal(record)
	if err == nil {
		err = l.send(function, bus, detailType, []string{arn, bus}, detail)
	}
	if err != nil {
		l.record(function, func(m *functionMetrics) { m.destinationFailures.Add(1) })
		l.cfg.Logger.Error("the result of an asynchronous invocation is lost, as on AWS: its destination did not take it",
			"function", function, "request", e.RequestID, "destination", bus, "error", err)
	}
}

func (l *Lambda) send(function, bus, detailType string, resources []string, detail []byte) error {
	f, err := l.find(function, "")
	if err != nil {
		return err
	}
	ctx := context.WithoutCancel(l.ctx)
	if l.cfg.Roles != nil {
		role, err := l.cfg.Roles.Principal(f.Credentials.AccessKeyID)
		if err != nil {
			return err
		}
		ctx = awswire.As(ctx, role)
	}
	return l.cfg.Destinations.PutEvent(ctx, bus, resultSource, detailType, resources, detail)
}

// jsonOf is a response as it stands in a record: as a string if it is no JSON.
func jsonOf(response []byte) jsontext.Value {
	if jsontext.Value(response).IsValid() {
		return response
	}
	text, err := jsontext.AppendQuote(nil, response)
	if err != nil {
		return jsontext.Value("null") // it is not UTF-8
	}
	return text
}
