package sqs

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	ipolicy "github.com/penstock-dev/penstock/infra/local/internal/policy"
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
	str := func(v string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	sendWith := func(attributes map[string]types.MessageAttributeValue) error {
		_, err := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageAttributes: attributes})
		return err
	}
	set := func(name, value string) error {
		_, err := c.SetQueueAttributes(ctx, &awssqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{name: value}})
		return err
	}
	_, dedup := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("g")})
	_, group := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageGroupId: aws.String("a b")})
	_, attempt := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, ReceiveRequestAttemptId: aws.String("a")})
	_, attribute := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"Colour"}})
	_, tag := c.TagQueue(ctx, &awssqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"aws:x": "y"}})
	_, handle := c.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String(receipt{"other", 1, 1}.handle())})
	_, gone := c.ChangeMessageVisibility(ctx, &awssqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: aws.String(receipt{"q", 1, 1}.handle())})
	eleven := map[string]types.MessageAttributeValue{}
	for i := range 11 {
		eleven[strings.Repeat("a", i+1)] = str("x")
	}
	for text, err := range map[string]error{
		"parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid":  dedup,
		"parameter ReceiveRequestAttemptId is invalid. Reason: The request includes a parameter that is not valid": attempt,
		"MessageGroupId can only include":                        group,
		"Unknown Attribute Colour (want one of All, SenderId, S": attribute,
		"the prefix aws: is reserved":                            tag,
		"not a valid receipt handle of queue":                    handle,
		"Message does not exist":                                 gone,
		"attributes [11] exceeds the allowed maximum [10]":       sendWith(eleven),
		`"AWS.x": the prefixes`:                                  sendWith(map[string]types.MessageAttributeValue{"AWS.x": str("x")}),
		`"a..b": a name must not`:                                sendWith(map[string]types.MessageAttributeValue{"a..b": str("x")}),
		`"a b": a name consists`:                                 sendWith(map[string]types.MessageAttributeValue{"a b": str("x")}),
		"a StringValue that is not empty":                        sendWith(map[string]types.MessageAttributeValue{"a": str("")}),
		`InvalidMessageContents: message attribute "a"`:          sendWith(map[string]types.MessageAttributeValue{"a": str("\x01")}),
		`to a number (got "ten")`:                                sendWith(map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Number.int"), StringValue: aws.String("ten")}}),
		"want String, Number or Binary":                          sendWith(map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Text"), StringValue: aws.String("x")}}),
		"StringListValues is not supported":                      sendWith(map[string]types.MessageAttributeValue{"a": {DataType: aws.String("String"), StringListValues: []string{"x"}}}),
		"attribute KmsMasterKeyId is not supported":              set("KmsMasterKeyId", "alias/aws/sqs"),
		"attribute ContentBasedDeduplication is not supported":   set("ContentBasedDeduplication", "true"),
		"Dead letter target does not exist":                      set("RedrivePolicy", `{"deadLetterTargetArn":"`+s.ARN("none")+`","maxReceiveCount":1}`),
		"want allowAll, denyAll or byQueue":                      set("RedriveAllowPolicy", `{"redrivePermission":"some"}`),
		"byQueue wants 1 to 10 sourceQueueArns (got 0)":          set("RedriveAllowPolicy", `{"redrivePermission":"byQueue"}`),
		"goes with redrivePermission byQueue only":               set("RedriveAllowPolicy", `{"redrivePermission":"denyAll","sourceQueueArns":["x"]}`),
		"a policy has at most 8192 bytes":                        set("Policy", `{"Statement":[]`+strings.Repeat(" ", 8192)+`}`),
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %s", err, text)
		}
	}
}

func TestBodiesHoldOnlyTheCharactersThatSQSTakes(t *testing.T) {
	c, s := client(t)
	ensure(t, s, "q", nil)
	for body, ok := range map[string]bool{
		"\t\n\r text": true, "\uD7FF\uE000\uFFFD": true, "\U00010000\U0010FFFF": true, "\u0080": true,
		"\x00": false, "a\x0b": false, "\x1f": false, "\uFFFE": false, "a\uFFFF": false,
	} {
		_, err := c.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: aws.String(s.QueueURL("q")), MessageBody: &body})
		var refused *types.InvalidMessageContents
		if ok && err != nil || !ok && !errors.As(err, &refused) {
			t.Errorf("%q: got %v", body, err)
		}
	}
}

