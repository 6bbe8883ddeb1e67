package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Health is what a check came to.
type health string

const (
	ok         health = "ok"
	warning    health = "warning"     // works, and will surprise someone
	failure    health = "failure"     // does not work
	notChecked health = "not checked" // nothing to look at here; the detail says why
)

// finding is what a check found, as programs see it.
type finding struct {
	Check  string `json:"check"`
	State  health `json:"state"`
	Detail string `json:"detail"`
	WayOut string `json:"wayOut,omitempty"` // of a warning or a failure
}

// A check looks at one subject, and returns all that it found there. An error is
// a failure without a known way out.
type check struct {
	name string
	run  func(context.Context) ([]finding, error)
}

func newDoctor(common *cli.Flags) *cobra.Command {
	var testAlarm bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what an environment needs, and what keeps it from working",
		Long: `Check what an environment needs, and what keeps it from working: the tools on
this machine, the project's snapshots, the caller's account, the CDK's
bootstrap, the account's quotas, who is told of alarms, and whether what runs is
what the manifests say.

It changes nothing, but for --test-alarm, which raises one of the environment's
alarms: whoever its topic tells should hear of it. CloudWatch takes the alarm
back at its next evaluation.

The exit status is 1 if anything is a failure.`,
		Example: "  penstock doctor\n  penstock doctor --env prod --test-alarm",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := common.Target(cmd.Context())
			if err != nil {
				return err
			}
			d := &doctor{Target: target}
			if d.functions, err = manifest.Load(os.DirFS(target.Root)); err != nil {
				return err
			}
			findings := d.examine(cmd.Context(), testAlarm)
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if common.JSON() {
				err = cli.JSON(cmd.OutOrStdout(), findings)
			} else {
				err = printFindings(cmd, findings)
			}
			if err == nil && slices.ContainsFunc(findings, func(f finding) bool { return f.State == failure }) {
				err = cli.ErrTold
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&testAlarm, "test-alarm", false, "raise an alarm, to see who is told")
	return cmd
}

// printFindings prints a table, and the ways out below it.
func printFindings(cmd *cobra.Command, findings []finding) error {
	var rows [][]string
	for _, f := range findings {
		rows = append(rows, []string{string(f.State), f.Check, f.Detail})
	}
	if err := cli.Table(cmd.OutOrStdout(), []string{"STATE", "CHECK", "FOUND"}, rows); err != nil {
		return err
	}
	for _, f := range findings {
		if f.WayOut != "" {
			fmt.Fprintf(cmd.OutOrStdout(), "\n%s: %s: %s\n  %s\n", f.State, f.Check, f.Detail, f.WayOut)
		}
	}
	return nil
}

// doctor examines one environment.
type doctor struct {
	*cli.Target
	functions []manifest.Function
}

// onAWS says whether the environment is on AWS, and not on this machine.
func (d *doctor) onAWS() bool { return d.Env.Endpoint == "" }

// examine runs every check, one after the other. What asks AWS is left out when
// it cannot be reached by the right account.
func (d *doctor) examine(ctx context.Context, testAlarm bool) []finding {
	findings := runChecks(ctx, []check{{"tools", d.tools}, {"snapshots", d.snapshots}, {"account", d.account}})
	asking := []check{{"bootstrap", d.bootstrap}, {"quotas", d.quotas}, {"alarms", d.alarms}, {"subscriptions", d.drift}}
	if testAlarm {
		asking = append(asking, check{"test alarm", d.testAlarm})
	}
	if last := findings[len(findings)-1]; last.State == failure {
		for _, c := range asking {
			findings = append(findings, finding{Check: c.name, State: notChecked, Detail: "the account could not be asked"})
		}
		return findings
	}
	return append(findings, runChecks(ctx, asking)...)
}

func runChecks(ctx context.Context, checks []check) []finding {
	var all []finding
	for _, c := range checks {
		findings, err := c.run(ctx)
		if err != nil {
			findings = append(findings, finding{State: failure, Detail: err.Error()})
		}
		for _, f := range findings {
			f.Check = cmp.Or(f.Check, c.name)
			all = append(all, f)
		}
	}
	return all
}

// account checks that the caller is of the environment's account.
func (d *doctor) account(ctx context.Context) ([]finding, error) {
	err := d.Guard(ctx)
	var refused cli.Refused
	switch {
	case errors.As(err, &refused):
		return []finding{{State: failure, Detail: "the calls would go elsewhere", WayOut: err.Error()}}, nil
	case err != nil:
		return []finding{{State: failure, Detail: "AWS cannot be asked who calls", WayOut: err.Error()}}, nil
	case d.Env.Account == "":
		return []finding{{State: warning, Detail: fmt.Sprintf("environment %s is of any account", d.Env.Name),
			WayOut: fmt.Sprintf(`name it in %s ("account" of %s): then nobody deploys or changes another by mistake`, manifest.EnvironmentsFile, d.Env.Name)}}, nil
	}
	return []finding{{State: ok, Detail: fmt.Sprintf("account %s, region %s", d.Env.Account, d.AWS.Region)}}, nil
}
