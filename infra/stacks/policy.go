package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// A statement allows some actions on some resources, unless it denies them.
type statement struct {
	sid        string              // may be empty
	principals []awsiam.IPrincipal // none in the policy of a role
	deny       bool
	actions    []string
	resources  []*string
	conditions map[string]any
}

func (s statement) policyStatement() awsiam.PolicyStatement {
	props := &awsiam.PolicyStatementProps{
		Sid:       optional(s.sid),
		Actions:   jsii.Strings(s.actions...),
		Resources: &s.resources,
	}
	if s.deny {
		props.Effect = awsiam.Effect_DENY
	}
	if s.principals != nil {
		props.Principals = &s.principals
	}
	if s.conditions != nil {
		props.Conditions = &s.conditions
	}
	return awsiam.NewPolicyStatement(props)
}

func policyDocument(statements []statement) awsiam.PolicyDocument {
	var all []awsiam.PolicyStatement
	for _, s := range statements {
		all = append(all, s.policyStatement())
	}
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &all})
}

// accountPrincipal stands for whoever the account's own policies allow.
func accountPrincipal() []awsiam.IPrincipal {
	return []awsiam.IPrincipal{awsiam.NewAccountRootPrincipal()}
}

// anyonePrincipal stands for everyone: a statement that allows has conditions.
func anyonePrincipal() []awsiam.IPrincipal {
	return []awsiam.IPrincipal{awsiam.NewAnyPrincipal()}
}

func servicePrincipal(service string) []awsiam.IPrincipal {
	return []awsiam.IPrincipal{awsiam.NewServicePrincipal(&service, nil)}
}
