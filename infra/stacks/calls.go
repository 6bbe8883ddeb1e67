package stacks

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// calls allows a pipeline what its externalFunction stages do: to invoke exactly
// the functions that they name, each as it is named, with or without a version or
// an alias; and to assume exactly the roles of its connections, which then have to
// allow the rest.
func calls(p *project, m *manifest.Function) []statement {
	var functions, roles []*string
	add := func(list []*string, arn *string) []*string {
		if slices.ContainsFunc(list, func(other *string) bool { return *other == *arn }) {
			return list
		}
		return append(list, arn)
	}
	for _, c := range m.Calls {
		connection := p.props.Env.Connections[c.Connection]
		switch {
		case connection.RoleARN != "":
			roles = add(roles, &connection.RoleARN)
		case c.Sibling != "":
			functions = add(functions, arn("lambda", "function:"+p.names.Function(c.Sibling)))
		default:
			functions = add(functions, functionARN(c.Function, connection.Region))
		}
	}
	var policy []statement
	if functions != nil {
		policy = append(policy, statement{actions: []string{"lambda:InvokeFunction"}, resources: functions})
	}
	if roles != nil {
		policy = append(policy, statement{actions: []string{"sts:AssumeRole"}, resources: roles})
	}
	return policy
}

// functionARN is the ARN of a function as a call names it: by its ARN, by a part
// of it ("123456789012:function:name") or by its name, each maybe with a version
// or an alias behind it ("Invoke", AWS Lambda API Reference). A region that is
// empty is the stack's.
func functionARN(name, region string) *string {
	if strings.HasPrefix(name, "arn:") {
		return &name
	}
	account := *awscdk.Aws_ACCOUNT_ID()
	if before, after, partial := strings.Cut(name, ":function:"); partial {
		account, name = before, after
	}
	return jsii.String("arn:" + *awscdk.Aws_PARTITION() + ":lambda:" + cmp.Or(region, *awscdk.Aws_REGION()) + ":" + account + ":function:" + name)
}
