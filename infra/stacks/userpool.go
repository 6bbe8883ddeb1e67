package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscognito"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// UserPool is the stack of the people who sign in, in an environment that has
// "userPool". What they do becomes events:
//
//	Pool ── post authentication, post confirmation ──▶ Trigger ──▶ bus
//	                                                    │   ▲
//	                         not within a second ──▶ Unsent ┘ ──▶ DLQ
type UserPool struct {
	Stack  awscdk.Stack
	Pool   awscognito.CfnUserPool
	Client awscognito.CfnUserPoolClient

	// Trigger is the program that Cognito calls, and that empties Unsent.
	Trigger *Program
	Unsent  awssqs.Queue
	DLQ     awssqs.Queue
}

// authEvents are what the trigger publishes.
var authEvents = source{"auth", []string{"auth/AUTH_LOGIN", "auth/AUTH_REGISTER"}}

const (
	// The trigger gives a person two seconds at most; the rest is for messages of
	// the queue, at a bus that throttles.
	triggerTimeoutSeconds = 30
	triggerBatchSize      = 10
	unsentReceives        = 20
)

func newUserPool(p *project) *UserPool {
	u := &UserPool{Stack: p.newStack(names.UserPoolStack)}
	u.newTrigger(p)
	u.newPool(p)
	u.alarms(p)
	return u
}

func (u *UserPool) newTrigger(p *project) {
	n := p.names
	u.DLQ = newQueue(u.Stack, "DLQ", &awssqs.QueueProps{
		QueueName:       jsii.String(n.DLQ(names.AuthTrigger, "unsent")),
		RetentionPeriod: days(dlqRetentionDays),
	}, p.keyARN())
	u.Unsent = newQueue(u.Stack, "Unsent", &awssqs.QueueProps{
		QueueName:         jsii.String(n.Queue(names.AuthTrigger, "unsent")),
		RetentionPeriod:   days(queueRetentionDays),
		VisibilityTimeout: seconds(6 * triggerTimeoutSeconds),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: u.DLQ, MaxReceiveCount: jsii.Number(unsentReceives)},
	}, p.keyARN())
	u.Trigger = newProgram(p, u.Stack, "Trigger", program{
		name:           names.AuthTrigger,
		description:    "Announces sign-ins and registrations",
		code:           names.SystemPackages + names.AuthTrigger,
		memoryMB:       256,
		timeoutSeconds: triggerTimeoutSeconds,
		environment: map[string]string{
			names.VarApp:         n.App,
			names.VarEnv:         n.Env,
			names.VarFunction:    names.AuthTrigger,
			names.VarBus:         n.Bus(),
			names.VarUnsentQueue: *u.Unsent.QueueUrl(),
		},
		policy: []statement{
			putEvents(n, authEvents),
			{
				actions:   []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"},
				resources: []*string{queueARN(n.Queue(names.AuthTrigger, "unsent"))},
			},
		},
	})
	awslambda.NewCfnEventSourceMapping(u.Stack, jsii.String("Mapping"), &awslambda.CfnEventSourceMappingProps{
		FunctionName:          u.Trigger.Lambda.FunctionName(),
		EventSourceArn:        u.Unsent.QueueArn(),
		BatchSize:             jsii.Number(triggerBatchSize),
		FunctionResponseTypes: jsii.Strings("ReportBatchItemFailures"),
		// What waits here is in no hurry, and must not take what sign-ins need.
		ScalingConfig: &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: jsii.Number(2)},
	})
}

