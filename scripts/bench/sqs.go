package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/scripts/internal/project"
)

const (
	queueClients = 8
	queueBatch   = 10
	// queueRound is how many messages a round sends, or finds. goaws looks
	// through all of a queue for each call, so that more would be to its
	// disadvantage.
	queueRound = 1000
)

// queueing compares the local environment's queues with goaws's, both behind
// the same SDK and each a process of its own.
func queueing(ctx context.Context, b *bench) error {
	ours, stop, err := b.environment(ctx)
	if err != nil {
		return err
	}
	defer stop()
	peer, stop, err := b.goaws(ctx)
	if err != nil {
		return err
	}
	defer stop()
	sides := []*queueSide{{client: sqs.NewFromConfig(ours)}, {client: sqs.NewFromConfig(peer), lossy: true}}
	compare := func(name string, prepare func(*queueSide, context.Context) error, work func(*queueSide, context.Context) (int, error)) error {
		var both []side
		for _, s := range sides {
			both = append(both, side{
				prepare: func(ctx context.Context) error { return prepare(s, ctx) },
				work:    func(ctx context.Context) (int, error) { return work(s, ctx) },
			})
		}
		rates, err := b.scale.finer(5).rates(ctx, both...)
		if err != nil {
			return err
		}
		b.report.add(result{Name: name, Value: rates[0], Unit: "1/s", Goal: "ratio ≥ 1"}.against("goaws, in memory", rates[1]))
		return nil
	}
	if err := compare("sqs_send", (*queueSide).anew, (*queueSide).send); err != nil {
		return err
	}
	return compare("sqs_receive_delete", (*queueSide).filled, (*queueSide).receiveAndDelete)
}

// queueSide is one of the two, and the queue of its round.
type queueSide struct {
	client *sqs.Client
	lossy  bool // may miss messages
	queues int
	url    *string
}

// anew replaces the queue by an empty one.
func (s *queueSide) anew(ctx context.Context) error {
	if s.url != nil {
		if _, err := s.client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: s.url}); err != nil {
			return err
		}
	}
	s.queues++
	out, err := s.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("bench-%d", s.queues))})
	if err == nil {
		s.url = out.QueueUrl
	}
	return err
}

// messageBody is as long as that of a usual event from a bus.
var messageBody = strings.Repeat("0123456789", 60)

// filled is anew, with messages.
func (s *queueSide) filled(ctx context.Context) error {
	if err := s.anew(ctx); err != nil {
		return err
	}
	_, err := s.send(ctx)
	return err
}

func (s *queueSide) send(ctx context.Context) (int, error) {
	entries := make([]types.SendMessageBatchRequestEntry, queueBatch)
	for i := range entries {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &messageBody}
	}
	var sent atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range queueClients {
		group.Go(func() error {
			for sent.Add(queueBatch) <= queueRound {
				out, err := s.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: s.url, Entries: entries})
				if err != nil {
					return err
				}
				if n := len(out.Successful); n != queueBatch {
					return fmt.Errorf("%d of %d messages were taken", n, queueBatch)
				}
			}
			return nil
		})
	}
	return queueRound, group.Wait()
}

func (s *queueSide) receiveAndDelete(ctx context.Context) (int, error) {
	var deleted atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range queueClients {
		group.Go(func() error {
			for deleted.Load() < queueRound {
				got, err := s.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: s.url, MaxNumberOfMessages: queueBatch, VisibilityTimeout: 600})
				if err != nil {
					return err
				}
				if len(got.Messages) == 0 {
					return nil // the others have the rest
				}
				entries := make([]types.DeleteMessageBatchRequestEntry, len(got.Messages))
				for i, m := range got.Messages {
					entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
				}
				out, err := s.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: s.url, Entries: entries})
				if err != nil {
					return err
				}
				deleted.Add(int64(len(out.Successful)))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	n := int(deleted.Load())
	// goaws sometimes misses a batch: seldom enough not to matter here.
	if n != queueRound && !s.lossy {
		return 0, fmt.Errorf("%d of %d messages were received and deleted", n, queueRound)
	}
	return n, nil
}

// goaws starts the peer, see the command of that name. The returned function
// ends it.
func (b *bench) goaws(ctx context.Context) (aws.Config, func(), error) {
	root, err := project.Root()
	if err != nil {
		return aws.Config{}, nil, err
	}
	dir, err := b.tempDir()
	if err != nil {
		return aws.Config{}, nil, err
	}
	program := filepath.Join(dir, "goaws")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./goaws")
	build.Dir = filepath.Join(root, "scripts/bench")
	if out, err := build.CombinedOutput(); err != nil {
		return aws.Config{}, nil, fmt.Errorf("go build ./goaws: %w\n%s", err, out)
	}
	cmd := exec.Command(program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return aws.Config{}, nil, err
	}
	if err := cmd.Start(); err != nil {
		return aws.Config{}, nil, err
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	endpoint, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return aws.Config{}, nil, fmt.Errorf("goaws did not start: %w", err)
	}
	return aws.Config{
		BaseEndpoint: aws.String(strings.TrimSpace(endpoint)),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIABENCH", "bench", ""),
	}, stop, nil
}
