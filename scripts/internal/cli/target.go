package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// DefaultEnv is the environment of a command that is not told another: the one
// on this machine.
const DefaultEnv = "local"

// Flags are the flags that every command has which works on an environment.
// Add them to a command once; the zero value is ready for that.
type Flags struct {
	Env     string
	Output  string // table or json
	NoColor bool
	Debug   bool
}

// Add adds the flags to a command and its subcommands, and has them checked
// before any of these runs.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.Env, "env", DefaultEnv, "the `environment` of infra/environments.json to work on")
	flags.StringVarP(&f.Output, "output", "o", "table", "`format` of the output: table for people, json for programs")
	flags.BoolVar(&f.NoColor, "no-color", os.Getenv("NO_COLOR") != "", "print without colours, as NO_COLOR does")
	flags.BoolVar(&f.Debug, "debug", false, "log each call to AWS to stderr, never its contents, and how many requests they made")
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error { return f.check() }
	_ = cmd.RegisterFlagCompletionFunc("env", completeEnvironments)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// JSON reports whether the output is for programs.
func (f *Flags) JSON() bool { return f.Output == "json" }

// Color reports whether to print to a stream with colours: at a terminal,
// unless they are unwanted.
func (f *Flags) Color(stream any) bool { return !f.NoColor && IsTerminal(stream) }

func (f *Flags) check() error {
	if f.Output != "table" && f.Output != "json" {
		return Misusef("--output %q: want table or json", f.Output)
	}
	return nil
}

func completeEnvironments(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	root, err := project.Root()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	environments, err := manifest.LoadEnvironments(os.DirFS(root))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, e := range environments {
		out = append(out, e.Name)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// Target is the environment that a command works on.
type Target struct {
	Root  string // the project's folder
	Env   manifest.Environment
	Names names.Names
	AWS   aws.Config
}

// Target finds the project and the environment that the flags name. It makes
// no call to AWS.
func (f *Flags) Target(ctx context.Context) (*Target, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	root, err := project.Root()
	if err != nil {
		return nil, err
	}
	env, err := manifest.LoadEnvironment(os.DirFS(root), f.Env)
	if err != nil {
		return nil, Misuse{err}
	}
	app, err := project.App(root, f.Env)
	if err != nil {
		return nil, err
	}
	t := &Target{Root: root, Env: env, Names: names.New(app, f.Env)}
	t.AWS, err = f.awsConfig(ctx, env)
	return t, err
}

// awsConfig is the standard configuration of the SDK (AWS_PROFILE and so on),
// with the environment's region and endpoint where nothing else is said. The
// environment on this machine needs no credentials to be set.
func (f *Flags) awsConfig(ctx context.Context, env manifest.Environment) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if env.Region != "" {
		options = append(options, config.WithDefaultRegion(env.Region))
	}
	if env.Endpoint != "" {
		options = append(options, config.WithRegion(env.Region),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, "")))
		if os.Getenv("AWS_ENDPOINT_URL") == "" {
			options = append(options, config.WithBaseEndpoint(env.Endpoint))
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("the AWS configuration: %w", err)
	}
	// The SDK's own notes, on connections that ended for example, are nothing
	// that whoever typed the command can act on.
	cfg.Logger = logging.Nop{}
	if f.Debug {
		traceCalls(&cfg, os.Stderr, &requests)
	}
	return cfg, nil
}

// Guard compares the account and the endpoint that AWS calls would reach with
// the environment's, and refuses to go on where they differ. Every command
// calls it before it changes anything.
func (t *Target) Guard(ctx context.Context) error {
	if err := t.guardEndpoints(); err != nil {
		return err
	}
	who, err := sts.NewFromConfig(t.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return t.Explain(fmt.Errorf("asking AWS for the caller's account: %w", err))
	}
	if account := aws.ToString(who.Account); t.Env.Account != "" && account != t.Env.Account {
		return Refusedf("environment %q is account %s, and the caller is %s of account %s: choose another AWS_PROFILE, or another --env", t.Env.Name, t.Env.Account, aws.ToString(who.Arn), account)
	}
	return nil
}

func (t *Target) guardEndpoints() error {
	onAWS := t.Env.Endpoint == ""
	endpoint := aws.ToString(t.AWS.BaseEndpoint)
	switch {
	case onAWS && endpoint != "":
		return Refusedf("environment %q is on AWS, and AWS_ENDPOINT_URL is %s: unset it, or choose another --env", t.Env.Name, endpoint)
	case !onAWS && !isLoopback(endpoint):
		return Refusedf("environment %q is on this machine, and the endpoint is %q: unset AWS_ENDPOINT_URL, or choose another --env", t.Env.Name, endpoint)
	}
	for _, e := range serviceEndpoints(t.AWS) {
		switch {
		case onAWS:
			return Refusedf("environment %q is on AWS, and %s is %s: unset it, or choose another --env", t.Env.Name, e.setting, e.url)
		case !isLoopback(e.url):
			return Refusedf("environment %q is on this machine, and %s is %s: unset it, or choose another --env", t.Env.Name, e.setting, e.url)
		}
	}
	return nil
}