func TestSystemAttributesTravelWithTheMessage(t *testing.T) {
	c, s := client(t)
	dlq := ensure(t, s, "dlq", nil)
	q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + s.ARN("dlq") + `","maxReceiveCount":1}`})
	trace := "Root=1-5759e988-bd862e3fe1be46a994272793"
	// The SDK does not check MD5OfMessageSystemAttributes, so the test does.
	sent, err := c.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: aws.String(s.QueueURL("q")), MessageBody: aws.String("x"), MessageGroupId: aws.String("tenant-1"),
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: &trace}}})
	if err != nil || aws.ToString(sent.MD5OfMessageSystemAttributes) != attributesMD5(map[string]MessageAttribute{"AWSTraceHeader": {DataType: "String", StringValue: &trace}}) {
		t.Fatal(err, sent)
	}
	for range 2 {
		_ = receive(t, q, 0)
	}
	got, err := c.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: aws.String(s.QueueURL("dlq")), MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil || len(got.Messages) != 1 {
		t.Fatal(err, got, dlq.counts())
	}
	a := got.Messages[0].Attributes
	if a["AWSTraceHeader"] != trace || a["MessageGroupId"] != "tenant-1" || a["DeadLetterQueueSourceArn"] != s.ARN("q") || a["SenderId"] != "KEY" {
		t.Fatal(a)
	}
}

func TestPermissionsAreStatementsOfTheQueuesPolicy(t *testing.T) {
	c, s := client(t)
	ctx := t.Context()
	q := ensure(t, s, "q", nil)
	url := aws.String(s.QueueURL("q"))
	add := func(label string, account string, actions ...string) error {
		_, err := c.AddPermission(ctx, &awssqs.AddPermissionInput{QueueUrl: url, Label: &label, AWSAccountIds: []string{account}, Actions: actions})
		return err
	}
	remove := func(label string) error {
		_, err := c.RemovePermission(ctx, &awssqs.RemovePermissionInput{QueueUrl: url, Label: &label})
		return err
	}
	policy := func() string {
		t.Helper()
		out, err := c.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"Policy"}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["Policy"]
	}
	if err := add("send", "111111111111", "SendMessage"); err != nil {
		t.Fatal(err)
	}
	one := `{"Version":"2008-10-17","Id":"` + s.ARN("q") + `/SQSDefaultPolicy","Statement":[{"Sid":"send","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"SQS:SendMessage","Resource":"` + s.ARN("q") + `"}]}`
	if got := policy(); got != one {
		t.Fatalf("got  %s\nwant %s", got, one)
	}
	may := func(account, action string) bool {
		return q.allows(ipolicy.Request{ARNs: []string{"arn:aws:iam::" + account + ":root"}, Action: action, Resource: s.ARN("q")})
	}
	if !may("111111111111", "sqs:SendMessage") || may("222222222222", "sqs:SendMessage") || may("111111111111", "sqs:ReceiveMessage") {
		t.Error("the policy does not allow what was permitted, or more")
	}
	if err := add("all", "222222222222", "*"); err != nil || !may("222222222222", "sqs:ReceiveMessage") {
		t.Fatal(err)
	}
	for text, err := range map[string]error{
		"Label is invalid. Reason: Already exists":              add("send", "111111111111", "SendMessage"),
		"OverLimit: 8 Actions were found, maximum allowed is 7": add("many", "111111111111", strings.Split(strings.Repeat("SendMessage ", 8)[:95], " ")...),
		"Value SQS:Fly for parameter ActionName":                add("fly", "111111111111", "Fly"),
		`Value "1" for parameter PrincipalId`:                   add("who", "1", "*"),
		`Value "a b" for parameter Label`:                       add("a b", "111111111111", "*"),
		"Reason: can't find label":                              remove("none"),
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %s", err, text)
		}
	}
	if err := remove("all"); err != nil || policy() != one {
		t.Fatal(err, policy())
	}
	if err := remove("send"); err != nil || policy() != "" || may("111111111111", "sqs:SendMessage") {
		t.Fatal(err, policy())
	}
	for i := range 20 {
		if err := add("s"+strings.Repeat("x", i), "111111111111", "SendMessage"); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("last", "111111111111", "SendMessage"); err == nil || !strings.Contains(err.Error(), "OverLimit: the policy of queue \"q\" has 20 statements") {
		t.Error(err)
	}
}

