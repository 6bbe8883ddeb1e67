// Package queue is the way from a function back to the queues that its events
// come from: what package handler asks of SQS besides what Lambda does.
//
// Lambda takes messages from a queue and deletes those that were acknowledged.
// Three things it leaves to the function, and [SQS] does them: a message that
// can never be handled goes to the DLQ at once, one that nobody had the time to
// handle is sent afresh, and one that failed comes back after a delay of its
// own rather than after the queue's visibility timeout.
package queue

import (
	"context"
	"time"
)

// The attributes of a message that a function sent to a DLQ, both strings. One
// that SQS moved there, after the subscription's maxReceiveCount, has neither.
const (
	Reason = "penstock.reason" // why its event failed, at most 1,024 bytes
	Source = "penstock.source" // the ARN of the queue that it came from
)

// Queue is a way back to the queues of a function's subscriptions, which are
// named by their ARNs. Its methods return an error for each thing that they were
// asked to do, in the same order, nil for what SQS has accepted. What is past
// ctx's end fails. A Queue is safe for concurrent use.
type Queue interface {
	// DeadLetter sends messages to the DLQ of a queue.
	DeadLetter(ctx context.Context, queueARN string, letters []Letter) []error

	// Send sends bodies to a queue as new messages, which have not been received
	// yet.
	Send(ctx context.Context, queueARN string, bodies []string) []error

	// Delay sets when messages that were received from a queue, and are not
	// acknowledged, become visible in it again. What it does not do is left to the
	// queue's visibility timeout.
	Delay(ctx context.Context, queueARN string, delays []Delay) []error
}

// Letter is a message that is not to come back.
type Letter struct {
	MessageID string // SQS's id of the message in the queue
	Body      string // as it was received
	Reason    string // why the event failed
}

// MaxDelay is the longest that a message can be delayed: the 12 hours for which
// SQS hides a message, counted from when it was received ("ChangeMessageVisibility",
// Amazon SQS API Reference), less 20 minutes, which is the longest that a Lambda
// function takes, and the longest batch window before it.
const MaxDelay = 12*time.Hour - 20*time.Minute

// Delay is a message that is to come back at a time of its own.
type Delay struct {
	ReceiptHandle string        // of the message's last receive
	After         time.Duration // from now: 0 is at once, at most MaxDelay; in whole seconds, rounded up
}
