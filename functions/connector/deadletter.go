package connector

import (
	"context"
	"net/http"
	"time"
)

// DLQ keeps what has failed for good. It must be safe for concurrent use; package
// sqsdlq has one in SQS.
type DLQ interface {
	// Put keeps a letter. An error means that it is not kept.
	Put(ctx context.Context, letter Letter) error
}

// Letter is a call that has failed for good: what it takes to make it again, and
// why it failed.
type Letter struct {
	Topic    string
	Function string // with its namespace, if it has one
	Message  []byte
	Header   http.Header // as given to Invoke

	Reason   string // of the last attempt
	Status   int    // of the last attempt; 0 if there was no response
	Attempts int    // 0 if the message could not be sent at all
	FailedAt time.Time
}

// putTimeout is how long a DLQ may take, which counts from the end of the last
// attempt and so is not cut short by the end of Invoke's context.
const putTimeout = 30 * time.Second
