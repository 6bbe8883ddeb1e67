package sqs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Target is the prefix of X-Amz-Target for the operations; the protocol is AWS
// JSON 1.0.
const Target = "AmazonSQS"

// QueryName is the service's name in the credential scope of the query
// protocol's requests.
const QueryName = "sqs"

// Operations are the operations that the local environment serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"CreateQueue":                  awswire.Op(s.createQueue),
		"DeleteQueue":                  awswire.Op(s.deleteQueue),
		"GetQueueUrl":                  awswire.Op(s.getQueueURL),
		"ListQueues":                   awswire.Op(s.listQueues),
		"GetQueueAttributes":           awswire.Op(s.getQueueAttributes),
		"SetQueueAttributes":           awswire.Op(s.setQueueAttributes),
		"PurgeQueue":                   awswire.Op(s.purgeQueue),
		"SendMessage":                  awswire.Op(s.sendMessage),
		"SendMessageBatch":             awswire.Op(s.sendMessageBatch),
		"ReceiveMessage":               awswire.Op(s.receiveMessage),
		"DeleteMessage":                awswire.Op(s.deleteMessage),
		"DeleteMessageBatch":           awswire.Op(s.deleteMessageBatch),
		"ChangeMessageVisibility":      awswire.Op(s.changeMessageVisibility),
		"ChangeMessageVisibilityBatch": awswire.Op(s.changeMessageVisibilityBatch),
		"TagQueue":                     awswire.Op(s.tagQueue),
		"UntagQueue":                   awswire.Op(s.untagQueue),
		"ListQueueTags":                awswire.Op(s.listQueueTags),
		"ListDeadLetterSourceQueues":   awswire.Op(s.listDeadLetterSourceQueues),
		"AddPermission":                awswire.Op(s.addPermission),
		"RemovePermission":             awswire.Op(s.removePermission),
		"StartMessageMoveTask":         awswire.Op(s.startMessageMoveTask),
		"ListMessageMoveTasks":         awswire.Op(s.listMessageMoveTasks),
		"CancelMessageMoveTask":        awswire.Op(s.cancelMessageMoveTask),
	}
}

// Query is the same API in the query protocol, which clients from before
// November 2023 speak, Debian 12's AWS CLI among them.
func (s *Service) Query() awswire.QueryService {
	return awswire.QueryService{
		Namespace:  "http://queue.amazonaws.com/doc/2012-11-05/",
		Operations: s.Operations(),
		Numbers:    []string{"DelaySeconds", "MaxNumberOfMessages", "MaxNumberOfMessagesPerSecond", "MaxResults", "VisibilityTimeout", "WaitTimeSeconds"},
		Lists: []awswire.List{
			{JSON: "QueueUrls", Wire: "QueueUrl", Action: "ListQueues", Answer: true},
			{JSON: "queueUrls", Wire: "QueueUrl", Action: "ListDeadLetterSourceQueues", Answer: true},
			{JSON: "AttributeNames", Wire: "AttributeName"},
			{JSON: "MessageAttributeNames", Wire: "MessageAttributeName"},
			{JSON: "MessageSystemAttributeNames", Wire: "MessageSystemAttributeName"},
			{JSON: "Attributes", Wire: "Attribute", Key: "Name", Value: "Value"},
			{JSON: "MessageSystemAttributes", Wire: "MessageSystemAttribute", Key: "Name", Value: "Value"},
			{JSON: "MessageAttributes", Wire: "MessageAttribute", Key: "Name", Value: "Value"},
			{JSON: "tags", Wire: "Tag", Key: "Key", Value: "Value", Action: "CreateQueue"},
			{JSON: "Tags", Wire: "Tag", Key: "Key", Value: "Value"},
			{JSON: "TagKeys", Wire: "TagKey"},
			{JSON: "AWSAccountIds", Wire: "AWSAccountId"},
			{JSON: "Actions", Wire: "ActionName"},
			{JSON: "Results", Wire: "ListMessageMoveTasksResultEntry"},
			{JSON: "Messages", Wire: "Message"},
			{JSON: "Entries", Wire: "{action}RequestEntry"},
			{JSON: "Successful", Wire: "{action}ResultEntry"},
			{JSON: "Failed", Wire: "BatchResultErrorEntry"},
		},
	}
}

