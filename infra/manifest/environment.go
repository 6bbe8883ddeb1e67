package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// EnvironmentsFile is where a project declares its environments.
const EnvironmentsFile = "infra/environments.json"

// Environment is one deployment, such as local, dev or prod. Two environments
// differ by nothing but these values.
type Environment struct {
	// Name is its name in environments.json: lower-case letters, digits and
	// hyphens, beginning with a letter.
	Name string `json:"-"`

	// Account is the AWS account, 12 digits. Empty: the account of whoever
	// deploys.
	Account string `json:"account,omitempty"`

	// Region is the AWS region, such as "eu-west-1". Empty: the region of
	// whoever deploys.
	Region string `json:"region,omitempty"`

	// Endpoint is the URL that stands in for AWS. Only an environment on this
	// machine has one; nothing has been bootstrapped there for the CDK.
	Endpoint string `json:"endpoint,omitempty"`

	// RemovalProtection keeps tables: DynamoDB refuses to delete them, and
	// CloudFormation leaves them, the bus, its archive and its key when their
	// stack goes. Default false.
	RemovalProtection bool `json:"removalProtection"`

	// TerminationProtection makes CloudFormation refuse to delete a stack.
	// Default false.
	TerminationProtection bool `json:"terminationProtection"`

	// PointInTimeRecovery lets tables be restored to any second of the last 35
	// days. Default false.
	PointInTimeRecovery bool `json:"pointInTimeRecovery"`

	// SchemaRegistry has an EventBridge schema registry describe every event
	// type of the project. Default false; an environment on this machine has
	// none.
	SchemaRegistry bool `json:"schemaRegistry,omitempty"`

	// StorageAPI provisions the data API: rows of users over HTTP, for people and
	// for function sessions. Default false.
	StorageAPI bool `json:"storageApi,omitempty"`

	// SessionMinutes is how long a function session is valid: 10 to 20, default 15.
	SessionMinutes int `json:"sessionMinutes,omitempty"`

	// OIDCIssuers are those whose people may use the data API, besides those of the
	// environment's user pool, if it has one. An environment on this machine has a
	// test issuer and no other.
	OIDCIssuers []OIDCIssuer `json:"oidcIssuers,omitempty"`

	// LogRetentionDays is how long CloudWatch keeps what functions print, and
	// the bus's log; one of the numbers that it takes. Required.
	LogRetentionDays int `json:"logRetentionDays"`

	// BusLogLevel has the bus log what becomes of events: "error" says which
	// could not be delivered, "info" also which were, "trace" each step. The
	// log never holds an event's detail. Empty: no log.
	BusLogLevel LogLevel `json:"busLogLevel,omitempty"`

	// ArchiveRetentionDays is how long the bus's archive keeps every event, to
	// be replayed: 1 to 3650. 0 or nothing: there is no archive.
	ArchiveRetentionDays int `json:"archiveRetentionDays,omitempty"`

	// EncryptionKey is what the bus, its archive, queues, tables, logs and
	// functions' variables are encrypted with: CreateKey, for a key of KMS that
	// the bus stack makes, or the ARN of one that is there, in the same account
	// and region, whose policy admits what that of a made key does. Empty: keys
	// that belong to the services, which cost nothing and have no policy.
	EncryptionKey string `json:"encryptionKey,omitempty"`

	// AlarmEmails are the addresses that alarms are sent to, once each has
	// confirmed. Empty: alarms are seen in CloudWatch alone.
	AlarmEmails []string `json:"alarmEmails,omitempty"`

	// Tags are put on every resource that takes tags.
	Tags map[string]string `json:"tags,omitempty"`

	// Quotas are the account's own, where they are not AWS's defaults.
	Quotas Quotas `json:"quotas,omitzero"`

	// CallbackHosts are the hosts that the results of asynchronous invocations may
	// be sent to: names, such as "hooks.example.com", or "*.example.com" for all
	// below one. Empty: none, and a result with a callback URL goes to the DLQ.
	CallbackHosts []string `json:"callbackHosts,omitempty"`

	// UserPool has people sign in by Amazon Cognito, and what they do there become
	// events: auth/AUTH_LOGIN and auth/AUTH_REGISTER. Nil: there is no pool.
	UserPool *UserPool `json:"userPool,omitempty"`

	// Connections are the ways by which pipelines call functions that are not
	// within reach of their own roles, by the names that their stages have them
	// under.
	Connections map[string]Connection `json:"connections,omitempty"`

	// Webhooks is about functions on HTTP.
	Webhooks Webhooks `json:"webhooks,omitzero"`

	// VPC is the network of the functions whose manifest says "vpc": true. Nil:
	// there is none; such a function is then refused, but behind an endpoint,
	// where every function reaches what this machine reaches.
	VPC *VPC `json:"vpc,omitempty"`
}

