// Package local runs a project's synthesized templates on one machine, with no
// account: the same templates, the same Lambda programs, the same AWS SDK.
//
// [Start] goes through these steps:
//
//  1. It takes the port, so that a taken one is known before anything happens.
//  2. It reads the templates and checks that everything in them is supported;
//     what is not is an error that names it, before anything is created.
//  3. It builds the Lambda programs that the templates name, for this machine.
//  4. It opens the store in the data directory, with what an earlier run left,
//     and the meter of what AWS would bill (package meter).
//  5. It creates the resources, in the templates' order, each in an in-process
//     implementation of its service (internal/<service>), and removes those
//     that an earlier run had and the templates have no longer: as an update
//     does, which is what a start on an earlier run's directory is.
//  6. It serves the services' own wire protocols on the one port. Each request
//     is decided by the roles and policies of the templates (internal/iam).
//
// Everything is durable before it is acknowledged: after a kill -9 and another
// Start on the same directory, nothing acknowledged is lost.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudwatch"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/httpapi"
	"github.com/penstock-dev/penstock/infra/local/internal/iam"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/logs"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/oidc"
	"github.com/penstock-dev/penstock/infra/local/internal/programs"
	"github.com/penstock-dev/penstock/infra/local/internal/secretsmanager"
	"github.com/penstock-dev/penstock/infra/local/internal/sns"
	"github.com/penstock-dev/penstock/infra/local/internal/sqs"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/internal/sts"
	"github.com/penstock-dev/penstock/infra/local/internal/tagging"
	"github.com/penstock-dev/penstock/infra/local/meter"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// Config says what to run, and where.
type Config struct {
	// Snapshot holds the templates.
	Snapshot *snapshots.Snapshot
	// Root is the project's folder, in which functions are built.
	Root string
	// DataDir is where everything is kept: made if there is none, and used by
	// one environment at a time.
	DataDir string
	// Reset removes what an earlier run left in DataDir (data and logs).
	Reset bool
	// Port is the loopback port; 0 means any free one.
	Port int
	// IAM says what becomes of a call that its caller has no permission for:
	// "enforce" (or empty) refuses it, "warn" logs it and lets it pass, "off"
	// lets everything pass.
	IAM string
	// Account and Region are those of every ARN.
	Account, Region string
	// Logger is told of what goes wrong inside, and of events that no rule
	// matches. It must be set.
	Logger *slog.Logger
	// Dev, if set, answers what is asked below [DevPrefix]: whoever runs the
	// environment tells of it there.
	Dev http.Handler
	// Building, if set, is told of the programs that are about to be built.
	Building func(packages []string)
}

// Environment is a running environment.
type Environment struct {
	config   Config
	endpoint string

	metrics    metric.Registry
	meter      *meter.Meter
	store      *store.Store
	logs       *logs.Logs
	cloudwatch *cloudwatch.Service
	sqs        *sqs.Service
	events     *eventbridge.Service
	dynamodb   *dynamodb.Service
	lambda     *lambda.Lambda
	sns        *sns.Service
	secrets    *secretsmanager.Service
	iam        *iam.IAM
	httpAPIs   *httpapi.Service
	issuer     *oidc.Issuer
	server     *http.Server
	served     chan error

	updating sync.Mutex      // one change of what is deployed at a time
	code     code            // guarded by updating, as is
	created  uint64          // how many resources were created
	remade   map[string]bool // queues, by URL, that a person has deleted and the start has made again
	started  Changes
	mu       sync.Mutex
	stacks   []cloudformation.Stack // guarded by mu; see deployed
}

// Start starts an environment. It serves until Close. An error that wraps
// syscall.EADDRINUSE means that the port is taken.
func Start(ctx context.Context, config Config) (_ *Environment, err error) {
	e := &Environment{config: config, remade: map[string]bool{}, served: make(chan error, 1)}
	defer func() {
		if err != nil {
			_ = e.Close()
		}
	}()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", config.Port))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = listener.Close()
		}
	}()
	e.endpoint = "http://" + listener.Addr().String()

	templates, err := e.parse(config.Snapshot)
	if err != nil {
		return nil, err
	}
	if config.Building != nil {
		packages, err := packagesOf(config.Snapshot)
		if err != nil {
			return nil, err
		}
		config.Building(packages)
	}
	if e.code, err = e.build(ctx, config.Snapshot); err != nil {
		return nil, err
	}
	if err := e.open(); err != nil {
		return nil, err
	}
	e.serve(listener)
	before, err := e.recall()
	if err != nil {
		return nil, err
	}
	stacks, err := cloudformation.Deploy(ctx, e.target(), e.types(), before.deployed, templates...)
	if err != nil {
		return nil, err
	}
	e.setDeployed(stacks)
	e.started = e.difference(before.deployed, stacks)
	if e.started.Removed, e.started.Retained, err = e.settle(ctx, before, stacks); err != nil {
		return nil, err
	}
	if err := e.events.Resume(); err != nil {
		return nil, err
	}
	// The store is ours alone, and so is the data directory.
	if err := programs.Prune(e.programsDir(), e.code.used()); err != nil {
		return nil, err
	}
	e.cloudwatch.Start()
	return e, nil
}