type none struct{}

func missing(parameter string) error {
	return awswire.Errorf("MissingParameter", "The request must contain the parameter %s", parameter)
}

// byURL finds the queue that a queue URL names, if the caller may perform the
// action on it; only the URL's last part counts, as clients may reach the port
// under another name.
func (s *Service) byURL(ctx context.Context, action, queueURL string) (*queue, error) {
	name := queueURL[strings.LastIndexByte(queueURL, '/')+1:]
	if name == "" {
		return nil, awswire.Errorf("InvalidAddress", "The address %q is not valid for this endpoint", queueURL)
	}
	q, err := s.find(name)
	if refused := s.authorizeQueue(ctx, action, name, q); refused != nil {
		return nil, refused
	}
	if err == nil {
		q.charge(0)
	}
	return q, err
}

// authorize asks whether the caller may perform an action, like SendMessage, on
// the queue of the given name, which need not exist.
func (s *Service) authorize(ctx context.Context, action, name string) error {
	q, _ := s.find(name)
	return s.authorizeQueue(ctx, action, name, q)
}

// authorizeQueue is authorize for a queue that was found, or nil.
func (s *Service) authorizeQueue(ctx context.Context, action, name string, q *queue) error {
	a := awswire.Access{Action: "sqs:" + action}
	if q != nil {
		a.Resource, a.Policy = q.arn, q.policy()
	} else {
		a.Resource = s.ARN(name)
	}
	return awswire.Authorize(ctx, a)
}

type queueURL struct{ QueueUrl string } //nolint:revive // the API's spelling

func (s *Service) createQueue(ctx context.Context, in *struct {
	QueueName  string
	Attributes Attributes
	Tags       map[string]string `json:"tags"`
}) (*queueURL, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	if err := s.authorize(ctx, "CreateQueue", in.QueueName); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 { // "CreateQueue", Amazon SQS API reference
		if err := s.authorize(ctx, "TagQueue", in.QueueName); err != nil {
			return nil, err
		}
	}
	if err := s.CreateQueue(in.QueueName, in.Attributes, in.Tags); err != nil {
		return nil, err
	}
	return &queueURL{s.QueueURL(in.QueueName)}, nil
}

