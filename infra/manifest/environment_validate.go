package manifest

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/functions/egress"
)

// logRetention holds the days that CloudWatch Logs takes ("PutRetentionPolicy").
var logRetention = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

const (
	maxArchiveDays   = 3650
	maxCallbackHosts = 3000
)

var (
	environmentName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	accountNumber   = regexp.MustCompile(`^[0-9]{12}$`)
	regionName      = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]$`)
	keyARN          = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):key/[a-z0-9-]+$`)
	subnetID        = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	roleARN         = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}$`)
	externalID      = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	securityGroupID = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
)

// What tags may be ("Tag", AWS CloudFormation API Reference, and the services'
// own pages, of which this is the least).
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

var tagText = regexp.MustCompile(`^[\pL\pZ\pN_.:/=+\-@]*$`)

// Validate returns every fault of an environment, joined.
func (e Environment) Validate() error {
	v := &validator{}
	if !environmentName.MatchString(e.Name) {
		v.fault("its name must be lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen")
	}
	if e.Account != "" && !accountNumber.MatchString(e.Account) {
		v.fault("account %q must be 12 digits, in quotes; leave it out to use the account of whoever deploys", e.Account)
	}
	if e.Region != "" && !regionName.MatchString(e.Region) {
		v.fault(`region %q must be an AWS region, such as "eu-west-1"; leave it out to use the region of whoever deploys`, e.Region)
	}
	if e.Endpoint != "" {
		e.validateEndpoint(v)
	}
	if !slices.Contains(logRetention, e.LogRetentionDays) {
		v.fault("CloudWatch keeps no logs for %d days: set \"logRetentionDays\" to one of %s", e.LogRetentionDays, list(logRetention))
	}
	switch e.BusLogLevel {
	case "", LogErrors, LogInfo, LogTrace:
	default:
		v.fault("busLogLevel %q must be %q, %q or %q; leave it out for no log", e.BusLogLevel, LogErrors, LogInfo, LogTrace)
	}
	if e.ArchiveRetentionDays < 0 || e.ArchiveRetentionDays > maxArchiveDays {
		v.fault("archiveRetentionDays must be 1 to %d (got %d); leave it out for no archive", maxArchiveDays, e.ArchiveRetentionDays)
	}
	e.validateKey(v)
	e.validateStorage(v)
	for i, address := range e.AlarmEmails {
		if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
			v.fault(`alarmEmails: %q must be an address alone, such as "oncall@example.com"`, address)
		} else if slices.Contains(e.AlarmEmails[:i], address) {
			v.fault("alarmEmails: %q is there twice", address)
		}
	}
	for i, host := range e.CallbackHosts {
		if err := egress.CheckHost(host); err != nil {
			v.fault("callbackHosts: %w", err)
		} else if slices.Contains(e.CallbackHosts[:i], host) {
			v.fault("callbackHosts: %q is there twice", host)
		}
	}
	// They are a variable of a program, of which all together take 4 KB ("Lambda
	// quotas").
	if n := len(strings.Join(e.CallbackHosts, " ")); n > maxCallbackHosts {
		v.fault("callbackHosts: they have %d characters together, and there is room for %d: name domains (\"*.example.com\") in place of hosts", n, maxCallbackHosts)
	}
	e.validateTags(v)
	// AWS gives a new account no fewer than 10, and no one a million.
	if q := e.Quotas.Concurrency; q != 0 && (q < 10 || q > 1_000_000) {
		v.fault("quotas: concurrency must be 10 to 1000000 (got %d); leave it out for AWS's default", q)
	}
	if q := e.Quotas.RulesPerBus; q != 0 && (q < 100 || q > 100_000) {
		v.fault("quotas: rulesPerBus must be 100 to 100000 (got %d); leave it out for AWS's default", q)
	}
	if e.UserPool != nil && e.UserPool.MFA != "" && e.UserPool.MFA != MFARequired {
		v.fault("userPool: mfa %q must be %q; leave it out to let people choose", e.UserPool.MFA, MFARequired)
	}
	e.validateConnections(v)
	e.validateWebhooks(v)
	if e.VPC != nil {
		v.ids("vpc: subnetIds", "subnet-0a1b2c3d4e5f60718", subnetID, e.VPC.SubnetIDs)
		v.ids("vpc: securityGroupIds", "sg-0a1b2c3d4e5f60718", securityGroupID, e.VPC.SecurityGroupIDs)
	}
	return errors.Join(v.faults...)
}

// validateEndpoint checks the endpoint, and that nothing is asked for which is
// not behind one.
func (e Environment) validateEndpoint(v *validator) {
	u, err := url.Parse(e.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		v.fault(`endpoint %q must be a URL, such as "http://127.0.0.1:4566"; leave it out for an environment on AWS`, e.Endpoint)
	}
	for _, absent := range []struct {
		asked         bool
		what, setting string
	}{
		{e.SchemaRegistry, "no schema registry", "schemaRegistry"},
		{e.BusLogLevel != "", "no log of the bus", "busLogLevel"},
		{e.EncryptionKey != "", "no key of KMS", "encryptionKey"},
		{e.VPC != nil, "no VPC", "vpc"},
		{e.UserPool != nil, "no user pool", "userPool"},
	} {
		if absent.asked {
			v.fault("there is %s behind an endpoint: leave out %s", absent.what, absent.setting)
		}
	}
}

func (e Environment) validateKey(v *validator) {
	if e.EncryptionKey == "" || e.EncryptionKey == CreateKey {
		return
	}
	parts := keyARN.FindStringSubmatch(e.EncryptionKey)
	switch {
	case strings.HasPrefix(e.EncryptionKey, "alias/") || strings.Contains(e.EncryptionKey, ":alias/"):
		v.fault("encryptionKey %q is an alias, which neither a log group nor a policy takes: give the ARN of its key", e.EncryptionKey)
	case parts == nil:
		v.fault(`encryptionKey %q must be %q or the ARN of a key, such as "arn:aws:kms:eu-west-1:123456789012:key/…"; leave it out for the services' own keys`, e.EncryptionKey, CreateKey)
	case e.Region != "" && parts[1] != e.Region, e.Account != "" && parts[2] != e.Account:
		v.fault("encryptionKey %q must be in the environment's account and region", e.EncryptionKey)
	}
}

