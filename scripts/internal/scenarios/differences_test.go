package scenarios_test

import (
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

// difference is where moto answers otherwise than the local environment, and
// why the local environment is as it is.
type difference struct {
	service string
	// scenario is empty for the same difference in any scenario of the service.
	scenario string
	// paths are steps of the transcript, or places below one, at which something
	// differs; a star ends a path for all that begin with it.
	paths []string
	// why says what moto does otherwise.
	why string
	// judge is the title of the page of AWS's documentation that has it as the
	// local environment does.
	judge string
}

// of says whether it is the difference at a path of a scenario.
func (d difference) of(s scenarios.Scenario, path string) bool {
	return d.service == s.Service && (d.scenario == "" || d.scenario == s.Name) && slices.ContainsFunc(d.paths, func(p string) bool {
		if all, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(path, all)
		}
		rest, ok := strings.CutPrefix(path, p)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// steps are the steps with the given numbers of an operation.
func steps(operation string, numbers ...string) []string {
	for i, n := range numbers {
		numbers[i] = strings.TrimSuffix(operation+" "+n, " 1")
	}
	return numbers
}

const (
	unchecked = "moto does not check it"
	crashes   = "moto crashes"
)

var differences = slices.Concat(sqsDifferences, eventsDifferences, dynamodbDifferences, otherDifferences)

var sqsDifferences = []difference{
	{"sqs", "attributes that a queue lacks are left out, and unknown ones refused", []string{"Colour = red"}, unchecked, "SetQueueAttributes"},
	{"sqs", "attributes out of their range are refused", []string{"*"}, unchecked + ", and crashes for what is no number", "SetQueueAttributes"},
	{"sqs", "permissions make a policy", []string{"GetQueueAttributes"}, "moto writes the policy in another form", "Basic examples of Amazon SQS policies"},
	{"sqs", "a policy that is no JSON is refused", []string{"Policy = {", "RedrivePolicy = {"}, crashes, "SetQueueAttributes"},
	{"sqs", "message attributes that are not valid are refused", steps("SendMessage", "2", "3", "4", "5", "7", "8", "9"), unchecked, "Amazon SQS message metadata"},
	{"sqs", "a trace header is a system attribute", []string{"SendMessage.MD5OfMessageSystemAttributes"}, "moto leaves the MD5 out", "SendMessage"},
	{"sqs", "bodies have a size and a character set", []string{"SendMessage*"}, unchecked + ", apart from the size", "SendMessage"},
	{"sqs", "message attributes count towards the size", []string{"SendMessage"}, "moto counts the body alone", "Amazon SQS message quotas"},
	{"sqs", "a delay is at most 15 minutes", []string{"SendMessage 3"}, "moto takes a negative delay", "SendMessage"},
	{"sqs", "visibility out of range, and receipts that are none, are refused", []string{"ChangeMessageVisibility 2"}, "moto takes a negative timeout", "ChangeMessageVisibility"},
	{"sqs", "the visibility of what is not in flight cannot change", []string{"ChangeMessageVisibility"}, "moto forgets the receipts of deleted messages, and so calls this one invalid", "ChangeMessageVisibility"},
	{"sqs", "a batch fails entry by entry", []string{"SendMessageBatch", "GetQueueAttributes"}, "moto refuses the whole batch for one entry", "SendMessageBatch"},
	{"sqs", "visibility is changed in a batch", []string{"ChangeMessageVisibilityBatch 2"}, "moto takes an empty batch", "ChangeMessageVisibilityBatch"},
	{"sqs", "what only FIFO queues have is refused", []string{"SendMessage", "ContentBasedDeduplication = true"}, unchecked, "SendMessage, SetQueueAttributes"},
	{"sqs", "a message that was received too often goes to the dead-letter queue", []string{"ReceiveMessage 4.Messages[0].Attributes.DeadLetterQueueSourceArn"}, "moto leaves it out", "ReceiveMessage"},
	{"sqs", "redrive policies are checked", []string{"RedrivePolicy*"}, "moto does not check the number, and has another error for a missing queue", "SetQueueAttributes"},
	{"sqs", "redrive policies are checked", []string{"GetQueueAttributes"}, "moto puts spaces into the JSON", "GetQueueAttributes"},
	{"sqs", "a dead-letter queue may choose its sources", []string{"*"}, "moto knows no RedriveAllowPolicy", "SetQueueAttributes"},
	{"sqs", "messages are moved back to their source", []string{"*"}, "moto has no move tasks", "StartMessageMoveTask"},
	{"sqs", "messages are moved to another queue", []string{"*"}, "moto has no move tasks", "StartMessageMoveTask"},
	{"sqs", "move tasks are checked", []string{"*"}, "moto has no move tasks", "StartMessageMoveTask"},
}

var eventsDifferences = []difference{
	{"events", "", []string{"TestEventPattern*", `"TestEventPattern "`}, "moto answers false, always; rules with the same patterns are compared", "TestEventPattern"},
	{"events", "", []string{"received.account"}, "moto leaves it empty", "Amazon EventBridge event metadata"},
	{"events", "a bus is made, described and listed", []string{"CreateEventBus.Description", "ListEventBuses"}, "moto leaves out the description, and the times in the list", "CreateEventBus, ListEventBuses"},
	{"events", "names of buses are checked, and the default bus stays", steps("CreateEventBus", "2", "3"), unchecked, "CreateEventBus"},
	{"events", "a bus with rules cannot be deleted", []string{"DeleteEventBus", "DescribeEventBus"}, unchecked, "DeleteEventBus"},
	{"events", "rules are checked", append(steps("PutRule", "2", "3", "6", "7"), "DescribeRule"), unchecked, "PutRule"},
	{"events", "targets are checked", append(steps("PutTargets", "1", "2", "3"), "ListTargetsByRule 2"), unchecked, "PutTargets"},
	{"events", "a rule has at most five targets", []string{"PutTargets"}, unchecked, "Amazon EventBridge quotas"},
	{"events", "one element of a list is enough", []string{`routed by {"detail":{"lines":{"sku":["a"],"n":[1]}}}`}, "moto does not look into objects in lists", "Event patterns in Amazon EventBridge: matching arrays"},
	{"events", "patterns that are not valid are refused", []string{"PutRule*"}, "moto checks the outline of a pattern only", "Comparison operators for use in event patterns in Amazon EventBridge"},
	{"events", "a disabled rule delivers nothing", []string{"the queue of the disabled rule"}, "moto delivers all the same", "DisableRule"},
	{"events", "events fail one by one", []string{"PutEvents"}, "moto does not check that the detail is an object, that the source is no AWS service's, nor the type's length", "PutEventsResultEntry"},
	{"events", "calls of PutEvents have their limits", steps("PutEvents", "2", "3", "4", "5"), unchecked + ": neither none, nor the total size", "PutEvents"},
	{"events", "an archive is replayed", []string{"received.id", "received.ingestion-time"}, "moto gives the event another id and a member more", "Archiving and replaying events in Amazon EventBridge"},
	{"events", "an archive is replayed", []string{"CancelReplay"}, "moto cancels what is over", "CancelReplay"},
	{"events", "an event for a bus that is not there", []string{"PutEvents"}, "moto refuses the whole call, with an error that PutEvents does not have", "PutEvents"},
}

var dynamodbDifferences = []difference{
	{"dynamodb", "an item of every type is put, read and deleted", []string{"GetItem.Item.large", "GetItem.Item.number", "GetItem.Item.numbers"}, "moto keeps numbers as they were written", "Supported data types and naming rules in Amazon DynamoDB: Number"},
	{"dynamodb", "numbers keep their digits, and lose their zeros", []string{"*"}, "moto keeps numbers as they were written", "Supported data types and naming rules in Amazon DynamoDB: Number"},
	{"dynamodb", "a sort key of numbers is in their order", []string{"Query.Items[6].sk"}, "moto keeps numbers as they were written", "Supported data types and naming rules in Amazon DynamoDB: Number"},
	{"dynamodb", "REMOVE, ADD and DELETE", []string{"DELETE sizes :v", "GetItem 15"}, "moto compares the members of number sets as they were written", "Supported data types and naming rules in Amazon DynamoDB: Number"},
	{"dynamodb", "an update makes the item that is missing", []string{"UpdateItem"}, crashes + " without an expression", "UpdateItem"},
	{"dynamodb", "keys are checked", []string{"GetItem 2"}, "moto does not check the type of a sort key", "GetItem"},
	{"dynamodb", "values are checked", steps("PutItem", "3", "5", "7", "8"), "moto does not check the range and precision of numbers, nor for doubles in sets", "Supported data types and naming rules in Amazon DynamoDB"},
	{"dynamodb", "an item has at most 400 KB", []string{"PutItem"}, "moto measures an item as more than it is", "DynamoDB item sizes and formats"},
	{"dynamodb", "a part of an item is read", []string{"GetItem 2"}, "moto keeps one element of a list at most", "Using projection expressions in DynamoDB"},
	{"dynamodb", "a part of an item is read", steps("GetItem", "6", "7"), unchecked, "Using projection expressions in DynamoDB"},
	{"dynamodb", "tables that are not there", []string{"DescribeTimeToLive"}, "moto calls the error ResourceNotFound", "DescribeTimeToLive"},
	{"dynamodb", "a table is described", []string{"table.TableId"}, "moto leaves it out", "TableDescription"},
	{"dynamodb", "a table is described", []string{"DescribeTimeToLive"}, "moto ignores the property of the template", "AWS::DynamoDB::Table TimeToLiveSpecification"},
	{"dynamodb", "the table's capacity is told on request", []string{"a consistent read"}, "moto counts it as an eventually consistent one", "DynamoDB read and write operations"},
	{"dynamodb", "values are compared, within their type", []string{"a > :v"}, crashes + " for different types", "Condition and filter expressions, operators, and functions in DynamoDB"},
	{"dynamodb", "values are compared, within their type", []string{"a BETWEEN :v AND :w 2", "a < :v 2"}, unchecked, "Condition and filter expressions, operators, and functions in DynamoDB"},
	{"dynamodb", "functions of conditions", []string{"attribute_type(a, :t) 3"}, unchecked, "Condition and filter expressions, operators, and functions in DynamoDB"},
	{"dynamodb", "functions of conditions", []string{"size(a) = :v"}, crashes + " for the size of a number", "Condition and filter expressions, operators, and functions in DynamoDB"},
	{"dynamodb", "conditions that are not valid are refused", []string{"*"}, unchecked + ", or crashes", "Condition and filter expressions, operators, and functions in DynamoDB"},
	{"dynamodb", "updates that are not valid are refused", []string{"SET #n = :v"}, crashes + " for a name without a meaning", "Using update expressions in DynamoDB"},
	{"dynamodb", "a counter counts", []string{"UpdateItem"}, "moto adds the key to the changed attributes of a new item", "UpdateItem"},
	{"dynamodb", "a query is filtered, projected and counted", []string{"Query 5"}, unchecked, "Filter expressions for the Query operation in DynamoDB"},
	{"dynamodb", "queries that are not valid are refused", []string{"*"}, unchecked + ", or crashes", "Key condition expressions for the Query operation in DynamoDB"},
	{"dynamodb", "scans that are not valid are refused", []string{"Scan 2"}, "moto takes a negative limit", "Scan"},
	{"dynamodb", "batches have their rules", append(steps("BatchWriteItem", "1", "2", "3", "4"), "BatchGetItem 4"), unchecked + ", or crashes", "BatchWriteItem, BatchGetItem"},
	{"dynamodb", "an update that cannot be made cancels its transaction", []string{"TransactWriteItems 2"}, "moto has it as an error of the whole call", "TransactionCanceledException"},
	{"dynamodb", "a transaction with a token is made once", []string{"*"}, "moto makes another transaction with the same token, and at times the same one again", "TransactWriteItems"},
	{"dynamodb", "transactions have their rules", steps("TransactWriteItems", "1", "4", "9"), unchecked + ", or crashes, or has it as an error of the whole call", "TransactWriteItems, TransactionCanceledException"},
	{"dynamodb", "transactions have their rules", []string{"TransactWriteItems 6"}, "moto has a missing table as a reason of the cancellation", "TransactWriteItems"},
	{"dynamodb", "transactions have their rules", []string{"TransactWriteItems 7"}, "moto has a reason that DynamoDB does not: KeyError", "TransactionCanceledException"},
	{"dynamodb", "a transaction reads", []string{"TransactGetItems"}, "moto ignores the projection", "TransactGetItems"},
	{"dynamodb", "a transaction reads", steps("TransactGetItems", "3", "4"), "moto takes an empty one, and has a wrong key as an error of the whole call", "TransactGetItems, TransactionCanceledException"},
}

var otherDifferences = []difference{
	{"secrets", "a secret is created, read and described", []string{"DescribeSecret.LastAccessedDate"}, "moto leaves it out", "DescribeSecret"},
	{"secrets", "what a secret is created of is checked", []string{"CreateSecret*"}, unchecked, "CreateSecret"},
	{"secrets", "a value has at most 65,536 bytes", []string{"PutSecretValue 2"}, unchecked, "AWS Secrets Manager quotas"},
	{"secrets", "versions are listed", []string{"deprecated included = false*"}, "moto lists them all", "ListSecretVersionIds"},
	{"secrets", "a secret that is not there", []string{"ListSecretVersionIds"}, crashes, "ListSecretVersionIds"},
	{"secrets", "a secret that is not there", []string{"DeleteSecret 2.ARN"}, "moto makes up an ARN", "DeleteSecret"},
	{"secrets", "a deleted secret waits, and can be restored", []string{"PutSecretValue", "GetSecretValue 2"}, "moto writes to a deleted secret", "PutSecretValue"},
	{"secrets", "a deleted secret waits, and can be restored", []string{"CreateSecret"}, "moto says that it exists", "CreateSecret"},

	{"lambda", "", []string{"GetFunctionConfiguration.error.Type", "GetFunctionConfiguration 2.error.Type"}, "moto leaves it out", "ResourceNotFoundException"},
	{"lambda", "a function that is not there", []string{"Invoke"}, "moto answers for any function, when it does without Docker", "Invoke"},
	{"lambda", "a payload that is no JSON is refused", []string{"Invoke"}, unchecked, "Invoke"},
	{"lambda", "a mapping is described", []string{"mapping.MaximumBatchingWindowInSeconds"}, "moto leaves it out", "GetEventSourceMapping"},
	{"lambda", "a mapping that is not there", []string{"UpdateEventSourceMapping"}, "moto answers with an empty mapping", "UpdateEventSourceMapping"},
	{"lambda", "mappings are listed by their source", []string{"ListEventSourceMappings"}, "moto takes a function that is not there", "ListEventSourceMappings"},
	{"lambda", "changes of a mapping are checked", []string{"*"}, unchecked + ", or crashes", "UpdateEventSourceMapping"},

	{"logs", "a log group is described", []string{"group.LogGroupClass"}, "moto leaves it empty", "LogGroup"},
	{"logs", "reading logs has its limits", []string{"FilterLogEvents 2"}, "moto takes names and a prefix together", "FilterLogEvents"},
	{"logs", "reading logs has its limits", []string{"DescribeLogGroups 2"}, "moto takes a prefix and a pattern together", "DescribeLogGroups"},

	{"cloudwatch", "figures are put and read", []string{"computed*"}, "moto computes no expressions", "Using math expressions with CloudWatch metrics"},
	{"cloudwatch", "statistics are read", []string{"GetMetricStatistics.Datapoints[0].Unit"}, "moto leaves it out", "Datapoint"},
	{"cloudwatch", "figures that are not valid are refused", []string{"*"}, unchecked + ", or has another error", "PutMetricData, MetricDatum"},
	{"cloudwatch", "alarms are checked", []string{"*"}, unchecked, "PutMetricAlarm"},
	{"cloudwatch", "", []string{"alarm.StateValue", "alarm 2.StateValue"}, "moto begins in the state OK", "PutMetricAlarm"},
	{"cloudwatch", "", []string{"alarm.StateTransitionedTimestamp", "alarm 2.StateTransitionedTimestamp"}, "moto leaves it out", "MetricAlarm"},
	{"cloudwatch", "the state of an alarm is set, and remembered", []string{"SetAlarmState 3"}, "moto has another error for a state that is none; the page has neither", "SetAlarmState"},
	{"cloudwatch", "the state of an alarm is set, and remembered", []string{"DescribeAlarmHistory", "history*"}, crashes, "DescribeAlarmHistory"},

	{"cloudformation", "a resource is found by its logical and its physical id", []string{"found 2"}, "moto does not look for physical ids", "DescribeStackResources"},
}
