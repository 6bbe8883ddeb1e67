package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

var connectors = suite{"connector", "Connectors", []part{
	{"connector_100", "calls a second of 10 functions of the local environment by a wildcard topic, 100 asked for, beside a subscriber that blocks for a second: none lost", steady},
	{"connector_vs_sequential", "calls a second of 10 functions that take 5 ms, one message after the other, against the loop that OpenFaaS's connector-sdk makes", sequential},
}}

// fanOut is how many functions a message reaches.
const fanOut = 10

// Of steady: the function that is deployed so many times, and how many calls are
// asked for in a second.
const (
	listeningFunction = "message-log"
	callsASecond      = 100
)

// steady sends messages at a fixed rate, and then looks in the functions' own logs
// for each.
func steady(ctx context.Context, b *bench) error {
	dev, n, err := b.listeners(ctx)
	if err != nil {
		return err
	}
	config := awsOf(*dev.AWS().BaseEndpoint, dev.AWS().Region)
	c, err := connector.New(lambda.NewFromConfig(config), connector.Config{
		Source: connector.NewTags(resourcegroupstaggingapi.NewFromConfig(config), n.Bus()), Match: connector.Wildcard, Backlog: 200, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	// All environments of the functions are started before the clock is.
	for range 3 {
		if _, err := c.Invoke(ctx, "github.ping", []byte("{}"), nil); err != nil {
			return err
		}
	}
	var told, late atomic.Int64
	c.Subscribe(connector.SubscriberFunc(func(connector.Response) { told.Add(1) }))
	blocking := c.Subscribe(connector.SubscriberFunc(func(connector.Response) {
		late.Add(1)
		pause(ctx, time.Second)
	}))
	messages := int(10*b.scale.round.Seconds()*callsASecond/fanOut) + 1
	durations := make([]time.Duration, messages)
	failures := make(chan error, messages)
	ticker := time.NewTicker(time.Second * fanOut / callsASecond)
	defer ticker.Stop()
	started := time.Now()
	for i := range messages {
		go func() {
			began := time.Now()
			responses, err := c.Invoke(ctx, "github.push", []byte("{}"), http.Header{"X-Served-By": {strconv.Itoa(i)}})
			durations[i] = time.Since(began)
			if err == nil && len(responses) != fanOut {
				err = fmt.Errorf("message %d reached %d functions, want %d", i, len(responses), fanOut)
			}
			failures <- err
		}()
		<-ticker.C
	}
	for range messages {
		err = errors.Join(err, <-failures)
	}
	took := time.Since(started)
	// The blocking subscriber is not waited for: its backlog would take minutes.
	closing, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = c.Close(closing)
	if err != nil {
		return err
	}
	if got := told.Load(); got != int64(messages*fanOut) {
		return fmt.Errorf("a subscriber that keeps up was told of %d responses, want %d", got, messages*fanOut)
	}
	lost, err := lostMessages(ctx, config, n, messages)
	if err != nil {
		return err
	}
	if lost > 0 {
		return fmt.Errorf("%d of %d calls are in no function's log", lost, messages*fanOut)
	}
	b.note("the blocking subscriber was told of %d responses, and %d were dropped for it", late.Load(), blocking.Dropped())
	b.report.add(
		result{Name: "connector_100", Value: float64(messages*fanOut) / took.Seconds(), Unit: "1/s", Goal: "100"},
		result{Name: "connector_100_lost", Value: float64(lost), Unit: "calls", Goal: "0"},
		result{Name: "connector_100_p99", Value: float64(quantile(durations, 0.99).Microseconds()) / 1000, Unit: "ms"},
	)
	return nil
}

// lostMessages is how many of the numbered messages are missing in the functions'
// logs.
func lostMessages(ctx context.Context, config aws.Config, n names.Names, messages int) (lost int, err error) {
	client := cloudwatchlogs.NewFromConfig(config)
	for i := range fanOut {
		seen := map[string]bool{}
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String(n.LogGroup(listener(i))), FilterPattern: aws.String(`"servedBy"`),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return 0, err
			}
			for _, e := range page.Events {
				var line struct{ ServedBy string }
				if err := json.Unmarshal([]byte(aws.ToString(e.Message)), &line); err != nil {
					return 0, fmt.Errorf("a line of %s: %w", listener(i), err)
				}
				seen[line.ServedBy] = true
			}
		}
		lost += messages - len(seen)
	}
	return lost, nil
}

func listener(i int) string { return fmt.Sprintf("listener-%d", i) }

