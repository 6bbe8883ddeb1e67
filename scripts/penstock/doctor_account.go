package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
)

const (
	// bootstrapParameter holds the version of the account's bootstrap stack
	// ("AWS CDK bootstrapping", for the qualifier that the CDK has by default).
	bootstrapParameter = "/cdk-bootstrap/hnb659fds/version"
	// leastBootstrap is the version that the templates' own rule asks for.
	leastBootstrap = 6
	// rulesQuota is "Number of rules" per event bus of the service "events"
	// ("Amazon EventBridge endpoints and quotas", AWS General Reference).
	rulesQuota = "L-244521F2"
	// quietAlarm is the alarm of a subscription that is raised to test who is told:
	// unlike the breaker's, it does nothing else.
	quietAlarm = "dlq"
)

const unlikeAWS = "there is none on this machine"

// bootstrap checks that the CDK can deploy to the account.
func (d *doctor) bootstrap(ctx context.Context) ([]finding, error) {
	if !d.onAWS() {
		return []finding{{State: notChecked, Detail: unlikeAWS}}, nil
	}
	wayOut := fmt.Sprintf("npx %s bootstrap aws://%s/%s", cdkcli.Package, cmp.Or(d.Env.Account, "ACCOUNT"), d.AWS.Region)
	out, err := ssm.NewFromConfig(d.AWS).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(bootstrapParameter)})
	var missing *ssmtypes.ParameterNotFound
	if errors.As(err, &missing) {
		return []finding{{State: failure, Detail: "the CDK has not been bootstrapped in this account and region", WayOut: wayOut}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the parameter %s: %w", bootstrapParameter, err)
	}
	version, err := strconv.Atoi(aws.ToString(out.Parameter.Value))
	if err != nil {
		return nil, fmt.Errorf("the parameter %s is %q, which is no version", bootstrapParameter, aws.ToString(out.Parameter.Value))
	}
	if version < leastBootstrap {
		return []finding{{State: failure, Detail: fmt.Sprintf("version %d, and %d is the least", version, leastBootstrap), WayOut: wayOut}}, nil
	}
	return []finding{{State: ok, Detail: fmt.Sprintf("version %d", version)}}, nil
}

// quotas compares the account's real numbers with what the project uses.
func (d *doctor) quotas(ctx context.Context) ([]finding, error) {
	if !d.onAWS() {
		return []finding{{State: notChecked, Detail: unlikeAWS}}, nil
	}
	settings, err := lambda.NewFromConfig(d.AWS).GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil {
		return nil, fmt.Errorf("asking for Lambda's quotas: %w", err)
	}
	rules, err := servicequotas.NewFromConfig(d.AWS).GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("events"), QuotaCode: aws.String(rulesQuota)})
	if err != nil {
		return nil, fmt.Errorf("asking for EventBridge's quotas: %w", err)
	}
	invocations, subscriptions := 0, 0
	for _, f := range d.functions {
		invocations += len(f.Subscriptions) * f.MaxConcurrency
		subscriptions += len(f.Subscriptions)
	}
	return []finding{
		compareQuota("concurrent invocations", invocations, int(settings.AccountLimit.ConcurrentExecutions), d.Env.Quotas.Concurrency,
			"concurrency", "lower maxConcurrency in function.json files, or ask for more: Service Quotas, AWS Lambda, Concurrent executions"),
		compareQuota("rules on a bus", subscriptions, int(aws.ToFloat64(rules.Quota.Value)), d.Env.Quotas.RulesPerBus,
			"rulesPerBus", "ask for more: Service Quotas, Amazon EventBridge, Number of rules"),
	}, nil
}

// compareQuota compares what is used at most with what the account has, and with
// what environments.json says that it has.
func compareQuota(what string, used, quota, declared int, setting, wayOut string) finding {
	f := finding{Check: "quota: " + what, State: ok, Detail: fmt.Sprintf("%d of %d", used, quota)}
	switch {
	case used > quota:
		f.State, f.WayOut = failure, wayOut
	case declared > quota:
		f.State = warning
		f.Detail += fmt.Sprintf(", and %s says %d", manifest.EnvironmentsFile, declared)
		f.WayOut = fmt.Sprintf(`set "quotas": {"%s": %d}, so that a synthesis refuses what the account cannot run`, setting, quota)
	case used*5 > quota*4:
		f.State, f.WayOut = warning, "it is more than four fifths: "+wayOut
	}
	return f
}