// LogLevel is how much the bus logs.
type LogLevel string

const (
	LogErrors LogLevel = "error"
	LogInfo   LogLevel = "info"
	LogTrace  LogLevel = "trace"
)

// CreateKey is the EncryptionKey that the bus stack makes.
const CreateKey = "create"

// Quotas are an account's limits in one region, as the Service Quotas console
// shows them. 0 stands for AWS's default.
type Quotas struct {
	// Concurrency is how many invocations all functions of the account may have
	// at once, 1,000 by default; a new account may have fewer ("Lambda quotas").
	// The sum of all mappings' maxConcurrency has to be below it.
	Concurrency int `json:"concurrency,omitempty"`

	// RulesPerBus is 300 by default, and 100 in some regions ("Amazon
	// EventBridge quotas"). A subscription is a rule, and so is a running tail.
	RulesPerBus int `json:"rulesPerBus,omitempty"`
}

// UserPool is what differs between the user pools of environments.
type UserPool struct {
	// SelfSignUp lets people make accounts for themselves. Default false: an
	// administrator makes them.
	SelfSignUp bool `json:"selfSignUp,omitempty"`

	// MFA is MFARequired for a second factor, an authenticator application, of
	// everyone; empty leaves it to each person.
	MFA MFA `json:"mfa,omitempty"`
}

// MFA says who needs a second factor.
type MFA string

// MFARequired is a second factor for everyone.
const MFARequired MFA = "required"

// Connection is a role and a region to call functions with. One that has neither
// is the pipeline's own, as suits an environment in which nothing is elsewhere.
type Connection struct {
	// RoleARN is the role that is assumed for a call: its policy allows
	// lambda:InvokeFunction, and its trust policy the role of the pipeline. Empty:
	// the pipeline's own role, which is then allowed to call.
	RoleARN string `json:"roleArn,omitempty"`

	// Region is where the functions are. Empty: in that of the pipeline.
	Region string `json:"region,omitempty"`

	// ExternalID is what the role's trust policy may ask for, sts:ExternalId. It
	// is no secret ("The confused deputy problem", AWS Identity and Access
	// Management User Guide).
	ExternalID string `json:"externalId,omitempty"`
}

// VPC is where a function runs that reaches a database.
type VPC struct {
	// SubnetIDs are private subnets, in several zones. They need a way to AWS's
	// services: a NAT gateway, or the VPC endpoints of what the function uses.
	SubnetIDs []string `json:"subnetIds"`

	// SecurityGroupIDs are the groups that the function's traffic is in.
	SecurityGroupIDs []string `json:"securityGroupIds"`
}

// LoadEnvironments reads and validates infra/environments.json of the project
// at root, sorted by name.
func LoadEnvironments(root fs.FS) ([]Environment, error) {
	data, err := fs.ReadFile(root, EnvironmentsFile)
	if err != nil {
		return nil, err
	}
	var byName map[string]Environment
	if err := decode(EnvironmentsFile, data, &byName); err != nil {
		return nil, err
	}
	var environments []Environment
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		env := byName[name]
		env.Name = name
		for _, fault := range split(env.Validate()) {
			faults = append(faults, fmt.Errorf("%s: environment %q: %w", EnvironmentsFile, name, fault))
		}
		environments = append(environments, env)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return environments, nil
}

// LoadEnvironment reads the environment of the given name. The error for a name
// that is not in the file tells those that are.
func LoadEnvironment(root fs.FS, name string) (Environment, error) {
	environments, err := LoadEnvironments(root)
	if err != nil {
		return Environment{}, err
	}
	var known []string
	for _, env := range environments {
		if env.Name == name {
			return env, nil
		}
		known = append(known, env.Name)
	}
	return Environment{}, fmt.Errorf("no environment %q in %s: there are %s", name, EnvironmentsFile, strings.Join(known, ", "))
}