func (s *Service) deleteQueue(ctx context.Context, in *queueURL) (*none, error) {
	q, err := s.byURL(ctx, "DeleteQueue", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &none{}, s.DeleteQueue(q.name)
}

func (s *Service) getQueueURL(ctx context.Context, in *struct {
	QueueName              string
	QueueOwnerAWSAccountId string
}) (*queueURL, error) {
	if in.QueueOwnerAWSAccountId != "" && in.QueueOwnerAWSAccountId != s.config.Account {
		return nil, noSuchQueue(in.QueueName)
	}
	if err := s.authorize(ctx, "GetQueueUrl", in.QueueName); err != nil {
		return nil, err
	}
	q, err := s.find(in.QueueName)
	if err != nil {
		return nil, err
	}
	q.charge(0)
	return &queueURL{s.QueueURL(in.QueueName)}, nil
}

// maxListed is how many queues one call lists at most.
const maxListed = 1000

// page cuts a list of queues to the page that a call asks for. Without
// MaxResults there is no next page, whatever is left out ("ListQueues", Amazon
// SQS API reference).
func (s *Service) page(queues []*queue, maxResults *int, token string) (urls []string, next string, err error) {
	queues, next, err = awswire.Page(queues, func(q *queue) string { return q.name }, token, maxResults, maxListed)
	if err != nil {
		return nil, "", awswire.Errorf("InvalidParameterValue", "MaxResults, NextToken: want 1 to %d, and the token that came with the page before", maxListed)
	}
	if maxResults == nil {
		next = ""
	}
	for _, q := range queues {
		urls = append(urls, s.QueueURL(q.name))
	}
	return urls, next, nil
}

type listed struct {
	QueueUrls []string `json:",omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Service) listQueues(ctx context.Context, in *struct {
	QueueNamePrefix string
	MaxResults      *int
	NextToken       string
}) (*listed, error) {
	if err := s.authorize(ctx, "ListQueues", ""); err != nil {
		return nil, err
	}
	queues := slices.DeleteFunc(s.all(), func(q *queue) bool { return !strings.HasPrefix(q.name, in.QueueNamePrefix) })
	urls, next, err := s.page(queues, in.MaxResults, in.NextToken)
	return &listed{urls, next}, err
}

type listedSources struct {
	QueueUrls []string `json:"queueUrls"` // as the API spells it here
	NextToken string   `json:",omitempty"`
}

func (s *Service) listDeadLetterSourceQueues(ctx context.Context, in *struct {
	QueueUrl   string
	MaxResults *int
	NextToken  string
}) (*listedSources, error) {
	dlq, err := s.byURL(ctx, "ListDeadLetterSourceQueues", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	queues := slices.DeleteFunc(s.all(), func(q *queue) bool { return q.deadLetterQueue().queue != dlq })
	urls, next, err := s.page(queues, in.MaxResults, in.NextToken)
	if urls == nil {
		urls = []string{}
	}
	return &listedSources{urls, next}, err
}

func (s *Service) tagQueue(ctx context.Context, in *struct {
	QueueUrl string
	Tags     map[string]string
}) (*none, error) {
	q, err := s.byURL(ctx, "TagQueue", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, missing("Tags")
	}
	return &none{}, s.changeTags(q.name, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (s *Service) untagQueue(ctx context.Context, in *struct {
	QueueUrl string
	TagKeys  []string
}) (*none, error) {
	q, err := s.byURL(ctx, "UntagQueue", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, missing("TagKeys")
	}
	return &none{}, s.changeTags(q.name, func(tags map[string]string) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
	})
}

func (s *Service) listQueueTags(ctx context.Context, in *queueURL) (*struct {
	Tags map[string]string `json:",omitempty"`
}, error) {
	q, err := s.byURL(ctx, "ListQueueTags", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &struct {
		Tags map[string]string `json:",omitempty"`
	}{q.config().Tags}, nil
}

func (s *Service) getQueueAttributes(ctx context.Context, in *struct {
	QueueUrl       string
	AttributeNames []string
}) (*struct{ Attributes Attributes }, error) {
	q, err := s.byURL(ctx, "GetQueueAttributes", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := q.described()
	out := Attributes{}
	for _, name := range in.AttributeNames {
		if name == "All" {
			out = all
			break
		}
		if v, ok := all[name]; ok {
			out[name] = v
		} else if !knownAttributes[name] {
			return nil, awswire.Errorf("InvalidAttributeName", "Unknown Attribute %s", name)
		}
	}
	return &struct{ Attributes Attributes }{out}, nil
}

// knownAttributes are those that a queue may lack.
var knownAttributes = map[string]bool{
	"Policy": true, "RedrivePolicy": true, "RedriveAllowPolicy": true, "KmsMasterKeyId": true, "KmsDataKeyReusePeriodSeconds": true,
	"FifoQueue": true, "ContentBasedDeduplication": true, "DeduplicationScope": true, "FifoThroughputLimit": true,
}

func (s *Service) setQueueAttributes(ctx context.Context, in *struct {
	QueueUrl   string
	Attributes Attributes
}) (*none, error) {
	q, err := s.byURL(ctx, "SetQueueAttributes", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, missing("Attributes")
	}
	return &none{}, s.SetAttributes(q.name, in.Attributes)
}

func (s *Service) addPermission(ctx context.Context, in *struct {
	QueueUrl      string
	Label         string
	AWSAccountIds []string
	Actions       []string
}) (*none, error) {
	q, err := s.byURL(ctx, "AddPermission", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &none{}, s.AddPermission(q.name, in.Label, in.AWSAccountIds, in.Actions)
}

func (s *Service) removePermission(ctx context.Context, in *struct {
	QueueUrl string
	Label    string
}) (*none, error) {
	q, err := s.byURL(ctx, "RemovePermission", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &none{}, s.RemovePermission(q.name, in.Label)
}

func (s *Service) purgeQueue(ctx context.Context, in *queueURL) (*none, error) {
	q, err := s.byURL(ctx, "PurgeQueue", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &none{}, s.Purge(q.name)
}

// outgoing is a message as a client sends it.
type outgoing struct {
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]MessageAttribute
	MessageSystemAttributes map[string]MessageAttribute
	MessageGroupId          *string //nolint:revive // the API's spelling
	MessageDeduplicationId  *string //nolint:revive // the API's spelling
}

func (o *outgoing) message(sender string) (*Message, error) {
	if err := fifoOnly("MessageDeduplicationId", o.MessageDeduplicationId); err != nil {
		return nil, err
	}
	if err := checkAttributes(o.MessageAttributes); err != nil {
		return nil, err
	}
	trace, err := traceHeader(o.MessageSystemAttributes)
	if err != nil {
		return nil, err
	}
	group, err := checkGroup(o.MessageGroupId)
	if err != nil {
		return nil, err
	}
	return &Message{ID: uuid.NewString(), Body: o.MessageBody, Attributes: o.MessageAttributes, SentAt: time.Now(), SenderID: sender,
		GroupID: group, TraceHeader: trace}, nil
}

func (o *outgoing) delay(q *queue) (time.Duration, error) {
	if o.DelaySeconds == nil {
		return q.delay(), nil
	}
	if d := *o.DelaySeconds; d < 0 || d > 900 {
		return 0, awswire.Errorf("InvalidParameterValue", "DelaySeconds: want 0 to 900 (got %d)", d)
	}
	return time.Duration(*o.DelaySeconds) * time.Second, nil
}

type sentMessage struct {
	MessageId                    string
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
}

func (s *Service) sendMessage(ctx context.Context, in *struct {
	QueueUrl string
	outgoing
}) (*sentMessage, error) {
	q, err := s.byURL(ctx, "SendMessage", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	results, err := s.sendAll(ctx, q, []sendEntry{{outgoing: in.outgoing}})
	if err != nil {
		return nil, err
	}
	return results[0].sent, results[0].err
}

type sendResult struct {
	sent *sentMessage
	err  error
}

// sendAll sends messages in one commit; each has its own result.
func (s *Service) sendAll(ctx context.Context, q *queue, messages []sendEntry) ([]sendResult, error) {
	results := make([]sendResult, len(messages))
	batch := s.store.NewBatch()
	admitted := make([]sending, 0, len(messages))
	sender := awswire.CallerFrom(ctx).AccessKeyID
	for i := range messages {
		o := &messages[i].outgoing
		m, err := o.message(sender)
		if err == nil {
			err = q.check(m)
		}
		var delay time.Duration
		if err == nil {
			delay, err = o.delay(q)
		}
		var one sending
		if err == nil {
			one, err = q.prepare(batch, m, delay)
		}
		if err != nil {
			results[i].err = err
			continue
		}
		admitted = append(admitted, one)
		results[i].sent = &sentMessage{m.ID, m.BodyMD5(), attributesMD5(m.Attributes), attributesMD5(o.MessageSystemAttributes)}
	}
	if err := batch.Commit(); err != nil {
		return nil, err
	}
	admit(admitted)
	countSent(admitted)
	bytes := 0
	for _, one := range admitted {
		bytes += one.bytes
	}
	q.chargeBeyond(bytes)
	return results, nil
}

// batchError is the answer to one entry of a batch that was refused.
type batchError struct {
	Id          string
	Code        string
	Message     string
	SenderFault bool
}

func failedEntry(id string, err error) batchError {
	var e *awswire.Error
	if errors.As(err, &e) {
		return batchError{id, e.Code, e.Message, true}
	}
	return batchError{id, "InternalError", err.Error(), false}
}

// checkBatch checks what every batch operation demands of its entries' ids.
func checkBatch(ids []string) error {
	switch {
	case len(ids) == 0:
		return &awswire.Error{Code: "EmptyBatchRequest", QueryCode: "AWS.SimpleQueueService.EmptyBatchRequest", Message: "There should be at least one entry in the request"}
	case len(ids) > 10:
		return &awswire.Error{Code: "TooManyEntriesInBatchRequest", QueryCode: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			Message: fmt.Sprintf("Maximum number of entries per request are 10. You have sent %d", len(ids))}
	}
	for i, id := range ids {
		if !validName(id) {
			return &awswire.Error{Code: "InvalidBatchEntryId", QueryCode: "AWS.SimpleQueueService.InvalidBatchEntryId",
				Message: fmt.Sprintf("batch entry id %q: alphanumeric characters, hyphens and underscores, at most 80", id)}
		}
		if slices.Contains(ids[:i], id) {
			return &awswire.Error{Code: "BatchEntryIdsNotDistinct", QueryCode: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
				Message: fmt.Sprintf("Id %s repeated", id)}
		}
	}
	return nil
}

func ids[T any](entries []T, id func(T) string) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = id(e)
	}
	return out
}

type sendEntry struct {
	Id string
	outgoing
}

type sentEntry struct {
	Id string
	sentMessage
}

type sendBatchOutput struct {
	Successful []sentEntry
	Failed     []batchError
}

func (s *Service) sendMessageBatch(ctx context.Context, in *struct {
	QueueUrl string
	Entries  []sendEntry
}) (*sendBatchOutput, error) {
	q, err := s.byURL(ctx, "SendMessage", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(ids(in.Entries, func(e sendEntry) string { return e.Id })); err != nil {
		return nil, err
	}
	total := 0
	for i := range in.Entries {
		e := &in.Entries[i]
		total += (&Message{Body: e.MessageBody, Attributes: e.MessageAttributes}).size()
	}
	if total > 1<<20 {
		return nil, &awswire.Error{Code: "BatchRequestTooLong", QueryCode: "AWS.SimpleQueueService.BatchRequestTooLong",
			Message: fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes", 1<<20, total)}
	}
	results, err := s.sendAll(ctx, q, in.Entries)
	if err != nil {
		return nil, err
	}
	out := &sendBatchOutput{Successful: []sentEntry{}, Failed: []batchError{}}
	for i, r := range results {
		if r.err != nil {
			out.Failed = append(out.Failed, failedEntry(in.Entries[i].Id, r.err))
			continue
		}
		out.Successful = append(out.Successful, sentEntry{in.Entries[i].Id, *r.sent})
	}
	return out, nil
}

type receivedMessage struct {
	MessageId              string
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string           `json:",omitempty"`
	MD5OfMessageAttributes string                      `json:",omitempty"`
	MessageAttributes      map[string]MessageAttribute `json:",omitempty"`
}

type receiveOutput struct {
	Messages []receivedMessage `json:",omitempty"`
}

func (s *Service) receiveMessage(ctx context.Context, in *struct {
	QueueUrl                    string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	ReceiveRequestAttemptId     *string
}) (*receiveOutput, error) {
	q, err := s.byURL(ctx, "ReceiveMessage", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := fifoOnly("ReceiveRequestAttemptId", in.ReceiveRequestAttemptId); err != nil {
		return nil, err
	}
	q.mu.Lock()
	visibility, wait := q.settings.visibility, q.settings.wait
	q.mu.Unlock()
	most := 1
	for _, p := range []struct {
		name        string
		given       *int
		least, most int
		set         func(int)
	}{
		{"MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10, func(n int) { most = n }},
		{"VisibilityTimeout", in.VisibilityTimeout, 0, 43_200, func(n int) { visibility = time.Duration(n) * time.Second }},
		{"WaitTimeSeconds", in.WaitTimeSeconds, 0, 20, func(n int) { wait = time.Duration(n) * time.Second }},
	} {
		if p.given == nil {
			continue
		}
		if *p.given < p.least || *p.given > p.most {
			return nil, awswire.Errorf("InvalidParameterValue", "Value %d for parameter %s is invalid. Reason: Must be between %d and %d", *p.given, p.name, p.least, p.most)
		}
		p.set(*p.given)
	}
	systemNames := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	for _, name := range systemNames {
		if !slices.Contains(systemAttributes, name) {
			return nil, awswire.Errorf("InvalidAttributeName", "Unknown Attribute %s (want one of %s)", name, strings.Join(systemAttributes, ", "))
		}
	}
	got, err := q.receive(ctx, receiveLimits{messages: most}, visibility, wait)
	if err != nil {
		return nil, err
	}
	q.chargeBeyond(size(got))
	out := &receiveOutput{}
	for _, r := range got {
		m := receivedMessage{MessageId: r.ID, ReceiptHandle: r.ReceiptHandle, MD5OfBody: r.BodyMD5(), Body: r.Body}
		if len(systemNames) > 0 {
			m.Attributes = selected(r.SystemAttributes(), systemNames)
		}
		m.MessageAttributes = selected(r.Attributes, in.MessageAttributeNames)
		m.MD5OfMessageAttributes = attributesMD5(m.MessageAttributes)
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}

// systemAttributes are those that ReceiveMessage can be asked for; a standard
// queue's messages may lack some.
var systemAttributes = []string{"All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
	"SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn"}

// selected returns the attributes that names ask for: by name, by "prefix.*",
// or "All" (".*").
func selected[V any](attributes map[string]V, names []string) map[string]V {
	if len(attributes) == 0 || len(names) == 0 {
		return nil
	}
	out := map[string]V{}
	for name, v := range attributes {
		if slices.ContainsFunc(names, func(n string) bool {
			prefix, wild := strings.CutSuffix(n, ".*")
			return n == name || n == "All" || wild && strings.HasPrefix(name, prefix)
		}) {
			out[name] = v
		}
	}
	return out
}

func (s *Service) deleteMessage(ctx context.Context, in *struct {
	QueueUrl      string
	ReceiptHandle string
}) (*none, error) {
	q, err := s.byURL(ctx, "DeleteMessage", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	errs, err := q.remove([]string{in.ReceiptHandle})
	if err == nil {
		err = errs[0]
	}
	return &none{}, err
}

type handleEntry struct {
	Id                string
	ReceiptHandle     string
	VisibilityTimeout int
}

type idOnly struct{ Id string }

type handleBatchOutput struct {
	Successful []idOnly
	Failed     []batchError
}

func (o *handleBatchOutput) add(id string, err error) {
	if err != nil {
		o.Failed = append(o.Failed, failedEntry(id, err))
		return
	}
	o.Successful = append(o.Successful, idOnly{id})
}

func (s *Service) deleteMessageBatch(ctx context.Context, in *struct {
	QueueUrl string
	Entries  []struct{ Id, ReceiptHandle string }
}) (*handleBatchOutput, error) {
	q, err := s.byURL(ctx, "DeleteMessage", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	entryID := func(e struct{ Id, ReceiptHandle string }) string { return e.Id }
	if err := checkBatch(ids(in.Entries, entryID)); err != nil {
		return nil, err
	}
	errs, err := q.remove(ids(in.Entries, func(e struct{ Id, ReceiptHandle string }) string { return e.ReceiptHandle }))
	if err != nil {
		return nil, err
	}
	out := &handleBatchOutput{Successful: []idOnly{}, Failed: []batchError{}}
	for i, e := range in.Entries {
		out.add(e.Id, errs[i])
	}
	return out, nil
}

func (s *Service) changeMessageVisibility(ctx context.Context, in *struct {
	QueueUrl          string
	ReceiptHandle     string
	VisibilityTimeout *int
}) (*none, error) {
	q, err := s.byURL(ctx, "ChangeMessageVisibility", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if in.VisibilityTimeout == nil { // "ChangeMessageVisibility": required, unlike in a batch
		return nil, missing("VisibilityTimeout")
	}
	return &none{}, q.change(in.ReceiptHandle, *in.VisibilityTimeout)
}

func (q *queue) change(handle string, seconds int) error {
	if seconds < 0 || seconds > 43_200 {
		return awswire.Errorf("InvalidParameterValue", "VisibilityTimeout: want 0 to 43200 (got %d)", seconds)
	}
	return q.changeVisibility(handle, time.Duration(seconds)*time.Second)
}

func (s *Service) changeMessageVisibilityBatch(ctx context.Context, in *struct {
	QueueUrl string
	Entries  []handleEntry
}) (*handleBatchOutput, error) {
	q, err := s.byURL(ctx, "ChangeMessageVisibility", in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(ids(in.Entries, func(e handleEntry) string { return e.Id })); err != nil {
		return nil, err
	}
	out := &handleBatchOutput{Successful: []idOnly{}, Failed: []batchError{}}
	for _, e := range in.Entries {
		out.add(e.Id, q.change(e.ReceiptHandle, e.VisibilityTimeout))
	}
	return out, nil
}
