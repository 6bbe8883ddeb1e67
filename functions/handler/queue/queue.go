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

// Prefix begins the name of every attribute of a message that Penstock writes.
// What a message in a queue has of them, it keeps: a function sends them along
// when it sends the message elsewhere, and so does SQS when it moves one.
const Prefix = "penstock."

// The attributes of messages in queues and DLQs, strings all. A message that SQS
// moved to the DLQ, after the subscription's maxReceiveCount, has none that it did
// not have in its queue; one that a function sent there has Reason, Source and
// Receives, and if a pipeline has failed it, Processor, Time, Operator and
// Document; one that `penstock dlq redrive` brought back has Redrives, and
// FirstFailed where that is known.
const (
	Reason      = Prefix + "reason"      // why its event failed, at most 1,024 bytes
	Source      = Prefix + "source"      // the ARN of the queue that it came from
	Receives    = Prefix + "receives"    // how many times it was received from that queue, a number from 1
	Redrives    = Prefix + "redrives"    // how many times it was brought back from a DLQ, a number from 1
	FirstFailed = Prefix + "firstFailed" // when its event failed first, before it was brought back; RFC 3339

	Processor = Prefix + "processor" // the short name of the pipeline
	Time      = Prefix + "time"      // when the pipeline gave the event up; RFC 3339
	Operator  = Prefix + "operator"  // where in the pipeline, as "pipeline[2].externalFunction"
	// Document is the document as it was at that stage, JSON. One for which the
	// message has no room is cut, and ends in "… (cut: it has N bytes)".
	Document = Prefix + "document"
)

// OfFailure are the attributes that tell of one failure: a message that is brought
// back from a DLQ leaves them behind.
var OfFailure = []string{Reason, Source, Receives, Processor, Time, Operator, Document}

// Queue is a way back to the queues of a function's subscriptions, which are
// named by their ARNs. Its methods return an error for each thing that they were
// asked to do, in the same order, nil for what SQS has accepted. What is past
// ctx's end fails. A Queue is safe for concurrent use.
type Queue interface {
	// DeadLetter sends messages to the DLQ of a queue.
	DeadLetter(ctx context.Context, queueARN string, letters []Letter) []error

	// Send sends messages to a queue as new ones, which have not been received
	// yet.
	Send(ctx context.Context, queueARN string, messages []Message) []error

	// Delay sets when messages that were received from a queue, and are not
	// acknowledged, become visible in it again. What it does not do is left to the
	// queue's visibility timeout.
	Delay(ctx context.Context, queueARN string, delays []Delay) []error
}

// Message is a message that is sent to a queue.
type Message struct {
	Body string
	// Attributes are texts by their names, which begin with Prefix; nil is none.
	// With those that Queue adds to a Letter there may be 10 ("Amazon SQS message
	// attributes").
	Attributes map[string]string
}

// Letter is a message that is not to come back.
type Letter struct {
	Message          // as it was received
	MessageID string // SQS's id of the message in the queue
	Reason    string // why the event failed
	Receives  int    // how many times it was received; 0 if that is not known
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
