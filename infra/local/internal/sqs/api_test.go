package sqs

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

func client(t *testing.T) (*awssqs.Client, *Service) {
	t.Helper()
	s, end := newService(t, t.TempDir())
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.JSON(Target, "1.0", s.Operations())
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); end() })
	s.config.URL = server.URL
	return awssqs.New(awssqs.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	}), s
}

func TestTheSDKSendsReceivesAndDeletes(t *testing.T) {
	c, _ := client(t)
	ctx := t.Context()
	created, err := c.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("q"), Tags: map[string]string{"owner": "test"}})
	if err != nil {
		t.Fatal(err)
	}
	url := created.QueueUrl
	// The SDK checks the MD5 of what it sent and of what it receives.
	if _, err := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("häll☺"), MessageAttributes: map[string]types.MessageAttributeValue{
		"Reason": {DataType: aws.String("String"), StringValue: aws.String("why")},
		"Blob":   {DataType: aws.String("Binary"), BinaryValue: []byte{1, 2}},
	}}); err != nil {
		t.Fatal(err)
	}
	batch, err := c.SendMessageBatch(ctx, &awssqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: aws.String("A")},
		{Id: aws.String("b"), MessageBody: aws.String("B"), DelaySeconds: 901},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(batch.Successful) != 1 || len(batch.Failed) != 1 || *batch.Failed[0].Id != "b" {
		t.Fatalf("got %+v", batch)
	}
	got, err := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Messages) != 2 || *got.Messages[0].Body != "häll☺" || *got.Messages[0].MessageAttributes["Reason"].StringValue != "why" ||
		got.Messages[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Fatalf("got %+v", got.Messages)
	}
	deleted, err := c.DeleteMessageBatch(ctx, &awssqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("0"), ReceiptHandle: got.Messages[0].ReceiptHandle},
		{Id: aws.String("1"), ReceiptHandle: aws.String("nonsense")},
	}})
	if err != nil || len(deleted.Successful) != 1 || len(deleted.Failed) != 1 || *deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Fatal(err, deleted)
	}
	attributes, err := c.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil || attributes.Attributes["ApproximateNumberOfMessagesNotVisible"] != "1" || attributes.Attributes["QueueArn"] != "arn:aws:sqs:us-east-1:000000000000:q" {
		t.Fatal(err, attributes.Attributes)
	}
	if _, err := c.DeleteQueue(ctx, &awssqs.DeleteQueueInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
	_, err = c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
	var gone *types.QueueDoesNotExist
	if !errors.As(err, &gone) {
		t.Fatalf("got %v", err)
	}
}

func TestWhatSQSWouldRefuseIsRefused(t *testing.T) {
	c, s := client(t)
	ctx := t.Context()
	ensure(t, s, "q", nil)
	url := aws.String(s.QueueURL("q"))
	create := func(name string, attributes map[string]string) error {
		_, err := c.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		return err
	}
	entry := func(id string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String("x")}
	}
	sendBatch := func(entries ...types.SendMessageBatchRequestEntry) error {
		_, err := c.SendMessageBatch(ctx, &awssqs.SendMessageBatchInput{QueueUrl: url, Entries: entries})
		return err
	}
	for _, test := range []struct {
		name string
		err  error
		code string
		text string
	}{
		{"FIFO", create("q.fifo", nil), "InvalidAttributeValue", "FIFO queues are not supported"},
		{"a bad name", create("q q", nil), "InvalidParameterValue", `"q q"`},
		{"an unknown attribute", create("r", map[string]string{"Colour": "red"}), "InvalidAttributeName", "Colour"},
		{"a value out of range", create("r", map[string]string{"VisibilityTimeout": "50000"}), "InvalidAttributeValue", "VisibilityTimeout"},
		{"other attributes for a queue that exists", create("q", map[string]string{"DelaySeconds": "5"}), "QueueAlreadyExists", "different attributes"},
		{"a policy that is not understood", create("r", map[string]string{"Policy": `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026"}}}]}`}), "InvalidAttributeValue", "DateLessThan"},
		{"an empty batch entry list", sendBatch(entry("a"), entry("a")), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "repeated"},
	} {
		var api smithy.APIError
		if !errors.As(test.err, &api) || api.ErrorCode() != test.code || !strings.Contains(api.ErrorMessage(), test.text) {
			t.Errorf("%s: got %v, want %s with %q", test.name, test.err, test.code, test.text)
		}
	}
	_, err := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String(strings.Repeat("x", 1<<20+1))})
	if err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("too large a message: got %v", err)
	}
}

