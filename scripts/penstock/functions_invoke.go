package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/sqsevent"
)

type invokeFlags struct {
	dataFlags
	common    *cli.Flags
	eventType string
	raw       bool
	log       bool
}

func newFunctionsInvoke(common *cli.Flags) *cobra.Command {
	f := invokeFlags{common: common}
	cmd := &cobra.Command{
		Use:   "invoke NAME",
		Short: "Call a function with an event, as its queue would",
		Long: `Call a function with one event of a type that it subscribes to, wrapped as its
queue would hand it over, and print the function's answer. The event is not
published: no other function receives it, and neither retries nor the DLQ come
after a failure. What the function does with it, it does.

The data is the type's sample, or that of --data, changed by each --set. Data that
violates the type's schema is sent too, with a warning: how the function takes it
is worth knowing. With --raw the payload is that of --data as it is. The exit status is 1 if the
function ended with an error or the event failed.`,
		Example: `  penstock functions invoke withdrawal-fee
  penstock functions invoke withdrawal-fee --type SAVINGS_WITHDRAWAL --set amount=100 --log
  penstock functions invoke withdrawal-fee --data withdrawal.json
  echo '{"Records": []}' | penstock functions invoke withdrawal-fee --raw --data -`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFunctions,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd, func([]string) string { return f.eventType })
	flags := cmd.Flags()
	flags.StringVar(&f.eventType, "type", "", "the event's `type`; not needed for a function that receives only one")
	flags.BoolVar(&f.raw, "raw", false, "send --data as the whole payload")
	flags.BoolVar(&f.log, "log", false, "show what the function logged meanwhile, on stderr")
	_ = cmd.RegisterFlagCompletionFunc("type", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeTypes(cmd, nil, toComplete)
	})
	return cmd
}

func (f *invokeFlags) run(cmd *cobra.Command, name string) error {
	ctx := cmd.Context()
	target, err := f.common.Target(ctx)
	if err != nil {
		return err
	}
	function, err := findFunction(target.Root, name)
	if err != nil {
		return err
	}
	in, err := f.input(cmd.InOrStdin(), cmd.ErrOrStderr(), function)
	if err != nil {
		return err
	}
	if err := target.Guard(ctx); err != nil {
		return err
	}
	call, err := invoke(ctx, target, function, in, f.log)
	if err != nil {
		return target.Explain(err)
	}
	if f.common.JSON() {
		err = cli.JSON(cmd.OutOrStdout(), call)
	} else {
		err = call.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), f.common)
	}
	if err == nil && !call.ok() {
		return cli.ErrTold
	}
	return err
}

// invocationInput is what a function is called with: an event from a
// subscription, or a payload as it is.
type invocationInput struct {
	subscription manifest.Subscription
	event        events.Envelope
	payload      []byte
}

func (f *invokeFlags) input(in io.Reader, notes io.Writer, function manifest.Function) (*invocationInput, error) {
	if f.raw {
		if f.file == "" || f.eventType != "" || len(f.set) > 0 {
			return nil, cli.Misusef("--raw sends --data as it is: it needs --data, and goes with neither --type nor --set")
		}
		payload, err := readInput("data", f.file, in)
		if err == nil && !json.Valid(payload) {
			err = cli.Misusef("--data %s is not JSON, and a function's payload is", f.file)
		}
		return &invocationInput{payload: payload}, err
	}
	subscription, t, err := f.subscription(function)
	if err != nil {
		return nil, err
	}
	event, misfit, err := f.event(in, t, false)
	if err != nil {
		return nil, err
	}
	if misfit != nil { // how a function takes it is worth a try
		fmt.Fprintf(notes, "warning: %v\n", misfit)
	}
	return &invocationInput{subscription: subscription, event: events.Stamp(context.Background(), event)}, nil
}

// subscription finds the function's subscription that receives the type of the
// flags.
func (f *invokeFlags) subscription(function manifest.Function) (s manifest.Subscription, t *eventType, err error) {
	var received []string
	for _, s := range function.Subscriptions {
		if !slices.Contains(received, s.Event) {
			received = append(received, s.Event)
		}
	}
	name := f.eventType
	switch {
	case len(received) == 0:
		return s, nil, cli.Misusef("function %q subscribes to no event: give a payload with --raw --data", function.Name)
	case name == "" && len(received) > 1:
		return s, nil, cli.Misusef("function %q receives %s: say which with --type", function.Name, strings.Join(received, " and "))
	case name == "":
		name = received[0]
	}
	if t, err = findType(name); err != nil {
		return s, nil, err
	}
	i := slices.IndexFunc(function.Subscriptions, func(s manifest.Subscription) bool { return s.Event == t.String() })
	if i < 0 {
		return s, nil, cli.Misusef("function %q does not subscribe to %s: it receives %s", function.Name, t, strings.Join(received, " and "))
	}
	return function.Subscriptions[i], t, nil
}

