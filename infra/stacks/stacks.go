// Package stacks provisions a project on AWS with the CDK.
//
// Each function has a stack of its own, so that a change of one never moves its
// neighbours:
//
//	<app>-<env>-bus         the event bus, its log, archive and key; its name and
//	                        ARN as parameters and exports
//	<app>-<env>-data        the outbox and its relay, deduplication marks, tables.json
//	<app>-<env>-operations  the topic by which people are told, the breaker, the
//	                        dashboard, alarms of what all functions share
//	<app>-<env>-<function>  program, role, log group; of each subscription the
//	                        rule, queue, DLQs, event source mapping and alarms
//	<app>-<env>-callback    what sends the results of asynchronous calls, where a
//	                        function has topics
//	<app>-<env>-access      managed policies for applications that publish, and for
//	                        people who use the command
//	<app>-<env>-user-pool   the people who sign in, and what announces it, where
//	                        the environment has a user pool
//	<app>-<env>-storage     the data API: rows of users, function sessions; where
//	                        one is wanted
//	<app>-<env>-schemas     the registry of event schemas, where one is wanted
//
// The bus is deployed before the data, and the data before the functions. Stacks
// refer to each other by the names of package names alone, never by CloudFormation
// exports, which would lock them together. Everything a function has, its
// permissions included, follows from its manifest.
//
// The templates are plain: no custom resource, no helper function of the CDK's,
// no policy that the CDK derived. What stands in a template, a line here wrote.
//
// An adopter's whole CDK app is ten lines; see infra/main.go of Penstock's own
// repository. Like the CDK's constructors, those of this package panic with an
// error when something is wrong, which Exit prints plainly.
package stacks

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// DefaultApp is the application's name where none is given.
const DefaultApp = "penstock"

// Props says what to provision.
type Props struct {
	// Root is the project: its functions, schemas, infra/tables.json and so on.
	// Required; os.DirFS(".") in a CDK app, which the CDK starts in the root.
	Root fs.FS

	// App names the application, and so every resource: lower-case letters,
	// digits and hyphens. Default DefaultApp.
	App string

	// Env is the environment; Environment reads it. Required.
	Env manifest.Environment

	// Build compiles the program of a function for Lambda. It takes the value
	// that names.CodeMetadata has in the template, and returns the folder that
	// holds the program as "bootstrap". Default: the go command, run in the
	// working directory, which must be the project's root; but if the context
	// says "penstock:build": false (names.BuildContext), a stand-in, for one
	// who needs the templates and not the programs, as `penstock dev` does.
	Build func(code string) (dir string, err error)

	// Now is the time by which the tombstones of deleted subscriptions end.
	// Default time.Now.
	Now func() time.Time
}

// Stacks are the stacks of one environment: those that all functions share, and
// by way of Function each function's own.
type Stacks struct {
	Bus        *Bus
	Data       *Data
	Operations *Operations
	Access     *Access

	// Callback sends the results of asynchronous calls to those who wait for them.
	// It is nil where no function has topics.
	Callback *Function

	// Schemas is nil in an environment without a schema registry.
	Schemas *Schemas

	// UserPool is nil in an environment without one.
	UserPool *UserPool

	// Storage is nil in an environment without a data API.
	Storage *Storage

	project   *project
	functions map[string]*Function
}