func (e Environment) validateConnections(v *validator) {
	for _, name := range slices.Sorted(maps.Keys(e.Connections)) {
		c := e.Connections[name]
		if !shortName.MatchString(name) {
			v.fault("connection %q: its name %s", name, shortNameRule)
		}
		if c.RoleARN != "" && !roleARN.MatchString(c.RoleARN) {
			v.fault(`connection %q: roleArn %q must be the ARN of a role, such as "arn:aws:iam::123456789012:role/caller"; leave it out for the pipeline's own role`, name, c.RoleARN)
		}
		if c.Region != "" && !regionName.MatchString(c.Region) {
			v.fault(`connection %q: region %q must be an AWS region, such as "eu-west-1"; leave it out for that of the pipeline`, name, c.Region)
		}
		switch {
		case c.ExternalID != "" && c.RoleARN == "":
			v.fault("connection %q: externalId is for assuming a role, and there is no roleArn", name)
		case c.ExternalID != "" && (!externalID.MatchString(c.ExternalID) || len(c.ExternalID) > 1224): // STS, "AssumeRole"
			v.fault("connection %q: externalId must be 2 to 1224 letters, digits and _ + = , . @ : / -", name)
		}
	}
}

func (e Environment) validateTags(v *validator) {
	if len(e.Tags) > maxTags {
		v.fault("there are %d tags, AWS takes %d", len(e.Tags), maxTags)
	}
	for _, key := range slices.Sorted(maps.Keys(e.Tags)) {
		value := e.Tags[key]
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || utf8.RuneCountInString(value) > maxTagValue:
			v.fault("tag %q: a key has 1 to %d characters, a value up to %d", key, maxTagKey, maxTagValue)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			v.fault("tag %q: AWS keeps those that begin with aws: for itself", key)
		case !tagText.MatchString(key) || !tagText.MatchString(value):
			v.fault("tag %q: key and value are letters, digits, spaces and _ . : / = + - @", key)
		}
	}
}

// ids checks a list of ids, of which there must be one.
func (v *validator) ids(setting, example string, form *regexp.Regexp, ids []string) {
	if len(ids) == 0 {
		v.fault(`%s needs at least one, such as "%s"`, setting, example)
	}
	for i, id := range ids {
		if !form.MatchString(id) {
			v.fault(`%s: %q must be like "%s"`, setting, id, example)
		} else if slices.Contains(ids[:i], id) {
			v.fault("%s: %q is there twice", setting, id)
		}
	}
}

func list(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}