// call is one invocation and its answer.
type call struct {
	RequestID     string          `json:"requestId"`
	EventID       string          `json:"eventId,omitempty"`
	FunctionError string          `json:"functionError,omitempty"`
	Answer        json.RawMessage `json:"answer"`
	Failed        []failedMessage `json:"failed"`
	Log           []logLine       `json:"log,omitempty"`
	lines         []logtypes.FilteredLogEvent
}

// failedMessage is a message that the function's answer names as failed.
type failedMessage struct {
	MessageID string `json:"messageId"`
	EventID   string `json:"eventId,omitempty"`
}

func (c *call) ok() bool { return c.FunctionError == "" && len(c.Failed) == 0 }

func invoke(ctx context.Context, target *cli.Target, function manifest.Function, in *invocationInput, withLog bool) (*call, error) {
	name := target.Names.Function(function.Name)
	// A batch may take as long as the function's timeout, and a call that is
	// repeated would be a second batch.
	client := lambda.NewFromConfig(target.AWS, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	configuration, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	var missing *lambdatypes.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("function %q is not deployed in environment %q: there is no Lambda function %s", function.Name, target.Env.Name, name)
	}
	if err != nil {
		return nil, err
	}
	payload, messageID := in.payload, ""
	if payload == nil {
		functionARN, err := arn.Parse(aws.ToString(configuration.FunctionArn))
		if err != nil {
			return nil, err
		}
		m, err := sqsevent.New(in.event, sqsevent.Queue{
			Partition: functionARN.Partition, Region: functionARN.Region, Account: functionARN.AccountID,
			Name: target.Names.Queue(function.Name, in.subscription.Name),
		})
		if err != nil {
			return nil, cli.Misuse{Err: err}
		}
		payload, messageID = m.Payload, m.ID
	}
	began := time.Now()
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: payload})
	if err != nil {
		return nil, err
	}
	c := &call{FunctionError: aws.ToString(out.FunctionError), EventID: in.event.ID, Answer: answer(out.Payload), Failed: []failedMessage{}}
	c.RequestID, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if c.FunctionError == "" {
		for _, id := range sqsevent.Failed(out.Payload) {
			failed := failedMessage{MessageID: id}
			if id == messageID {
				failed.EventID = in.event.ID
			}
			c.Failed = append(c.Failed, failed)
		}
	}
	if withLog {
		err = c.readLog(ctx, target, function, began)
	}
	return c, err
}

// answer is a function's answer as JSON, which it always is for Lambda.
func answer(payload []byte) json.RawMessage {
	if !json.Valid(payload) {
		quoted, _ := json.Marshal(string(payload))
		return quoted
	}
	return payload
}

// logPatience is how long to wait for the end of an invocation's log, which
// CloudWatch has some seconds later.
const logPatience = 20 * time.Second

// readLog reads what the function logged in this invocation: the lines that
// name its request id, up to the REPORT that ends them.
func (c *call) readLog(ctx context.Context, target *cli.Target, function manifest.Function, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	reader := &logReader{
		client: cloudwatchlogs.NewFromConfig(target.AWS), group: target.Names.LogGroup(function.Name),
		late: lateness(target), from: began.Add(-lateness(target)),
	}
	errDone := errors.New("done")
	err := reader.follow(ctx, func(e logtypes.FilteredLogEvent) error {
		line := aws.ToString(e.Message)
		if !strings.Contains(line, c.RequestID) {
			return nil
		}
		c.lines = append(c.lines, e)
		c.Log = append(c.Log, newLogLine(e))
		if strings.HasPrefix(line, "REPORT ") {
			return errDone
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDone) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the function was called; reading its log: %w", err)
	}
	return nil
}

// print prints the call for people: the answer on out, all else on notes.
func (c *call) print(out, notes io.Writer, common *cli.Flags) error {
	show := logPrinter(notes, common)
	for _, e := range c.lines {
		if err := show(e); err != nil {
			return err
		}
	}
	var answer bytes.Buffer
	if err := json.Indent(&answer, c.Answer, "", "  "); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, answer.String()); err != nil {
		return err
	}
	switch {
	case c.FunctionError != "":
		fmt.Fprintf(notes, "the function ended with an error (%s), request %s\n", c.FunctionError, c.RequestID)
	case len(c.Failed) > 0:
		why := ""
		if len(c.lines) == 0 {
			why = ": --log shows why"
		}
		for _, f := range c.Failed {
			what := "message " + f.MessageID
			if f.EventID != "" {
				what = fmt.Sprintf("event %s (%s)", f.EventID, what)
			}
			fmt.Fprintf(notes, "failed: %s, request %s%s\n", what, c.RequestID, why)
		}
	case c.EventID != "":
		fmt.Fprintf(notes, "handled: event %s, request %s\n", c.EventID, c.RequestID)
	}
	return nil
}