func TestADeadLetterQueueSaysWhoseDeadLettersItTakes(t *testing.T) {
	c, s := client(t)
	ctx := t.Context()
	redrive := `{"deadLetterTargetArn":"` + s.ARN("dlq") + `","maxReceiveCount":1}`
	use := func(name string) error {
		_, err := c.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name})
		if err == nil {
			_, err = c.SetQueueAttributes(ctx, &awssqs.SetQueueAttributesInput{QueueUrl: aws.String(s.QueueURL(name)), Attributes: map[string]string{"RedrivePolicy": redrive}})
		}
		return err
	}
	for _, test := range []struct {
		allow string
		a, b  bool
	}{
		{`{"redrivePermission":"denyAll"}`, false, false},
		{`{"redrivePermission":"byQueue","sourceQueueArns":["` + s.ARN("a1") + `"]}`, true, false},
		{`{"redrivePermission":"allowAll"}`, true, true},
		{``, true, true},
	} {
		ensure(t, s, "dlq", nil)
		for _, name := range []string{"a1", "b1"} {
			ensure(t, s, name, nil) // without a redrive policy
		}
		if err := s.SetAttributes("dlq", Attributes{"RedriveAllowPolicy": test.allow}); err != nil {
			t.Fatal(err)
		}
		for name, allowed := range map[string]bool{"a1": test.a, "b1": test.b} {
			err := use(name)
			if allowed != (err == nil) || err != nil && !strings.Contains(err.Error(), `the RedriveAllowPolicy of queue "dlq"`) {
				t.Errorf("%s, queue %s: %v", test.allow, name, err)
			}
		}
	}
	if err := s.SetAttributes("dlq", Attributes{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`}); err != nil {
		t.Fatal(err)
	}
	// A deployment is held to it too; what is in place already stays.
	if err := s.EnsureQueue("c", Attributes{"RedrivePolicy": redrive}, nil); code(err) != "InvalidParameterValue" {
		t.Errorf("a deployment: %v", err)
	}
	if err := s.EnsureQueue("a1", Attributes{"RedrivePolicy": redrive, "VisibilityTimeout": "7"}, nil); err != nil {
		t.Errorf("what is in place already: %v", err)
	}
}

func TestTheSDKMovesDeadLettersBack(t *testing.T) {
	c, s := client(t)
	ctx := t.Context()
	q, _ := deadLetters(t, s, "q", "a", "b")
	started, err := c.StartMessageMoveTask(ctx, &awssqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.ARN("dlq")), MaxNumberOfMessagesPerSecond: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := c.ListMessageMoveTasks(ctx, &awssqs.ListMessageMoveTasksInput{SourceArn: aws.String(s.ARN("dlq"))})
	if err != nil || len(listed.Results) != 1 {
		t.Fatal(err, listed)
	}
	if r := listed.Results[0]; *r.Status != "RUNNING" || *r.TaskHandle != *started.TaskHandle || r.DestinationArn != nil || *r.ApproximateNumberOfMessagesToMove != 2 || *r.MaxNumberOfMessagesPerSecond != 1 || r.StartedTimestamp == 0 {
		t.Fatalf("got %+v", r)
	}
	if _, err := c.CancelMessageMoveTask(ctx, &awssqs.CancelMessageMoveTaskInput{TaskHandle: started.TaskHandle}); err != nil {
		t.Fatal(err)
	}
	s.mu.RLock()
	first := s.moves["dlq"][0]
	s.mu.RUnlock()
	<-first.ended
	if _, err := c.StartMessageMoveTask(ctx, &awssqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.ARN("dlq"))}); err != nil {
		t.Fatal(err)
	}
	back, err := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: aws.String(s.QueueURL("q")), WaitTimeSeconds: 20, VisibilityTimeout: 60})
	if err != nil || len(back.Messages) == 0 {
		t.Fatal(err, q.counts())
	}
	listed, err = c.ListMessageMoveTasks(ctx, &awssqs.ListMessageMoveTasksInput{SourceArn: aws.String(s.ARN("dlq")), MaxResults: aws.Int32(10)})
	if err != nil || len(listed.Results) != 2 || listed.Results[1].TaskHandle != nil || *listed.Results[1].Status != "CANCELLED" {
		t.Fatal(err, listed)
	}
	var missing *types.ResourceNotFoundException
	if _, err := c.StartMessageMoveTask(ctx, &awssqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.ARN("none"))}); !errors.As(err, &missing) {
		t.Error(err)
	}
	_, rate := c.StartMessageMoveTask(ctx, &awssqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.ARN("dlq")), MaxNumberOfMessagesPerSecond: aws.Int32(501)})
	_, arn := c.StartMessageMoveTask(ctx, &awssqs.StartMessageMoveTaskInput{SourceArn: aws.String("dlq")})
	_, most := c.ListMessageMoveTasks(ctx, &awssqs.ListMessageMoveTasksInput{SourceArn: aws.String(s.ARN("dlq")), MaxResults: aws.Int32(11)})
	for text, err := range map[string]error{"Must be between 1 and 500": rate, "You must use this format to specify the SourceArn": arn, "Must be between 1 and 10": most} {
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
		"<MD5OfMessageBody>"+(&Message{Body: "a <b>"}).BodyMD5()+"</MD5OfMessageBody>", "<MD5OfMessageAttributes>")
	has(call("Action=ReceiveMessage&"+queue+"&AttributeName.1=All&MessageAttributeName.1=All&MaxNumberOfMessages=10"),
		"<ReceiveMessageResult><Message>", "<Body>a &lt;b&gt;</Body>", "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>",
		"<MessageAttribute><Name>Why</Name><Value><DataType>String</DataType><StringValue>so</StringValue></Value></MessageAttribute>")
	has(call("Action=ChangeMessageVisibility&"+queue+"&ReceiptHandle="+receipt{"q", 0, 1}.handle()), "<Code>MissingParameter</Code>", "VisibilityTimeout")
	has(call("Action=SendMessageBatch&"+queue+"&SendMessageBatchRequestEntry.1.Id=x&SendMessageBatchRequestEntry.1.MessageBody=A&SendMessageBatchRequestEntry.2.Id=y&SendMessageBatchRequestEntry.2.MessageBody=B&SendMessageBatchRequestEntry.2.DelaySeconds=901"),
		"<SendMessageBatchResultEntry><Id>x</Id>", "<BatchResultErrorEntry><Id>y</Id><Code>InvalidParameterValue</Code>", "<SenderFault>true</SenderFault>")
	has(call("Action=GetQueueAttributes&"+queue+"&AttributeName.1=VisibilityTimeout"), "<Attribute><Name>VisibilityTimeout</Name><Value>0</Value></Attribute>")
	has(call("Action=DeleteMessageBatch&"+queue+"&DeleteMessageBatchRequestEntry.1.Id=x&DeleteMessageBatchRequestEntry.1.ReceiptHandle="+receipt{"q", 0, 1}.handle()),
		"<DeleteMessageBatchResultEntry><Id>x</Id></DeleteMessageBatchResultEntry>")
	has(call("Action=ListDeadLetterSourceQueues&"+queue), "<ListDeadLetterSourceQueuesResult></ListDeadLetterSourceQueuesResult>")
	has(call("Action=SendMessage&"+queue+"&MessageBody=x&MessageGroupId=g&MessageSystemAttribute.1.Name=AWSTraceHeader&MessageSystemAttribute.1.Value.StringValue=Root&MessageSystemAttribute.1.Value.DataType=String"),
		"<MD5OfMessageSystemAttributes>")
	has(call("Action=ReceiveMessage&"+queue+"&AttributeName.1=MessageGroupId&MaxNumberOfMessages=10"), "<Attribute><Name>MessageGroupId</Name><Value>g</Value></Attribute>")
	has(call("Action=AddPermission&"+queue+"&Label=l&AWSAccountId.1=111111111111&AWSAccountId.2=222222222222&ActionName.1=SendMessage&ActionName.2=ReceiveMessage"), "<AddPermissionResult>")
	has(call("Action=GetQueueAttributes&"+queue+"&AttributeName.1=Policy"), "arn:aws:iam::222222222222:root&#34;]},", "[&#34;SQS:SendMessage&#34;,&#34;SQS:ReceiveMessage&#34;]")
	has(call("Action=RemovePermission&"+queue+"&Label=l"), "<RemovePermissionResult>")
	has(call("Action=CreateQueue&QueueName=source&Attribute.1.Name=RedrivePolicy&Attribute.1.Value="+url.QueryEscape(`{"deadLetterTargetArn":"`+s.ARN("q")+`","maxReceiveCount":"3"}`)), "/000000000000/source</QueueUrl>")
	arn := url.QueryEscape(s.ARN("q"))
	has(call("Action=StartMessageMoveTask&SourceArn="+arn+"&DestinationArn="+url.QueryEscape(s.ARN("source"))+"&MaxNumberOfMessagesPerSecond=1"), "<StartMessageMoveTaskResult><TaskHandle>")
	running := call("Action=ListMessageMoveTasks&MaxResults=5&SourceArn=" + arn)
	has(running, "<ListMessageMoveTasksResult><ListMessageMoveTasksResultEntry>", "<Status>RUNNING</Status>", "<MaxNumberOfMessagesPerSecond>1</MaxNumberOfMessagesPerSecond>", "<StartedTimestamp>")
	_, handle, _ := strings.Cut(running, "<TaskHandle>")
	handle, _, _ = strings.Cut(handle, "</TaskHandle>")
	has(call("Action=CancelMessageMoveTask&TaskHandle="+url.QueryEscape(handle)), "<CancelMessageMoveTaskResult><ApproximateNumberOfMessagesMoved>0<")
	has(call("Action=CancelMessageMoveTask&TaskHandle=x"), "<Code>InvalidParameterValue</Code>")
	has(call("Action=PurgeQueue&"+queue), "<PurgeQueueResult>")
	has(call("Action=PurgeQueue&"+queue), "<Code>AWS.SimpleQueueService.PurgeQueueInProgress</Code>", "allowed every 60 seconds")
	has(call("Action=DeleteQueue&"+queue), "<DeleteQueueResult>")
	has(call("Action=PurgeQueue&"+queue), "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>")
}
