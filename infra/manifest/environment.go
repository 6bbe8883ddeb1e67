package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"regexp"
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
	// CloudFormation leaves them when their stack goes. Default false.
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

	// LogRetentionDays is how long CloudWatch keeps what functions print; one
	// of the numbers that it takes. Required.
	LogRetentionDays int `json:"logRetentionDays"`
}

// logRetention holds the days that CloudWatch Logs takes ("PutRetentionPolicy").
var logRetention = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

var (
	environmentName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	accountNumber   = regexp.MustCompile(`^[0-9]{12}$`)
	regionName      = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]$`)
)

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

// Validate returns every fault of an environment, joined.
func (e Environment) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if !environmentName.MatchString(e.Name) {
		fault("its name must be lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen")
	}
	if e.Account != "" && !accountNumber.MatchString(e.Account) {
		fault("account %q must be 12 digits, in quotes; leave it out to use the account of whoever deploys", e.Account)
	}
	if e.Region != "" && !regionName.MatchString(e.Region) {
		fault(`region %q must be an AWS region, such as "eu-west-1"; leave it out to use the region of whoever deploys`, e.Region)
	}
	if e.Endpoint != "" {
		u, err := url.Parse(e.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			fault(`endpoint %q must be a URL, such as "http://127.0.0.1:4566"; leave it out for an environment on AWS`, e.Endpoint)
		}
		if e.SchemaRegistry {
			fault("there is no schema registry behind an endpoint: leave out schemaRegistry")
		}
	}
	if !slices.Contains(logRetention, e.LogRetentionDays) {
		fault("CloudWatch keeps no logs for %d days: set \"logRetentionDays\" to one of %s", e.LogRetentionDays, list(logRetention))
	}
	return errors.Join(faults...)
}

func list(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}
