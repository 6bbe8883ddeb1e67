package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// arn is the ARN of a resource of the account and region that the stack is
// deployed to. They stay references in the template, even where the environment
// names them, so that a template says nothing of an account.
func arn(service, resource string) *string {
	return jsii.String("arn:" + *awscdk.Aws_PARTITION() + ":" + service + ":" + *awscdk.Aws_REGION() + ":" + *awscdk.Aws_ACCOUNT_ID() + ":" + resource)
}

func ruleARN(bus, rule string) *string { return arn("events", "rule/"+bus+"/"+rule) }

// scheduleARN is the ARN of a rule with a schedule: it is on the default bus,
// which its ARN does not name.
func scheduleARN(rule string) *string { return arn("events", "rule/"+rule) }

func busARN(bus string) *string     { return arn("events", "event-bus/"+bus) }
func tableARN(table string) *string { return arn("dynamodb", "table/"+table) }
func topicARN(topic string) *string { return arn("sns", topic) }
func queueARN(queue string) *string { return arn("sqs", queue) }

// secretARN matches the secret of a name: Secrets Manager puts a hyphen and six
// random characters behind it. The six question marks match no longer name.
func secretARN(secret string) *string { return arn("secretsmanager", "secret:"+secret+"-??????") }

// logStreamsARN matches all streams of a log group.
func logStreamsARN(group string) *string { return arn("logs", "log-group:"+group+":*") }
