package local_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// shopOf returns a snapshot of one stack without functions, which starts at
// once.
func shopOf(resources ...string) *snapshots.Snapshot {
	return &snapshots.Snapshot{App: "shop", Env: "local", Stacks: []string{"shop-local-data"}, Templates: map[string]json.RawMessage{
		"shop-local-data": json.RawMessage(`{"Resources": {` + strings.Join(resources, ",") + `}}`),
	}}
}

// The resources of the shop, and edits of them.
const (
	bus         = `"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "shop-local"}}`
	rule        = `"Rule": {"Type": "AWS::Events::Rule", "Properties": {"Name": "all", "EventBusName": {"Ref": "Bus"}, "EventPattern": {"source": ["shop"]}, "Targets": [{"Id": "q", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}`
	ordersQueue = `"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "shop-local-orders", "VisibilityTimeout": 30}}`
	orders      = `"Orders": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "shop-local-orders", "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}`
	logGroup = `"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/shop", "RetentionInDays": 7}}`
)

func edit(resource string, pairs ...string) string {
	out := strings.NewReplacer(pairs...).Replace(resource)
	if out == resource {
		panic("nothing was edited in " + resource)
	}
	return out
}

// shop is an environment of the shop.
type shop struct {
	*local.Environment
	t *testing.T
}

func openShop(t *testing.T, dir string, resources ...string) shop {
	t.Helper()
	env, err := local.Start(t.Context(), config(shopOf(resources...), dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Close() })
	return shop{env, t}
}