// target is where templates are deployed.
func (e *Environment) target() cloudformation.Environment {
	return cloudformation.Environment{AccountID: e.config.Account, Region: e.config.Region, Creating: e.creating}
}

// parse reads the templates of a snapshot, and checks that everything in them is
// supported.
func (e *Environment) parse(snapshot *snapshots.Snapshot) ([]*cloudformation.Template, error) {
	var templates []*cloudformation.Template
	var faults []error
	for _, stack := range snapshot.Stacks {
		t, err := cloudformation.Parse(stack, snapshot.Templates[stack])
		if err != nil {
			faults = append(faults, err)
			continue
		}
		templates = append(templates, t)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if err := cloudformation.Check(e.target(), e.types(), templates...); err != nil {
		return nil, fmt.Errorf("the templates of environment %q cannot run here:\n%w", snapshot.Env, err)
	}
	return templates, nil
}

// open opens the store and the services on it.
func (e *Environment) open() (err error) {
	c := e.config
	dir := filepath.Join(c.DataDir, "store")
	if c.Reset {
		if err := reset(dir, filepath.Join(c.DataDir, "logs")); err != nil {
			return err
		}
		if err := meter.Remove(c.DataDir); err != nil {
			return err
		}
	}
	if e.store, err = store.Open(dir); err != nil {
		return err
	}
	if e.meter, err = meter.Open(c.DataDir); err != nil {
		return err
	}
	if e.iam, err = iam.New(iam.Config{
		Account: c.Account, Mode: iam.Mode(cmp.Or(c.IAM, string(iam.Enforce))), AdministratorKey: names.LocalAccessKeyID, Store: e.store, Logger: c.Logger,
	}); err != nil {
		return err
	}
	if e.logs, err = logs.Open(logs.Config{Dir: filepath.Join(c.DataDir, "logs"), Region: c.Region, Account: c.Account, Logger: c.Logger,
		// A function prints only when everything is open.
		Told: func(group, line string) {
			e.meter.Add(meter.LogByte, group, float64(len(line)+logOverhead))
			e.cloudwatch.Embedded(group, line)
		}}); err != nil {
		return err
	}
	if e.sqs, err = sqs.New(e.store, sqs.Config{Account: c.Account, Region: c.Region, URL: e.endpoint, Metrics: &e.metrics, Meter: e.meter, Logger: c.Logger}); err != nil {
		return err
	}
	if e.dynamodb, err = dynamodb.New(e.store, dynamodb.Config{Account: c.Account, Region: c.Region, Meter: e.meter, Caller: e.callingFunction, Logger: c.Logger}); err != nil {
		return err
	}
	if e.secrets, err = secretsmanager.New(e.store, secretsmanager.Config{Account: c.Account, Region: c.Region, Meter: e.meter, Caller: e.callingFunction, Logger: c.Logger}); err != nil {
		return err
	}
	e.lambda = lambda.New(lambda.Config{
		Account: c.Account, Region: c.Region, Endpoint: e.endpoint, Store: e.store, Logs: e.logs, Roles: e.iam,
		Queues: mappedQueues{e.sqs}, Streams: mappedStreams{e.dynamodb}, Destinations: resultBuses{e}, Metrics: &e.metrics, Meter: e.meter, Logger: c.Logger,
	})
	if e.events, err = eventbridge.New(e.store, eventbridge.Config{
		Account: c.Account, Region: c.Region, Queues: ruleTargets{e.sqs}, Functions: scheduledFunctions{e.lambda}, Metrics: &e.metrics, Meter: e.meter, Logger: c.Logger,
	}); err != nil {
		return err
	}
	if e.sns, err = sns.New(e.store, sns.Config{
		Account: c.Account, Region: c.Region, Queues: subscribedQueues{e.sqs}, Functions: subscribedFunctions{e.lambda}, Mail: e.mail, Meter: e.meter, Logger: c.Logger,
	}); err != nil {
		return err
	}
	if e.cloudwatch, err = cloudwatch.New(e.store, cloudwatch.Config{
		Account: c.Account, Region: c.Region, Metrics: &e.metrics, Functions: alarmFunctions{e.lambda}, Topics: alarmTopics{e.sns}, Events: alarmEvents{e.events}, Logger: c.Logger,
	}); err != nil {
		return err
	}
	e.httpAPIs = httpapi.New(httpapi.Config{
		Account: c.Account, Region: c.Region, Endpoint: e.endpoint, Functions: httpFunctions{e.lambda}, Log: e.logs.Append, Metrics: &e.metrics, Meter: e.meter, Logger: c.Logger,
	})
	if e.issuer, err = oidc.New(e.endpoint, e.audience(), c.Logger); err != nil {
		return err
	}
	e.meter.CustomMetrics(e.cloudwatch.CustomMetrics)
	return nil
}

// logOverhead is what CloudWatch Logs adds to a line when it measures it
// ("PutLogEvents", CloudWatch Logs API reference).
const logOverhead = 26

// callingFunction names the Lambda function that makes the request being
// answered: the session of its role, which Lambda names after it. It is empty
// for who has no role.
func (e *Environment) callingFunction(ctx context.Context) string {
	who, err := e.iam.Identify(awswire.CallerFrom(ctx).AccessKeyID)
	if err != nil {
		return "" // outside of a request
	}
	_, session, _ := strings.Cut(who.ARN, ":assumed-role/")
	_, name, _ := strings.Cut(session, "/")
	return name
}

// reset removes directories of an environment that no other process runs.
func reset(storeDir, logsDir string) error {
	if _, err := os.Stat(storeDir); errors.Is(err, os.ErrNotExist) {
		return os.RemoveAll(logsDir)
	}
	// Opening it proves that nobody else has it open.
	st, err := store.Open(storeDir)
	if err != nil {
		return err
	}
	return errors.Join(st.Close(), os.RemoveAll(storeDir), os.RemoveAll(logsDir))
}

// mux puts the services' wire protocols on one mux.
func (e *Environment) mux() *awswire.Mux {
	mux := awswire.NewMux(e.config.Logger)
	mux.JSON(sqs.Target, "1.0", e.sqs.Operations())
	mux.Query(sqs.QueryName, e.sqs.Query())
	mux.JSON(eventbridge.WireTarget, "1.1", e.events.Operations())
	mux.JSON(dynamodb.Target, "1.0", e.dynamodb.Operations())
	mux.JSON(secretsmanager.Target, "1.1", e.secrets.Operations())
	mux.JSON(logs.Target, "1.1", e.logs.Operations())
	mux.CBOR(cloudwatch.CBORName, e.cloudwatch.Operations(), cloudwatch.Times...)
	mux.JSON(cloudwatch.Target, "1.0", e.cloudwatch.Operations())
	mux.Query(cloudwatch.QueryName, e.cloudwatch.Query())
	mux.Query(sns.QueryName, e.sns.Query())
	mux.JSON(tagging.Target, "1.1", tagging.Operations(e.lambda.Tags))
	mux.Query(sts.Service, sts.Query(e.config.Account, e.iam))
	mux.Query(cloudformation.Service, cloudformation.Stacks(e.deployed).Query())
	e.lambda.Register(mux)
	mux.Guard(e.iam)
	return mux
}

// serve answers the services' wire protocols.
func (e *Environment) serve(listener net.Listener) {
	e.server = &http.Server{
		Handler:           e.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// No write timeout: a long poll, and an invocation, may take minutes.
		ErrorLog: slog.NewLogLogger(e.config.Logger.Handler(), slog.LevelWarn),
	}
	go func() { e.served <- e.server.Serve(listener) }()
}

// Endpoint is the URL that serves every service, for AWS_ENDPOINT_URL.
func (e *Environment) Endpoint() string { return e.endpoint }

// Region is the region of every ARN, for AWS_REGION.
func (e *Environment) Region() string { return e.config.Region }

// Names are the names of the environment's resources.
func (e *Environment) Names() names.Names {
	return names.New(e.config.Snapshot.App, e.config.Snapshot.Env)
}

// audience is whom the test issuer's tokens are for.
func (e *Environment) audience() string {
	if e.config.Snapshot == nil {
		return ""
	}
	return e.Names().Bus()
}

// BusStats are figures of the bus since the start.
func (e *Environment) BusStats() eventbridge.Stats { return e.events.Stats() }

// shutdownTimeout bounds how long Close waits for requests under way.
const shutdownTimeout = 5 * time.Second

// Close stops the functions, kills their processes, stops serving, and closes
// the store. What was being handled is handled again after the next Start. It
// returns when everything has ended; calling it again does nothing.
func (e *Environment) Close() error {
	var errs []error
	if e.cloudwatch != nil {
		e.cloudwatch.Stop() // it still answers, but no alarm acts
	}
	if e.events != nil {
		e.events.Close() // it still answers, but runs no schedule
	}
	if e.lambda != nil {
		errs = append(errs, e.lambda.Close())
		e.lambda = nil
	}
	if e.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if err := e.server.Shutdown(ctx); err != nil {
			// A long poll under way: its client will find the port closed.
			errs = append(errs, e.server.Close())
		}
		<-e.served
		e.server = nil
	}
	if e.dynamodb != nil {
		e.dynamodb.Close()
		e.dynamodb = nil
	}
	if e.secrets != nil {
		e.secrets.Close()
		e.secrets = nil
	}
	if e.sqs != nil {
		e.sqs.Close()
		e.sqs = nil
	}
	if e.logs != nil {
		errs = append(errs, e.logs.Close())
		e.logs = nil
	}
	if e.meter != nil {
		errs = append(errs, e.meter.Close())
		e.meter = nil
	}
	if e.cloudwatch != nil {
		errs = append(errs, e.cloudwatch.Flush())
		e.cloudwatch = nil
	}
	if e.store != nil {
		errs = append(errs, e.store.Close())
		e.store = nil
	}
	return errors.Join(errs...)
}