// listeners starts a local environment in which a function is deployed so many
// times as a message is to reach, and returns the names of what it has.
func (b *bench) listeners(ctx context.Context) (*devtest.Dev, names.Names, error) {
	fail := func(err error) (*devtest.Dev, names.Names, error) { return nil, names.Names{}, err }
	f, err := b.newFleet()
	if err != nil {
		return fail(err)
	}
	root, err := project.Root()
	if err != nil {
		return fail(err)
	}
	code := "functions/" + listeningFunction // is the same for all
	files := map[string][]byte{}
	for _, file := range []string{code + "/main.go", code + "/handler.go"} {
		if files[file], err = os.ReadFile(filepath.Join(root, file)); err != nil {
			return fail(err)
		}
	}
	if err := write(f.dir, files); err != nil {
		return fail(err)
	}
	all, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		return fail(err)
	}
	snapshot, err := f.snapshot(root, nil)
	if err != nil {
		return fail(err)
	}
	n := names.New(snapshot.App, snapshot.Env)
	template := string(all.Templates[n.Stack(listeningFunction)])
	if template == "" {
		return fail(fmt.Errorf("the snapshot has no stack of function %s", listeningFunction))
	}
	for i := range fanOut {
		text := strings.ReplaceAll(template, code, "CODE")
		text = strings.ReplaceAll(text, listeningFunction, listener(i))
		snapshot.Stacks = append(snapshot.Stacks, n.Stack(listener(i)))
		snapshot.Templates[n.Stack(listener(i))] = json.RawMessage(strings.ReplaceAll(text, "CODE", code))
	}
	if files, err = snapshot.Files(); err != nil {
		return fail(err)
	}
	if err := write(f.dir, files); err != nil {
		return fail(err)
	}
	dev, err := f.dev(ctx, b)
	if err != nil {
		return fail(err)
	}
	b.closers = append(b.closers, func() { _ = dev.Signal(os.Interrupt) })
	return dev, n, nil
}

// awsOf is the configuration of clients of a local endpoint, with as many
// connections as calls are made at once.
func awsOf(endpoint, region string) aws.Config {
	return aws.Config{
		BaseEndpoint: &endpoint, Region: region,
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 100
		}),
	}
}

// sequential compares what one message after the other comes to. The functions
// are far away from both: they answer after 5 ms, and cost nothing.
func sequential(ctx context.Context, b *bench) error {
	endpoint, stop, err := functionsFarAway(farAway)
	if err != nil {
		return err
	}
	b.closers = append(b.closers, stop)
	var functions connector.Static
	for i := range fanOut {
		functions = append(functions, connector.Function{Name: listener(i), Lambda: listener(i), Topics: []string{"payment.*"}})
	}
	c, err := connector.New(lambda.NewFromConfig(awsOf(endpoint, "us-east-1")), connector.Config{Source: functions, Match: connector.Wildcard})
	if err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	b.closers = append(b.closers, func() { _ = c.Close(context.Background()) })
	c.Subscribe(connector.SubscriberFunc(func(connector.Response) {}))
	message := bytes.Repeat([]byte("x"), 1000)
	peer := newSequentialInvoker(endpoint, functions)
	defer peer.close()
	rates, err := b.scale.rates(ctx,
		side{work: func(ctx context.Context) (int, error) {
			responses, err := c.Invoke(ctx, "payment.made", message, nil)
			return len(responses), err
		}},
		side{work: func(ctx context.Context) (int, error) { return peer.invoke(ctx, "payment.made", message) }},
	)
	if err != nil {
		return err
	}
	b.report.add(result{Name: "connector_vs_sequential", Value: rates[0], Unit: "1/s", Goal: "≥ 5 × the peer"}.
		against("a loop over the functions, as connector-sdk documents its own", rates[1]))
	return nil
}

// sequentialInvoker does what OpenFaaS's connector-sdk is documented to do: it
// calls the functions that match one after the other, by a POST to the gateway,
// reads each body, and hands each response to whoever reads an unbuffered channel.
// The module itself cannot be had from the module proxy.
type sequentialInvoker struct {
	gateway   string
	functions connector.Static
	client    http.Client
	responses chan []byte
}

func newSequentialInvoker(gateway string, functions connector.Static) *sequentialInvoker {
	s := &sequentialInvoker{gateway: gateway, functions: functions, responses: make(chan []byte)}
	// The settings of its client.
	s.client = http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext:  (&net.Dialer{Timeout: time.Minute, KeepAlive: 10 * time.Second}).DialContext,
		MaxIdleConns: 100, MaxIdleConnsPerHost: 100, IdleConnTimeout: 120 * time.Millisecond,
	}}
	go func() {
		for range s.responses {
		}
	}()
	return s
}

func (s *sequentialInvoker) close() { close(s.responses) }

func (s *sequentialInvoker) invoke(ctx context.Context, topic string, message []byte) (calls int, err error) {
	for _, f := range s.functions {
		if !connector.Wildcard(topic, f.Topics[0]) {
			continue
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.gateway+"/function/"+f.Name, bytes.NewReader(message))
		if err != nil {
			return calls, err
		}
		request.Header.Set("X-Connector", "connector-sdk")
		request.Header.Set("X-Topic", topic)
		response, err := s.client.Do(request)
		if err != nil {
			return calls, err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return calls, err
		}
		if response.StatusCode != http.StatusOK {
			return calls, fmt.Errorf("function %s answered %s", f.Name, response.Status)
		}
		s.responses <- body
		calls++
	}
	return calls, nil
}

// functionsFarAway serves Lambda's Invoke and a gateway's functions alike: each
// answers 200 after a fixed time.
func functionsFarAway(latency time.Duration) (endpoint string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered := time.After(latency)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		<-answered
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"statusCode": 200, "body": "done"}`)
	}), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}
