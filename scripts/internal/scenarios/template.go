package scenarios

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/infra/names"
)

// Code is where a stack's function has its code.
type Code struct {
	// Folder is the program's folder in the project, which the local
	// environment builds.
	Folder string
	// Bucket and Key are the S3 object with the zip, for every other place.
	Bucket, Key string
}

// Template is the CloudFormation template of the stack with the given name that
// scenarios need:
//
//	<stack>-items     a table with the keys pk and sk, both strings, and a stream
//	<stack>-numbers   a table with the keys pk, a string, and sk, a number
//	<stack>-binary    a table with the key pk, binary
//	<stack>-function  a function, its log group and its role
//	<stack>-queue     a queue, which is mapped to the function, disabled
//
// Its output Items is exported as <stack>-items.
func Template(stack string, code Code) json.RawMessage {
	type object map[string]any
	att := func(of, name string) object { return object{"Fn::GetAtt": []string{of, name}} }
	key := func(name, kind string) object { return object{"AttributeName": name, "KeyType": kind} }
	attribute := func(name, kind string) object { return object{"AttributeName": name, "AttributeType": kind} }
	table := func(suffix string, keys, attributes []object, more object) object {
		p := object{"TableName": stack + suffix, "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys, "AttributeDefinitions": attributes}
		for name, value := range more {
			p[name] = value
		}
		return object{"Type": "AWS::DynamoDB::Table", "Properties": p}
	}
	both := []object{key("pk", "HASH"), key("sk", "RANGE")}
	template := object{
		"Description": "What the scenarios of Penstock need",
		"Resources": object{
			"Items": table("-items", both, []object{attribute("pk", "S"), attribute("sk", "S")}, object{
				"StreamSpecification":     object{"StreamViewType": "NEW_AND_OLD_IMAGES"},
				"TimeToLiveSpecification": object{"AttributeName": "expires", "Enabled": true},
				"Tags":                    []object{{"Key": "team", "Value": "a"}},
			}),
			"Numbers": table("-numbers", both, []object{attribute("pk", "S"), attribute("sk", "N")}, nil),
			"Binary":  table("-binary", both[:1], []object{attribute("pk", "B")}, nil),
			"Queue": object{"Type": "AWS::SQS::Queue", "Properties": object{
				"QueueName": stack + "-queue", "VisibilityTimeout": 90, "SqsManagedSseEnabled": true}},
			"Logs": object{"Type": "AWS::Logs::LogGroup", "Properties": object{
				"LogGroupName": "/aws/lambda/" + stack + "-function", "RetentionInDays": 7}},
			"Role": object{"Type": "AWS::IAM::Role", "Properties": object{
				"RoleName": stack + "-role",
				"AssumeRolePolicyDocument": object{"Version": "2012-10-17", "Statement": []object{{
					"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"Service": "lambda.amazonaws.com"}}}},
				"Policies": []object{{"PolicyName": "Mapping", "PolicyDocument": object{"Version": "2012-10-17", "Statement": []object{
					{"Effect": "Allow", "Resource": att("Queue", "Arn"),
						"Action": []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}},
					{"Effect": "Allow", "Resource": att("Logs", "Arn"), "Action": []string{"logs:CreateLogStream", "logs:PutLogEvents"}}}}}},
			}},
			"Function": object{"Type": "AWS::Lambda::Function", "DependsOn": []string{"Logs"},
				"Metadata": object{names.CodeMetadata: code.Folder},
				"Properties": object{
					"FunctionName": stack + "-function", "Description": "for scenarios", "Runtime": "provided.al2023", "Handler": "bootstrap",
					"Architectures": []string{"arm64"}, "MemorySize": 256, "Timeout": 15, "Role": att("Role", "Arn"),
					"Code":        object{"S3Bucket": code.Bucket, "S3Key": code.Key},
					"Environment": object{"Variables": object{"COLOUR": "red"}},
				}},
			"Mapping": object{"Type": "AWS::Lambda::EventSourceMapping", "Properties": object{
				"FunctionName": stack + "-function", "EventSourceArn": att("Queue", "Arn"), "Enabled": false, "BatchSize": 10,
				"FunctionResponseTypes": []string{"ReportBatchItemFailures"}}, "DependsOn": []string{"Function"}},
		},
		"Outputs": object{
			"Items": object{"Description": "the table of items", "Value": object{"Ref": "Items"}, "Export": object{"Name": stack + "-items"}},
			"Queue": object{"Value": att("Queue", "Arn")},
		},
	}
	text, err := json.MarshalIndent(template, "", "  ")
	if err != nil {
		panic(err) // it is maps of strings and numbers
	}
	return text
}
