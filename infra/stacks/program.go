package stacks

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/bundle"
	"github.com/penstock-dev/penstock/infra/names"
)

// Program is a Go program on Lambda, a function's or one of Penstock's own,
// with the log group that it writes to and the role that it runs as.
type Program struct {
	Lambda   awslambda.Function
	Role     awsiam.Role
	LogGroup awslogs.LogGroup
}

// program is what one Program is made from.
type program struct {
	name           string // short
	description    string
	code           string   // the value of names.CodeMetadata
	files          []string // that of names.FilesMetadata
	memoryMB       int
	timeoutSeconds int
	environment    map[string]string
	policy         []statement // besides writing to its log group
	vpc            bool        // whether it runs in the environment's VPC
}

func newProgram(p *project, stack awscdk.Stack, id string, f program) *Program {
	logGroup := p.names.LogGroup(f.name)
	logs := awslogs.NewLogGroup(stack, jsii.String(id+"Logs"), &awslogs.LogGroupProps{
		LogGroupName:  &logGroup,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	// The CDK's own property is an enumeration, which has no number to read.
	group := logs.Node().DefaultChild().(awslogs.CfnLogGroup)
	group.SetRetentionInDays(jsii.Number(p.props.Env.LogRetentionDays))
	encryptLogs(group, p.keyARN())
	vpc := p.props.Env.VPC
	if !f.vpc {
		vpc = nil
	}
	policy := append(f.policy, statement{
		actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		resources: []*string{logStreamsARN(logGroup)},
	})
	if vpc != nil {
		policy = append(policy, vpcPolicy(p.names.Function(f.name))...)
	}
	role := awsiam.NewRole(stack, jsii.String(id+"Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			f.name: policyDocument(policy),
		},
	})
	wildcards := []string{`^Resource::.*:log-group:.*:\*$`}
	if vpc != nil {
		wildcards = append(wildcards, `^Resource::\*$`)
	}
	suppress(role.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-IAM5",
		"Lambda names the streams of the log group itself; network interfaces have no resource to name before they are made.", wildcards...)
	dir, err := p.props.Build(f.code)
	if err != nil {
		panic(err)
	}
	asset := filepath.Join(*p.app.Outdir(), "programs", f.name+".zip")
	if err := bundle.Pack(asset, os.DirFS(dir), p.props.Root, f.files); err != nil {
		panic(fmt.Errorf("packing %s: %w", f.code, err))
	}
	environment := map[string]*string{}
	for name, value := range f.environment {
		environment[name] = &value
	}
	lambda := awslambda.NewFunction(stack, jsii.String(id), &awslambda.FunctionProps{
		FunctionName: jsii.String(p.names.Function(f.name)),
		Description:  optional(f.description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_ARM_64(),
		Handler:      jsii.String("bootstrap"),
		Code:         awslambda.Code_FromAsset(&asset, nil),
		MemorySize:   jsii.Number(f.memoryMB),
		Timeout:      seconds(f.timeoutSeconds),
		Environment:  &environment,
		Role:         role,
		LogGroup:     logs,
	})
	resource := lambda.Node().DefaultChild().(awslambda.CfnFunction)
	encryptVariables(resource, p.keyARN())
	if vpc != nil {
		resource.SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds:        jsii.Strings(vpc.SubnetIDs...),
			SecurityGroupIds: jsii.Strings(vpc.SecurityGroupIDs...),
		})
	}
	resource.AddMetadata(jsii.String(names.CodeMetadata), f.code)
	if len(f.files) > 0 {
		resource.AddMetadata(jsii.String(names.FilesMetadata), jsii.Strings(f.files...))
	}
	resource.AddMetadata(jsii.String(names.FunctionMetadata), f.name)
	return &Program{Lambda: lambda, Role: role, LogGroup: logs}
}

// vpcPolicy lets Lambda make and remove the network interfaces by which a
// function is in a VPC, and the function itself do nothing with any ("Giving
// Lambda functions access to resources in an Amazon VPC").
func vpcPolicy(function string) []statement {
	actions := []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	}
	return []statement{
		{actions: actions, resources: *jsii.Strings("*")},
		{
			deny: true, actions: actions, resources: *jsii.Strings("*"),
			conditions: map[string]any{"ArnEquals": map[string]any{"lambda:SourceFunctionArn": arn("lambda", "function:"+function)}},
		},
	}
}

func seconds(n int) awscdk.Duration { return awscdk.Duration_Seconds(jsii.Number(n)) }
func days(n int) awscdk.Duration    { return awscdk.Duration_Days(jsii.Number(n)) }
