package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// client returns the AWS SDK's client, connected to l.
func client(t *testing.T, l *Lambda) *awslambda.Client {
	t.Helper()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	l.Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return awslambda.New(awslambda.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(server.URL),
		Credentials:      credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
		RetryMaxAttempts: 1,
	})
}

func TestTheSDKInvokes(t *testing.T) {
	l, _ := withFunction(t, nil)
	c := client(t, l)
	for _, name := range []string{"f", "f:$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:f", "000000000000:function:f"} {
		out, err := c.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String(name), Payload: []byte(`{"Do":"echo","Text":"häll☺"}`)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if out.StatusCode != 200 || string(out.Payload) != `{"Do":"echo","Text":"häll☺"}` || out.FunctionError != nil || *out.ExecutedVersion != "$LATEST" {
			t.Fatalf("%s: %+v, payload %s", name, out, out.Payload)
		}
	}
	out, err := c.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`{"Do":"error","Text":"it failed"}`)})
	if err != nil || *out.FunctionError != "Unhandled" || string(out.Payload) != `{"errorMessage":"it failed","errorType":"errorString"}` {
		t.Fatalf("%v, %+v, payload %s", err, out, out.Payload)
	}
}

func TestTheSDKInvokesLaterOrNotAtAll(t *testing.T) {
	l, logs := withFunction(t, nil)
	c := client(t, l)
	in := &awslambda.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeDryRun, Payload: []byte(`{"Do":"print","N":1}`)}
	if out, err := c.Invoke(t.Context(), in); err != nil || out.StatusCode != 204 {
		t.Fatal(out, err)
	}
	in.InvocationType = types.InvocationTypeEvent
	if out, err := c.Invoke(t.Context(), in); err != nil || out.StatusCode != 202 || len(out.Payload) > 0 {
		t.Fatal(out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(logs.text(), "REPORT") && pause(ctx, 10*time.Millisecond) {
	}
	if n := strings.Count(logs.text(), "START"); n != 1 {
		t.Errorf("called %d times:\n%s", n, logs.text())
	}
}

func TestTheSDKGetsTheEndOfTheLog(t *testing.T) {
	l, _ := withFunction(t, nil)
	c := client(t, l)
	for _, lines := range []int{1, 2, maxTail} {
		out, err := c.Invoke(t.Context(), &awslambda.InvokeInput{
			FunctionName: aws.String("f"), LogType: types.LogTypeTail, Payload: fmt.Appendf(nil, `{"Do":"print","N":%d}`, lines),
		})
		if err != nil {
			t.Fatal(err)
		}
		log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
		text := string(log)
		if err != nil || len(text) > maxTail || !strings.Contains(text, fmt.Sprintf("line %d\n", lines-1)) || !strings.Contains(text, "\nREPORT RequestId: ") || !strings.HasSuffix(text, "\n") {
			t.Errorf("%d lines: the log's end is %s (%v)", lines, text, err)
		}
		if lines < maxTail && (!strings.HasPrefix(text, "START RequestId: ") || strings.Count(text, "START") != 1) {
			t.Errorf("%d lines: it is not the log of one invocation: %s", lines, text)
		}
	}
}

func TestInvocationsThatCannotBeServedSayWhy(t *testing.T) {
	none := 0
	l, _ := withFunction(t, func(f *Function) { f.ReservedConcurrency = &none })
	c := client(t, l)
	for _, test := range []struct {
		code, says string
		edit       func(*awslambda.InvokeInput)
	}{
		{"TooManyRequestsException", "Rate Exceeded", func(*awslambda.InvokeInput) {}},
		{"ResourceNotFoundException", "function:missing", func(in *awslambda.InvokeInput) { in.FunctionName = aws.String("missing") }},
		{"ResourceNotFoundException", "function:f:7", func(in *awslambda.InvokeInput) { in.Qualifier = aws.String("7") }},
		{"InvalidRequestContentException", "Could not parse", func(in *awslambda.InvokeInput) { in.Payload = []byte(`{`) }},
		{"RequestEntityTooLargeException", "6291456", func(in *awslambda.InvokeInput) { in.Payload = fmt.Appendf(nil, "%q", strings.Repeat("x", maxPayload)) }},
		{"RequestEntityTooLargeException", "1048576", func(in *awslambda.InvokeInput) {
			in.InvocationType, in.Payload = types.InvocationTypeEvent, fmt.Appendf(nil, "%q", strings.Repeat("x", maxAsyncPayload))
		}},
		{"ResourceNotFoundException", "function:missing", func(in *awslambda.InvokeInput) {
			in.InvocationType, in.FunctionName = types.InvocationTypeEvent, aws.String("missing")
		}},
		{"InvalidParameterValueException", "InvocationType Later", func(in *awslambda.InvokeInput) { in.InvocationType = "Later" }},
		{"InvalidParameterValueException", "LogType Head", func(in *awslambda.InvokeInput) { in.LogType = "Head" }},
		{"InvalidParameterValueException", "ClientContext", func(in *awslambda.InvokeInput) { in.ClientContext = aws.String("e30=") }},
	} {
		in := &awslambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`{}`)}
		test.edit(in)
		_, err := c.Invoke(t.Context(), in)
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != test.code || !strings.Contains(api.ErrorMessage(), test.says) {
			t.Errorf("got %v, want %s with %q", err, test.code, test.says)
		}
	}
	var throttle *types.TooManyRequestsException
	_, err := c.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f")})
	if !errors.As(err, &throttle) || throttle.Reason != types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded {
		t.Errorf("got %v", err)
	}
}