// newPool adds the pool, whose people sign in with their address and a password,
// and one client for applications that keep no secret, such as a page in a
// browser.
func (u *UserPool) newPool(p *project) {
	env := p.props.Env
	protection := "INACTIVE"
	if env.RemovalProtection {
		protection = "ACTIVE"
	}
	mfa := "OPTIONAL"
	if env.UserPool.MFA == manifest.MFARequired {
		mfa = "ON"
	}
	trigger := u.Trigger.Lambda.FunctionArn()
	u.Pool = awscognito.NewCfnUserPool(u.Stack, jsii.String("Pool"), &awscognito.CfnUserPoolProps{
		UserPoolName:           jsii.String(p.names.UserPool()),
		UsernameAttributes:     jsii.Strings("email"),
		UsernameConfiguration:  &awscognito.CfnUserPool_UsernameConfigurationProperty{CaseSensitive: jsii.Bool(false)},
		AutoVerifiedAttributes: jsii.Strings("email"),
		// An address that is changed is the person's once it has been confirmed.
		UserAttributeUpdateSettings: &awscognito.CfnUserPool_UserAttributeUpdateSettingsProperty{AttributesRequireVerificationBeforeUpdate: jsii.Strings("email")},
		AdminCreateUserConfig:       &awscognito.CfnUserPool_AdminCreateUserConfigProperty{AllowAdminCreateUserOnly: jsii.Bool(!env.UserPool.SelfSignUp)},
		AccountRecoverySetting: &awscognito.CfnUserPool_AccountRecoverySettingProperty{RecoveryMechanisms: []any{
			&awscognito.CfnUserPool_RecoveryOptionProperty{Name: jsii.String("verified_email"), Priority: jsii.Number(1)},
		}},
		Policies: &awscognito.CfnUserPool_PoliciesProperty{PasswordPolicy: &awscognito.CfnUserPool_PasswordPolicyProperty{
			MinimumLength: jsii.Number(12), RequireLowercase: jsii.Bool(true), RequireUppercase: jsii.Bool(true), RequireNumbers: jsii.Bool(true), RequireSymbols: jsii.Bool(true),
			TemporaryPasswordValidityDays: jsii.Number(7),
		}},
		MfaConfiguration:   &mfa,
		EnabledMfas:        jsii.Strings("SOFTWARE_TOKEN_MFA"),
		DeletionProtection: &protection,
		LambdaConfig:       &awscognito.CfnUserPool_LambdaConfigProperty{PostAuthentication: trigger, PostConfirmation: trigger},
	})
	u.Pool.ApplyRemovalPolicy(p.removal(), nil)
	if mfa != "ON" {
		suppress(u.Pool, "AwsSolutions-COG2", "The environment says that a second factor is for each person to choose (userPool: mfa).")
	}
	for _, rule := range []string{"AwsSolutions-COG3", "AwsSolutions-COG8"} {
		suppress(u.Pool, rule, "Threat protection, of the Plus plan, is billed by the person; who wants it sets it on the construct.")
	}
	awslambda.NewCfnPermission(u.Stack, jsii.String("Permission"), &awslambda.CfnPermissionProps{
		Action:        jsii.String("lambda:InvokeFunction"),
		FunctionName:  u.Trigger.Lambda.FunctionName(),
		Principal:     jsii.String("cognito-idp.amazonaws.com"),
		SourceAccount: awscdk.Aws_ACCOUNT_ID(),
		SourceArn:     u.Pool.AttrArn(),
	})
	u.Client = awscognito.NewCfnUserPoolClient(u.Stack, jsii.String("Client"), &awscognito.CfnUserPoolClientProps{
		ClientName:                 jsii.String(p.names.UserPool()),
		UserPoolId:                 u.Pool.Ref(),
		GenerateSecret:             jsii.Bool(false),
		ExplicitAuthFlows:          jsii.Strings("ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"), // no password is ever sent
		PreventUserExistenceErrors: jsii.String("ENABLED"),
		EnableTokenRevocation:      jsii.Bool(true),
		AccessTokenValidity:        jsii.Number(60), IdTokenValidity: jsii.Number(60), RefreshTokenValidity: jsii.Number(30),
		TokenValidityUnits: &awscognito.CfnUserPoolClient_TokenValidityUnitsProperty{
			AccessToken: jsii.String("minutes"), IdToken: jsii.String("minutes"), RefreshToken: jsii.String("days"),
		},
	})
	for _, value := range []struct {
		id, key, export, description string
		value                        *string
	}{
		{"PoolId", "user-pool/id", "user-pool-id", "Id of the user pool", u.Pool.Ref()},
		{"ClientId", "user-pool/client-id", "user-pool-client-id", "Id of the user pool's client for applications without a secret", u.Client.Ref()},
	} {
		p.publish(u.Stack, value.id, value.key, value.description, value.value)
		awscdk.NewCfnOutput(u.Stack, jsii.String(value.id), &awscdk.CfnOutputProps{
			ExportName: jsii.String(p.names.Export(value.export)), Description: &value.description, Value: value.value,
		})
	}
}

func (u *UserPool) alarms(p *project) {
	n := p.names
	trigger, queue, dlq := n.Function(names.AuthTrigger), n.Queue(names.AuthTrigger, "unsent"), n.DLQ(names.AuthTrigger, "unsent")
	for _, a := range []alarm{
		{
			name: n.FunctionAlarm(names.AuthTrigger, "lost"), metric: programMetric(n, "AuthEventsLost"), stat: "Sum", minutes: 1, ofMinutes: 1,
			description: "Sign-ins or registrations were announced neither on the bus nor in the queue " + queue + ": who, and why, is in the log of " + trigger + " (AuthEventsLost).",
		},
		{
			name: n.FunctionAlarm(names.AuthTrigger, "errors"), metric: functionMetric("Errors", trigger), stat: "Sum", minutes: 1, ofMinutes: 1,
			description: "The trigger of the user pool fails, and people may be turned away: read the log of " + trigger + ".",
		},
		{
			name: n.FunctionAlarm(names.AuthTrigger, "throttles"), metric: functionMetric("Throttles", trigger), stat: "Sum", minutes: 1, ofMinutes: 1,
			description: "Lambda refuses to run the trigger of the user pool, and people may be turned away: the account has no concurrency left. Lower maxConcurrency of functions, or ask AWS for more.",
		},
		{
			name: n.FunctionAlarm(names.AuthTrigger, "dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", dlq), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: "The bus refuses sign-ins or registrations: they are in " + dlq + ", and the reason is in the log of " + trigger + ". Mend it, and move them back: SQS, Start DLQ redrive.",
		},
	} {
		a.add(p, u.Stack)
	}
}
