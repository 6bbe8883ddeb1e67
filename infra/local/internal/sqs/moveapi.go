package sqs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// taskHandle is what the handle of a move task says, in Base64.
type taskHandle struct {
	TaskID    string `json:"taskId"`
	SourceARN string `json:"sourceArn"`
}

// Handle is the task's handle, by which it can be cancelled.
func (t MoveTask) Handle() string {
	text, _ := json.Marshal(taskHandle{t.ID, t.SourceARN}) // two strings
	return base64.StdEncoding.EncodeToString(text)
}

func parseTaskHandle(handle string) (h taskHandle, err error) {
	text, err := base64.StdEncoding.DecodeString(handle)
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil || h.TaskID == "" || !strings.HasPrefix(h.SourceARN, "arn:") {
		return h, awswire.Errorf("InvalidParameterValue", "Value for parameter TaskHandle is invalid (got %q)", handle)
	}
	return h, nil
}

func noSuchResource(parameter, arn string) error {
	return &awswire.Error{Code: "ResourceNotFoundException", Status: http.StatusNotFound,
		Message: fmt.Sprintf("The resource that you specified for the %s parameter doesn't exist (%s)", parameter, arn)}
}

func unsupported(format string, args ...any) error {
	e := awswire.Errorf("UnsupportedOperation", format, args...)
	e.QueryCode = "AWS.SimpleQueueService.UnsupportedOperation"
	return e
}

func checkARN(parameter, arn string) error {
	if parts := strings.Split(arn, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" {
		return awswire.Errorf("InvalidParameterValue", "You must use this format to specify the %s: arn:<partition>:<service>:<region>:<account-id>:<resource-id> (got %q)", parameter, arn)
	}
	return nil
}

// authorizeMove asks for what an operation on move tasks needs with the source
// ("Amazon SQS API permissions: Actions and resource reference").
func (s *Service) authorizeMove(ctx context.Context, operation, sourceARN string) error {
	for _, action := range []string{operation, "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"} {
		if err := s.authorize(ctx, action, nameOf(sourceARN)); err != nil {
			return err
		}
	}
	return nil
}

// destinations are the names of the queues to which a move may send: without a
// destination, all those whose DLQ the source is.
func (s *Service) destinations(sourceARN, destinationARN string) []string {
	if destinationARN != "" {
		return []string{nameOf(destinationARN)}
	}
	var out []string
	for _, q := range s.all() {
		if dlq := q.deadLetterQueue(); dlq.queue != nil && s.ARN(dlq.queue.name) == sourceARN {
			out = append(out, q.name)
		}
	}
	return out
}

// nameOf is the name of the queue that an ARN names.
func nameOf(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }

func (s *Service) startMessageMoveTask(ctx context.Context, in *struct {
	SourceArn                    string
	DestinationArn               string
	MaxNumberOfMessagesPerSecond *int
}) (*struct{ TaskHandle string }, error) {
	if in.SourceArn == "" {
		return nil, missing("SourceArn")
	}
	if err := checkARN("SourceArn", in.SourceArn); err != nil {
		return nil, err
	}
	if in.DestinationArn != "" {
		if err := checkARN("DestinationArn", in.DestinationArn); err != nil {
			return nil, err
		}
	}
	rate := 0
	if p := in.MaxNumberOfMessagesPerSecond; p != nil {
		if rate = *p; rate < 1 || rate > maxMoveRate {
			return nil, awswire.Errorf("InvalidParameterValue", "Value %d for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and %d, if provided", rate, maxMoveRate)
		}
	}
	if err := s.authorizeMove(ctx, "StartMessageMoveTask", in.SourceArn); err != nil {
		return nil, err
	}
	for _, destination := range s.destinations(in.SourceArn, in.DestinationArn) {
		if err := s.authorize(ctx, "SendMessage", destination); err != nil {
			return nil, err
		}
	}
	t, err := s.StartMove(in.SourceArn, in.DestinationArn, rate)
	if err != nil {
		return nil, err
	}
	return &struct{ TaskHandle string }{t.Handle()}, nil
}

// listedMove is a task as ListMessageMoveTasks gives it.
type listedMove struct {
	TaskHandle                        string `json:",omitempty"` // of a running one
	Status                            MoveStatus
	SourceArn                         string
	DestinationArn                    string `json:",omitempty"`
	MaxNumberOfMessagesPerSecond      int    `json:",omitzero"`
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	FailureReason                     string `json:",omitempty"`
	StartedTimestamp                  int64
}

func (s *Service) listMessageMoveTasks(ctx context.Context, in *struct {
	SourceArn  string
	MaxResults *int
}) (*struct{ Results []listedMove }, error) {
	if in.SourceArn == "" {
		return nil, missing("SourceArn")
	}
	most := 1
	if in.MaxResults != nil {
		if most = *in.MaxResults; most < 1 || most > maxMovesListed {
			return nil, awswire.Errorf("InvalidParameterValue", "Value %d for parameter MaxResults is invalid. Reason: Must be between 1 and %d, if provided", most, maxMovesListed)
		}
	}
	if err := s.authorizeMove(ctx, "ListMessageMoveTasks", in.SourceArn); err != nil {
		return nil, err
	}
	tasks, err := s.Moves(in.SourceArn)
	if err != nil {
		return nil, err
	}
	out := []listedMove{}
	for _, t := range tasks[:min(most, len(tasks))] {
		one := listedMove{
			Status: t.Status, SourceArn: t.SourceARN, DestinationArn: t.DestinationARN, MaxNumberOfMessagesPerSecond: t.MaxPerSecond,
			ApproximateNumberOfMessagesMoved: t.Moved, ApproximateNumberOfMessagesToMove: t.ToMove,
			FailureReason: t.FailureReason, StartedTimestamp: t.StartedAt.UnixMilli(),
		}
		if t.Status == MoveRunning {
			one.TaskHandle = t.Handle()
		}
		out = append(out, one)
	}
	return &struct{ Results []listedMove }{out}, nil
}

func (s *Service) cancelMessageMoveTask(ctx context.Context, in *struct{ TaskHandle string }) (*struct {
	ApproximateNumberOfMessagesMoved int
}, error) {
	if in.TaskHandle == "" {
		return nil, missing("TaskHandle")
	}
	h, err := parseTaskHandle(in.TaskHandle)
	if err != nil {
		return nil, err
	}
	if err := s.authorizeMove(ctx, "CancelMessageMoveTask", h.SourceARN); err != nil {
		return nil, err
	}
	moved, err := s.CancelMove(in.TaskHandle)
	if err != nil {
		return nil, err
	}
	return &struct{ ApproximateNumberOfMessagesMoved int }{moved}, nil
}
