package stacks

// anyResource has every action that a policy allows on the resource "*", since
// AWS knows no resource for it ("Actions, resources, and condition keys for AWS
// services"), by why it is there. A test holds all templates to it.
var anyResource = map[string][]string{
	// What lists or asks about an account. None of it changes anything, or tells
	// what a queue, a log or a secret holds.
	"lists": {
		"events:ListEventBuses", "events:ListReplays", "events:ListRules", "lambda:GetAccountSettings", "lambda:ListEventSourceMappings",
		"secretsmanager:ListSecrets", "servicequotas:GetServiceQuota", "sqs:ListQueues",
	},
	// The breaker asks whether a subscription still fails, the command what waits in
	// queues.
	"metrics": {"cloudwatch:GetMetricData"},
	// A connector reads the topics of functions from their tags. It is told of tags
	// alone.
	"topics": {"tag:GetResources"},
	// By what Lambda puts a function into a VPC. The function itself is denied it.
	"network interfaces": {
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	},
}