// New adds the stacks of an environment to a CDK app, to be extended, and
// synthesized by Stacks.Synth. It panics with an error
// that joins every fault of the manifests and other files it reads.
func New(app awscdk.App, props *Props) *Stacks {
	p := *props
	if p.App == "" {
		p.App = DefaultApp
	}
	n := names.New(p.App, p.Env.Name)
	declared, err := load(p.Root, p.Env, n)
	if err != nil {
		panic(err)
	}
	if p.Build == nil {
		dir := filepath.Join(*app.Outdir(), "programs")
		p.Build = goBuild(dir)
		// The CDK's command makes text of what it is given by -c.
		if build := app.Node().TryGetContext(jsii.String(names.BuildContext)); build == false || build == "false" {
			p.Build = noBuild(dir)
		}
	}
	p.Build = onceEach(p.Build)
	if p.Now == nil {
		p.Now = time.Now
	}

	in := &project{app: app, props: p, names: n, types: declared.types, now: p.Now()}
	s := &Stacks{project: in, functions: map[string]*Function{}}
	s.Bus = newBus(in)
	if p.Env.SchemaRegistry {
		s.Schemas = newSchemas(in)
	}
	s.Access = newAccess(in)
	s.Data = newData(in, declared.tables, declared.functions)
	s.Data.Stack.AddStackDependency(s.Bus.Stack, nil)
	system := manifest.System(declared.functions)
	s.Operations = newOperations(in, slices.Concat(declared.functions, system))
	s.Operations.Stack.AddStackDependency(s.Data.Stack, nil)
	for i := range system {
		s.Callback = newCallback(in, &system[i])
		s.Callback.Stack.AddStackDependency(s.Operations.Stack, nil)
	}
	if p.Env.UserPool != nil {
		s.UserPool = newUserPool(in)
		s.UserPool.Stack.AddStackDependency(s.Operations.Stack, nil)
	}
	if p.Env.StorageAPI {
		s.Storage = newStorage(in)
		s.Storage.Stack.AddStackDependency(s.Operations.Stack, nil)
		if s.UserPool != nil { // whose parameters it reads
			s.Storage.Stack.AddStackDependency(s.UserPool.Stack, nil)
		}
	}
	for i := range declared.functions {
		f := newFunction(in, &declared.functions[i])
		f.Stack.AddStackDependency(s.Operations.Stack, nil)
		if f.Async != nil {
			f.Stack.AddStackDependency(s.Callback.Stack, nil)
		}
		s.functions[f.Manifest.Name] = f
	}
	return s
}

// Function returns the construct of a function by its short name, to extend:
// its stack, program, role and subscriptions. It panics if there is none.
func (s *Stacks) Function(name string) *Function {
	f, ok := s.functions[name]
	if !ok {
		panic(fmt.Errorf("no function %q: there is no %s/%s/%s", name, manifest.FunctionsDir, name, manifest.FileName))
	}
	return f
}

// manifests returns those of all functions, sorted by name.
func (s *Stacks) manifests() []manifest.Function {
	var all []manifest.Function
	for _, name := range slices.Sorted(maps.Keys(s.functions)) {
		all = append(all, *s.functions[name].Manifest)
	}
	return all
}

// declared is all that the stacks are made of.
type declared struct {
	functions []manifest.Function
	tables    manifest.Tables
	types     *schema.Set
}

// load reads and checks what a project declares.
func load(root fs.FS, env manifest.Environment, n names.Names) (d declared, err error) {
	if err := n.Validate(); err != nil {
		return d, err
	}
	if err := env.Validate(); err != nil {
		return d, fmt.Errorf("environment %q: %w", env.Name, err)
	}
	if d.tables, err = manifest.LoadTables(root); err != nil {
		return d, err
	}
	if d.functions, err = manifest.Load(root); err != nil {
		return d, err
	}
	if d.types, err = schema.LoadProject(root); err != nil {
		return d, err
	}
	return d, errors.Join(manifest.Check(d.functions, n), manifest.CheckEnvironment(d.functions, env), manifest.CheckLoops(d.functions), manifest.CheckTypes(d.functions, d.types))
}

// A project is what every stack of New is made from.
type project struct {
	app   awscdk.App
	props Props
	names names.Names
	types *schema.Set // every event type
	now   time.Time
}

// newStack makes the stack of a part: a shared one, or a function's.
func (p *project) newStack(part string) awscdk.Stack {
	env := p.props.Env
	name := p.names.Stack(part)
	synthesizer := &awscdk.DefaultStackSynthesizerProps{}
	if env.Endpoint != "" {
		// Nothing was bootstrapped behind an endpoint: no version to look up,
		// and no bucket whose name holds the account and region.
		synthesizer.GenerateBootstrapVersionRule = jsii.Bool(false)
		synthesizer.FileAssetsBucketName = jsii.String(p.names.Bus() + "-assets")
	}
	tags := map[string]*string{}
	for key, value := range env.Tags {
		tags[key] = &value
	}
	return awscdk.NewStack(p.app, &name, &awscdk.StackProps{
		Tags:                  &tags,
		StackName:             &name,
		Env:                   &awscdk.Environment{Account: optional(env.Account), Region: optional(env.Region)},
		TerminationProtection: &env.TerminationProtection,
		AnalyticsReporting:    jsii.Bool(false), // no AWS::CDK::Metadata in the template
		Synthesizer:           awscdk.NewDefaultStackSynthesizer(synthesizer),
	})
}

// optional is nil for the empty string.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