func TestAServiceMaySendOnlyWhereTheQueuesPolicyAllowsIt(t *testing.T) {
	s, end := newService(t, t.TempDir())
	defer end()
	ruleARN := "arn:aws:events:us-east-1:000000000000:rule/bus/rule"
	ensure(t, s, "closed", nil)
	ensure(t, s, "open", Attributes{"Policy": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"` + s.ARN("open") + `","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + s.ARN("open") + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `"}}}]}`})
	errs, err := s.SendFromService("events.amazonaws.com", []Outgoing{
		{QueueARN: s.ARN("open"), Body: "allowed", SourceARN: ruleARN},
		{QueueARN: s.ARN("open"), Body: "another rule", SourceARN: ruleARN + "2"},
		{QueueARN: s.ARN("closed"), Body: "no policy", SourceARN: ruleARN},
		{QueueARN: s.ARN("missing"), Body: "no queue", SourceARN: ruleARN},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range []string{"", "AccessDenied", "AccessDenied", "QueueDoesNotExist"} {
		var e *awswire.Error
		if code == "" && errs[i] != nil || code != "" && (!errors.As(errs[i], &e) || e.Code != code) {
			t.Errorf("message %d: got %v, want %q", i, errs[i], code)
		}
	}
	q, _ := s.find("open")
	want(t, receive(t, q, 0), "allowed")
}

func TestQueuesCarryTagsAndKnowWhoseDeadLettersTheyTake(t *testing.T) {
	c, s := client(t)
	ctx := t.Context()
	ensure(t, s, "dlq", nil)
	for _, name := range []string{"a", "b", "c"} {
		ensure(t, s, name, Attributes{"RedrivePolicy": `{"deadLetterTargetArn":"` + s.ARN("dlq") + `","maxReceiveCount":1}`})
	}
	sources, err := c.ListDeadLetterSourceQueues(ctx, &awssqs.ListDeadLetterSourceQueuesInput{QueueUrl: aws.String(s.QueueURL("dlq")), MaxResults: aws.Int32(2)})
	if err != nil || len(sources.QueueUrls) != 2 || sources.QueueUrls[0] != s.QueueURL("a") || sources.NextToken == nil {
		t.Fatal(err, sources)
	}
	rest, err := c.ListDeadLetterSourceQueues(ctx, &awssqs.ListDeadLetterSourceQueuesInput{QueueUrl: aws.String(s.QueueURL("dlq")), MaxResults: aws.Int32(2), NextToken: sources.NextToken})
	if err != nil || len(rest.QueueUrls) != 1 || rest.QueueUrls[0] != s.QueueURL("c") || rest.NextToken != nil {
		t.Fatal(err, rest)
	}
	url := aws.String(s.QueueURL("a"))
	if _, err := c.TagQueue(ctx, &awssqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"owner": "me", "expires": "soon"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagQueue(ctx, &awssqs.UntagQueueInput{QueueUrl: url, TagKeys: []string{"expires"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := c.ListQueueTags(ctx, &awssqs.ListQueueTagsInput{QueueUrl: url})
	if err != nil || len(tags.Tags) != 1 || tags.Tags["owner"] != "me" {
		t.Fatal(err, tags)
	}
}

func TestOperationsAndParametersOutOfScopeAreRefusedByName(t *testing.T) {
	c, s := client(t)
	ctx := t.Context()
	ensure(t, s, "q", nil)
	url := aws.String(s.QueueURL("q"))
	_, permission := c.AddPermission(ctx, &awssqs.AddPermissionInput{QueueUrl: url, Label: aws.String("l"), AWSAccountIds: []string{"1"}, Actions: []string{"*"}})
	_, group := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageGroupId: aws.String("g")})
	_, attempt := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, ReceiveRequestAttemptId: aws.String("a")})
	_, attribute := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"Colour"}})
	for text, err := range map[string]error{
		"write the whole policy with SetQueueAttributes":         permission,
		"parameter MessageGroupId is not supported":              group,
		"parameter ReceiveRequestAttemptId is not supported":     attempt,
		"Unknown Attribute Colour (want one of All, SenderId, S": attribute,
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %s", err, text)
		}
	}
}

// The forms are as Debian 12's AWS CLI (2.9.19) sends them.
func TestOlderClientsSpeakTheQueryProtocol(t *testing.T) {
	s, end := newService(t, t.TempDir())
	defer end()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.Query(QueryName, s.Query())
	call := func(form string) string {
		t.Helper()
		r := httptest.NewRequest("POST", "/000000000000/q", strings.NewReader("Version=2012-11-05&"+form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=x")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Body.String()
	}
	has := func(answer string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(answer, part) {
				t.Errorf("no %s in %s", part, answer)
			}
		}
	}
	const queue = "QueueUrl=http%3A%2F%2Fhost%2F000000000000%2Fq"
	has(call("Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=0&Tag.1.Key=owner&Tag.1.Value=me"),
		"<CreateQueueResult><QueueUrl>", "/000000000000/q</QueueUrl></CreateQueueResult>", "<RequestId>")
	has(call("Action=ListQueues&QueueNamePrefix=q"), "<ListQueuesResult><QueueUrl>")
	has(call("Action=ListQueueTags&"+queue), "<Tag><Key>owner</Key><Value>me</Value></Tag>")
	has(call("Action=UntagQueue&"+queue+"&TagKey.1=owner"), "<UntagQueueResult></UntagQueueResult>")
	has(call("Action=SendMessage&"+queue+"&MessageBody=a+%3Cb%3E&DelaySeconds=0&MessageAttribute.1.Name=Why&MessageAttribute.1.Value.StringValue=so&MessageAttribute.1.Value.DataType=String"),
		"<MD5OfMessageBody>"+bodyMD5("a <b>")+"</MD5OfMessageBody>", "<MD5OfMessageAttributes>")
	has(call("Action=ReceiveMessage&"+queue+"&AttributeName.1=All&MessageAttributeName.1=All&MaxNumberOfMessages=10"),
		"<ReceiveMessageResult><Message>", "<Body>a &lt;b&gt;</Body>", "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>",
		"<MessageAttribute><Name>Why</Name><Value><DataType>String</DataType><StringValue>so</StringValue></Value></MessageAttribute>")
	has(call("Action=SendMessageBatch&"+queue+"&SendMessageBatchRequestEntry.1.Id=x&SendMessageBatchRequestEntry.1.MessageBody=A&SendMessageBatchRequestEntry.2.Id=y&SendMessageBatchRequestEntry.2.MessageBody=B&SendMessageBatchRequestEntry.2.DelaySeconds=901"),
		"<SendMessageBatchResultEntry><Id>x</Id>", "<BatchResultErrorEntry><Id>y</Id><Code>InvalidParameterValue</Code>", "<SenderFault>true</SenderFault>")
	has(call("Action=GetQueueAttributes&"+queue+"&AttributeName.1=VisibilityTimeout"), "<Attribute><Name>VisibilityTimeout</Name><Value>0</Value></Attribute>")
	has(call("Action=DeleteMessageBatch&"+queue+"&DeleteMessageBatchRequestEntry.1.Id=x&DeleteMessageBatchRequestEntry.1.ReceiptHandle="+receipt{0, 1}.handle()),
		"<DeleteMessageBatchResultEntry><Id>x</Id></DeleteMessageBatchResultEntry>")
	has(call("Action=ListDeadLetterSourceQueues&"+queue), "<ListDeadLetterSourceQueuesResult></ListDeadLetterSourceQueuesResult>")
	has(call("Action=SendMessage&"+queue+"&MessageBody=x&MessageGroupId=g"), "<Code>ValidationException</Code>", "parameter MessageGroupId is not supported")
	has(call("Action=DeleteQueue&"+queue), "<DeleteQueueResult>")
	has(call("Action=PurgeQueue&"+queue), "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>")
}