func TestTheSDKListsAndDescribesFunctions(t *testing.T) {
	l, _ := withFunction(t, func(f *Function) {
		f.Description, f.RoleARN, f.Environment = "does things", "arn:aws:iam::000000000000:role/r", map[string]string{"MODE": "b"}
	})
	for i := range 60 {
		if err := l.CreateFunction(t.Context(), Function{Name: fmt.Sprintf("g%02d", i), Program: program}); err != nil {
			t.Fatal(err)
		}
	}
	c := client(t, l)
	got, err := c.GetFunctionConfiguration(t.Context(), &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String("f")})
	if err != nil {
		t.Fatal(err)
	}
	if *got.FunctionArn != "arn:aws:lambda:us-east-1:000000000000:function:f" || got.Runtime != "provided.al2023" || *got.Timeout != 30 || *got.MemorySize != 128 ||
		*got.Role != "arn:aws:iam::000000000000:role/r" || got.Environment.Variables["MODE"] != "b" || got.CodeSize == 0 || got.State != types.StateActive ||
		*got.LoggingConfig.LogGroup != "/aws/lambda/f" || *got.Description != "does things" {
		t.Fatalf("got %+v", got)
	}
	names := map[string]bool{}
	for p := awslambda.NewListFunctionsPaginator(c, &awslambda.ListFunctionsInput{}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			names[*f.FunctionName] = true
		}
	}
	if len(names) != 61 {
		t.Fatalf("%d functions were listed", len(names))
	}
	if _, err := c.ListFunctions(t.Context(), &awslambda.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll}); err == nil || !strings.Contains(err.Error(), "FunctionVersion is not supported") {
		t.Fatalf("got %v", err)
	}
}

// settled waits until a mapping can be updated again.
func settled(t *testing.T, l *Lambda, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		m, err := l.Mapping(id)
		if err != nil {
			t.Fatal(err)
		}
		if m.State == "Enabled" || m.State == "Disabled" {
			return
		}
		if !pause(ctx, time.Millisecond) {
			t.Fatalf("the mapping is still %s", m.State)
		}
	}
}