// fill puts three items into the table and two messages into the queue.
func (s shop) fill() {
	s.t.Helper()
	for i := range 3 {
		_, err := dynamodb.NewFromConfig(awsConfig(s.Endpoint())).PutItem(s.t.Context(), &dynamodb.PutItemInput{
			TableName: aws.String("shop-local-orders"), Item: map[string]ddbtypes.AttributeValue{"id": &ddbtypes.AttributeValueMemberS{Value: fmt.Sprint(i)}},
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := sqs.NewFromConfig(awsConfig(s.Endpoint())).SendMessage(s.t.Context(), &sqs.SendMessageInput{QueueUrl: s.queue(), MessageBody: aws.String("m")}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s shop) queue() *string { return aws.String(s.Endpoint() + "/000000000000/shop-local-orders") }

// state says what there is.
func (s shop) state() string {
	s.t.Helper()
	var out []string
	tables := dynamodb.NewFromConfig(awsConfig(s.Endpoint()))
	list, err := tables.ListTables(s.t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range list.TableNames {
		d, err := tables.DescribeTable(s.t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("table %s with %d items", name, *d.Table.ItemCount))
	}
	queues := sqs.NewFromConfig(awsConfig(s.Endpoint()))
	urls, err := queues.ListQueues(s.t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, url := range urls.QueueUrls {
		a, err := queues.GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("queue %s with %s messages, visibility %s s", url[strings.LastIndex(url, "/")+1:], a.Attributes["ApproximateNumberOfMessages"], a.Attributes["VisibilityTimeout"]))
	}
	buses, err := eventbridge.NewFromConfig(awsConfig(s.Endpoint())).ListEventBuses(s.t.Context(), &eventbridge.ListEventBusesInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range buses.EventBuses {
		if *b.Name != "default" {
			out = append(out, "bus "+*b.Name)
		}
	}
	return strings.Join(out, "; ")
}

// told says what a change was reported to have done.
func told(c local.Changes) string {
	var out []string
	for _, kind := range []struct {
		verb    string
		changes []local.Change
	}{{"created", c.Created}, {"changed", c.Changed}, {"removed", c.Removed}, {"retained", c.Retained}} {
		for _, change := range kind.changes {
			text := kind.verb + " " + strings.TrimPrefix(change.Type, "AWS::") + " " + change.Name
			if change.Lost != "" {
				text += " with " + change.Lost
			}
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// Every case is a live update, and a start on the directory that an environment
// has left: they do the same.
func TestAChangeOfTemplatesDoesWhatCloudFormationDoes(t *testing.T) {
	const both = "table shop-local-orders with 3 items; queue shop-local-orders with 2 messages, visibility 30 s"
	for name, c := range map[string]struct {
		before, after []string
		told, state   string
	}{
		"what is as before is not touched": {[]string{orders, ordersQueue}, []string{ordersQueue, orders}, "", both},
		"a table and a queue go with what is in them": {[]string{bus, orders, ordersQueue}, []string{bus},
			"removed DynamoDB::Table shop-local-orders with 3 items; removed SQS::Queue shop-local-orders with 2 messages", "bus shop-local"},
		"what is retained stays": {
			[]string{bus, edit(orders, `"Properties"`, `"DeletionPolicy": "Retain", "Properties"`), edit(ordersQueue, `"Properties"`, `"DeletionPolicy": "RetainExceptOnCreate", "Properties"`), logGroup}, []string{bus},
			"removed Logs::LogGroup /shop; retained DynamoDB::Table shop-local-orders; retained SQS::Queue shop-local-orders", both + "; bus shop-local"},
		"a queue changes in place": {[]string{orders, ordersQueue}, []string{orders, edit(ordersQueue, "30", "40")},
			"changed SQS::Queue shop-local-orders", "table shop-local-orders with 3 items; queue shop-local-orders with 2 messages, visibility 40 s"},
		"a table of another name is another table": {[]string{orders, ordersQueue}, []string{edit(orders, "shop-local-orders", "shop-local-sales"), ordersQueue},
			"created DynamoDB::Table shop-local-sales; removed DynamoDB::Table shop-local-orders with 3 items",
			"table shop-local-sales with 0 items; queue shop-local-orders with 2 messages, visibility 30 s"},
		"and leaves the old one if the UpdateReplacePolicy says so": {[]string{orders, ordersQueue}, []string{edit(orders, "shop-local-orders", "shop-local-sales", `"Properties"`, `"UpdateReplacePolicy": "Retain", "Properties"`), ordersQueue},
			"created DynamoDB::Table shop-local-sales; retained DynamoDB::Table shop-local-orders",
			"table shop-local-orders with 3 items; table shop-local-sales with 0 items; queue shop-local-orders with 2 messages, visibility 30 s"},
		"a table whose protection is lifted goes": {[]string{bus, ordersQueue, edit(orders, `"BillingMode"`, `"DeletionProtectionEnabled": false, "BillingMode"`)}, []string{bus, ordersQueue},
			"removed DynamoDB::Table shop-local-orders with 3 items", "queue shop-local-orders with 2 messages, visibility 30 s; bus shop-local"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("live", func(t *testing.T) {
				s := openShop(t, t.TempDir(), c.before...)
				s.fill()
				changes, err := s.Update(t.Context(), shopOf(c.after...))
				if err != nil || told(changes) != c.told {
					t.Errorf("told: %s\nwant: %s\n%v", told(changes), c.told, err)
				}
				if got := s.state(); got != c.state {
					t.Errorf("state: %s\nwant:  %s", got, c.state)
				}
			})
			t.Run("at a start", func(t *testing.T) {
				dir := t.TempDir()
				s := openShop(t, dir, c.before...)
				s.fill()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openShop(t, dir, c.after...)
				if got := told(s.Started()); got != c.told {
					t.Errorf("told: %s\nwant: %s", got, c.told)
				}
				if got := s.state(); got != c.state {
					t.Errorf("state: %s\nwant:  %s", got, c.state)
				}
			})
		})
	}
}

func TestWhatCloudFormationRefusesIsRefusedAndNothingChanges(t *testing.T) {
	protected := edit(orders, `"BillingMode"`, `"DeletionProtectionEnabled": true, "BillingMode"`)
	for name, c := range map[string]struct {
		before, after []string
		want          string
	}{
		"other keys of a table": {[]string{orders, ordersQueue}, []string{edit(ordersQueue, "30", "40"), edit(orders, `"id"`, `"number"`)},
			"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename shop-local-orders and update the stack again"},
		"another type of a key": {[]string{orders, ordersQueue}, []string{edit(ordersQueue, "30", "40"), edit(orders, `"AttributeType": "S"`, `"AttributeType": "N"`)},
			"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename shop-local-orders and update the stack again"},
		"a rule on another bus": {[]string{orders, bus, ordersQueue, rule}, []string{orders, bus, edit(ordersQueue, "30", "40"), edit(rule, `{"Ref": "Bus"}`, `"default"`)},
			"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename all and update the stack again"},
		"the end of a protected table": {[]string{protected, ordersQueue}, []string{edit(ordersQueue, "30", "40")},
			"shop-local-orders has DeletionProtectionEnabled and cannot be removed: deploy it with DeletionProtectionEnabled false first"},
		"another name of a protected table": {[]string{protected, ordersQueue}, []string{ordersQueue, edit(protected, "shop-local-orders", "shop-local-sales")},
			"shop-local-orders has DeletionProtectionEnabled and cannot be removed"},
		"a snapshot of what is removed": {[]string{orders, ordersQueue}, []string{orders, edit(ordersQueue, "30", "40", `"Properties"`, `"DeletionPolicy": "Snapshot", "Properties"`)},
			`DeletionPolicy "Snapshot" is not supported by the local environment: Delete or Retain or RetainExceptOnCreate`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openShop(t, dir, c.before...)
			s.fill()
			before := s.state()
			if changes, err := s.Update(t.Context(), shopOf(c.after...)); err == nil || !strings.Contains(err.Error(), c.want) || !changes.None() {
				t.Errorf("live: %s, %v", told(changes), err)
			}
			if got := s.state(); got != before {
				t.Errorf("before: %s\nafter:  %s", before, got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := local.Start(t.Context(), config(shopOf(c.after...), dir)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("at a start: %v", err)
			}
			s = openShop(t, dir, c.before...)
			if got := s.state(); got != before || !s.Started().None() {
				t.Errorf("before: %s\nafter:  %s, %s", before, got, told(s.Started()))
			}
		})
	}
}

func TestAFailedUpdateRemovesWhatItHadCreated(t *testing.T) {
	s := openShop(t, t.TempDir(), orders, ordersQueue)
	s.fill()
	before := s.state()
	redriven := edit(ordersQueue, "30", `40, "RedrivePolicy": {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:no-such", "maxReceiveCount": 3}`)
	changes, err := s.Update(t.Context(), shopOf(bus, edit(orders, "Orders", "Sales", "shop-local-orders", "shop-local-sales"), orders, redriven))
	if err == nil || !strings.Contains(err.Error(), "no-such") || !changes.None() {
		t.Errorf("%s, %v", told(changes), err)
	}
	if got := s.state(); got != before {
		t.Errorf("before: %s\nafter:  %s", before, got)
	}
}

func TestWhatAPersonHasChangedOfAQueueStaysUntilTheTemplateChangesIt(t *testing.T) {
	dir := t.TempDir()
	s := openShop(t, dir, ordersQueue)
	visibility := func(s shop) string {
		t.Helper()
		_, after, _ := strings.Cut(s.state(), "visibility ")
		return after
	}
	_, err := sqs.NewFromConfig(awsConfig(s.Endpoint())).SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: s.queue(), Attributes: map[string]string{"VisibilityTimeout": "7"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ resource, want string }{{ordersQueue, "7 s"}, {edit(ordersQueue, "30", "31"), "31 s"}} {
		if _, err := s.Update(t.Context(), shopOf(c.resource)); err != nil || visibility(s) != c.want {
			t.Errorf("updated: %s, want %s, %v", visibility(s), c.want, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s = openShop(t, dir, c.resource); visibility(s) != c.want {
			t.Errorf("started again: %s, want %s", visibility(s), c.want)
		}
	}
}

func TestATableThatIsMadeAgainIsEmpty(t *testing.T) {
	s := openShop(t, t.TempDir(), bus, orders, ordersQueue)
	s.fill()
	for _, resources := range [][]string{{bus}, {bus, orders, ordersQueue}} {
		if _, err := s.Update(t.Context(), shopOf(resources...)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.state(), "table shop-local-orders with 0 items; queue shop-local-orders with 0 messages, visibility 30 s; bus shop-local"; got != want {
		t.Errorf("state: %s\nwant:  %s", got, want)
	}
}