// alarms checks who is told of them.
func (d *doctor) alarms(ctx context.Context) ([]finding, error) {
	topic, err := d.topic(ctx)
	if err != nil {
		return nil, err
	}
	told := map[string]bool{} // an address, and whether it has confirmed
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(d.AWS), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		var missing *snstypes.NotFoundException
		if errors.As(err, &missing) {
			return []finding{{State: failure, Detail: "the topic " + d.Names.Topic() + " is not there", WayOut: "deploy the environment"}}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("asking who is told of alarms: %w", err)
		}
		for _, s := range page.Subscriptions {
			// Until it is confirmed, "PendingConfirmation" stands in the ARN's place.
			told[aws.ToString(s.Endpoint)] = arn.IsARN(aws.ToString(s.SubscriptionArn))
		}
	}
	var findings []finding
	confirmed := 0
	for _, address := range sorted(told) {
		if told[address] {
			confirmed++
			continue
		}
		findings = append(findings, finding{State: warning, Detail: address + " has not confirmed, and is told nothing",
			WayOut: "follow the link in the mail \"AWS Notification - Subscription Confirmation\"; it is valid for two days, then a deployment with another address and back sends a new one"})
	}
	for _, address := range d.Env.AlarmEmails {
		if _, there := told[address]; !there {
			findings = append(findings, finding{State: warning, Detail: address + " is in " + manifest.EnvironmentsFile + ", and not told", WayOut: "deploy the environment"})
		}
	}
	switch {
	case confirmed > 0:
		findings = append(findings, finding{State: ok, Detail: fmt.Sprintf("told to %d", confirmed)})
	case len(findings) == 0:
		findings = append(findings, finding{State: warning, Detail: "nobody is told of alarms", WayOut: fmt.Sprintf(`name somebody in %s ("alarmEmails" of %s), and deploy`, manifest.EnvironmentsFile, d.Env.Name)})
	}
	return findings, nil
}

// topic is the ARN of the topic that alarms tell.
func (d *doctor) topic(ctx context.Context) (string, error) {
	who, err := sts.NewFromConfig(d.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	caller, err := arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return "", err
	}
	return arn.ARN{Partition: caller.Partition, Service: "sns", Region: d.AWS.Region, AccountID: aws.ToString(who.Account), Resource: d.Names.Topic()}.String(), nil
}

// testAlarm raises an alarm that does nothing but tell people: that of the first
// dead-letter queue which is deployed. Whoever is told hears of a change of state
// alone, so that one which is raised already tells nobody.
func (d *doctor) testAlarm(ctx context.Context) ([]finding, error) {
	client := cloudwatch.NewFromConfig(d.AWS)
	for _, f := range d.functions {
		for _, s := range f.Subscriptions {
			name := d.Names.Alarm(f.Name, s.Name, quietAlarm)
			_, err := client.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
				AlarmName: &name, StateValue: cloudwatchtypes.StateValueAlarm, StateReason: aws.String("a test by penstock doctor: nothing is wrong"),
			})
			var missing *cloudwatchtypes.ResourceNotFound
			if errors.As(err, &missing) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("raising the alarm %s: %w", name, err)
			}
			return []finding{{State: ok, Detail: "raised " + name + ": ask those who are told (it tells nobody if it was raised already)"}}, nil
		}
	}
	return []finding{{State: failure, Detail: "no subscription has an alarm", WayOut: "deploy the environment"}}, nil
}

// drift compares what runs with what the manifests say.
func (d *doctor) drift(ctx context.Context) ([]finding, error) {
	live := make([]listedFunction, len(d.functions))
	client := lambda.NewFromConfig(d.AWS)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, f := range d.functions {
		group.Go(func() (err error) {
			live[i], err = listFunction(ctx, client, d.Names, f)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("looking at what is deployed: %w", err)
	}
	var findings []finding
	for i, f := range d.functions {
		for j, s := range f.Subscriptions {
			findings = append(findings, compareMapping(f, s, live[i].Receives[j]))
		}
	}
	if len(findings) == 0 {
		findings = []finding{{State: notChecked, Detail: "the project has none"}}
	}
	return findings, nil
}

// compareMapping compares a subscription with its mapping.
func compareMapping(f manifest.Function, s manifest.Subscription, live listedSubscription) finding {
	out := finding{Check: "subscription: " + f.Name + "/" + s.Name, State: ok, Detail: live.State}
	if live.State == notDeployed {
		out.State, out.WayOut = failure, "deploy the environment"
		return out
	}
	var differences []string
	differs := func(what string, live int32, manifest int) {
		if int(live) != manifest {
			differences = append(differences, fmt.Sprintf("%s is %d, and %d in function.json", what, live, manifest))
		}
	}
	differs("batch size", live.BatchSize, s.BatchSize)
	differs("batch window", live.WindowSeconds, s.BatchWindowSeconds)
	differs("maximum concurrency", live.MaxConcurrency, f.MaxConcurrency)
	switch {
	case len(differences) > 0:
		out.State, out.Detail, out.WayOut = warning, strings.Join(differences, "; "), "deploy the environment, or write into function.json what is meant to stay"
	case (s.Enabled == nil || *s.Enabled) && strings.HasPrefix(live.State, "disabl"):
		out.State, out.WayOut = warning, "a person or the breaker has stopped it, and its events queue for four days: find out why, then `penstock subscriptions enable "+f.Name+"/"+s.Name+"`"
	}
	return out
}