func TestTheSDKReadsAndChangesMappings(t *testing.T) {
	l, _ := withFunction(t, nil)
	l.cfg.Queues, l.cfg.Streams = newFakeQueue(), newFakeStream()
	queueID, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: queueARN, BatchSize: 500, Window: time.Second, MaximumConcurrency: 20, ReportBatchItemFailures: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.CreateMapping(t.Context(), Mapping{Function: "f", SourceARN: streamARN, StartingPosition: "LATEST", FilterPatterns: []string{`{"eventName":["INSERT"]}`}}); err != nil {
		t.Fatal(err)
	}
	c := client(t, l)
	list, err := c.ListEventSourceMappings(t.Context(), &awslambda.ListEventSourceMappingsInput{FunctionName: aws.String("f")})
	if err != nil || len(list.EventSourceMappings) != 2 {
		t.Fatalf("%v, %+v", err, list)
	}
	for _, m := range list.EventSourceMappings {
		if *m.EventSourceArn == streamARN && (*m.BatchSize != 100 || *m.MaximumRetryAttempts != -1 || *m.MaximumRecordAgeInSeconds != -1 || m.StartingPosition != "LATEST" || *m.ParallelizationFactor != 1 || *m.FilterCriteria.Filters[0].Pattern != `{"eventName":["INSERT"]}`) {
			t.Fatalf("got %+v", m)
		}
	}
	list, err = c.ListEventSourceMappings(t.Context(), &awslambda.ListEventSourceMappingsInput{EventSourceArn: aws.String(queueARN)})
	if err != nil || len(list.EventSourceMappings) != 1 || *list.EventSourceMappings[0].UUID != queueID {
		t.Fatalf("%v, %+v", err, list)
	}
	updated, err := c.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{
		UUID: &queueID, Enabled: aws.Bool(false), BatchSize: aws.Int32(100), MaximumBatchingWindowInSeconds: aws.Int32(5),
		ScalingConfig: &types.ScalingConfig{MaximumConcurrency: aws.Int32(9)},
		MetricsConfig: &types.EventSourceMappingMetricsConfig{Metrics: []types.EventSourceMappingMetric{types.EventSourceMappingMetricEventCount}},
	})
	if err != nil || *updated.State != "Disabling" || updated.MetricsConfig.Metrics[0] != types.EventSourceMappingMetricEventCount {
		t.Fatalf("%v, %+v", err, updated)
	}
	got, err := c.GetEventSourceMapping(t.Context(), &awslambda.GetEventSourceMappingInput{UUID: &queueID})
	if err != nil || !strings.HasPrefix(*got.State, "Disabl") || *got.BatchSize != 100 || *got.MaximumBatchingWindowInSeconds != 5 || *got.ScalingConfig.MaximumConcurrency != 9 ||
		got.FunctionResponseTypes[0] != "ReportBatchItemFailures" || time.Since(*got.LastModified) > time.Minute || *got.FunctionArn != "arn:aws:lambda:us-east-1:000000000000:function:f" {
		t.Fatalf("%v, %+v", err, got)
	}

	settled(t, l, queueID)
	emptied, err := c.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{
		UUID: &queueID, ScalingConfig: &types.ScalingConfig{}, MetricsConfig: &types.EventSourceMappingMetricsConfig{Metrics: []types.EventSourceMappingMetric{}},
	})
	if err != nil || emptied.ScalingConfig != nil || emptied.MetricsConfig != nil || *emptied.BatchSize != 100 {
		t.Fatalf("%v, %+v", err, emptied)
	}
	settled(t, l, queueID)
	if _, err := c.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{
		UUID: &queueID, MetricsConfig: &types.EventSourceMappingMetricsConfig{Metrics: []types.EventSourceMappingMetric{"KafkaMetrics"}},
	}); err == nil || !strings.Contains(err.Error(), "KafkaMetrics") {
		t.Errorf("got %v", err)
	}

	var missing *types.ResourceNotFoundException
	if _, err := c.GetEventSourceMapping(t.Context(), &awslambda.GetEventSourceMappingInput{UUID: aws.String("x")}); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
	var refused *types.InvalidParameterValueException
	if _, err := c.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{UUID: &queueID, MaximumBatchingWindowInSeconds: aws.Int32(0)}); !errors.As(err, &refused) {
		t.Errorf("a window of 0 for batches of 100: %v", err)
	}
	if _, err := c.UpdateEventSourceMapping(t.Context(), &awslambda.UpdateEventSourceMappingInput{UUID: &queueID, MaximumRetryAttempts: aws.Int32(3)}); err == nil || !strings.Contains(err.Error(), "MaximumRetryAttempts is not supported") {
		t.Errorf("got %v", err)
	}
}

func TestOtherOperationsAreNamed(t *testing.T) {
	l, _ := withFunction(t, nil)
	c := client(t, l)
	if _, err := c.DeleteFunction(t.Context(), &awslambda.DeleteFunctionInput{FunctionName: aws.String("f")}); err == nil || !strings.Contains(err.Error(), "DELETE /2015-03-31/functions/f is not supported by the local environment") {
		t.Errorf("got %v", err)
	}
	if _, err := c.GetFunction(t.Context(), &awslambda.GetFunctionInput{FunctionName: aws.String("f")}); err == nil || !strings.Contains(err.Error(), "GET /2015-03-31/functions/f is not supported by the local environment") {
		t.Errorf("got %v", err)
	}
}
