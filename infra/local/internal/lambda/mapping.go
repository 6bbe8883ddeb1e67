package lambda

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Mapping is an event source mapping: it reads a queue or a stream, and
// invokes a function with batches of what it finds.
//
// The life of a batch from a queue:
//
//  1. When an invocation slot is free, one gatherer receives messages, and
//     deletes those that the filter does not want, until the batch is full, its window closes, or the next message would take the
//     event above 6 MB, whichever is first. It receives nothing while no slot
//     is free, since every receive counts towards the DLQ.
//  2. The function is invoked with the batch, and meanwhile the next one is
//     gathered. A throttled invocation is tried again until the messages'
//     visibility timeout ends.
//  3. What the function has handled is deleted: all of the batch, or with
//     ReportBatchItemFailures what the answer does not name.
//  4. The rest comes back when its visibility timeout ends.
//
// The life of a batch from a stream is told at [shard].
type Mapping struct {
	Function  string // the name of a function that exists
	SourceARN string // a queue's (…:sqs:…) or a stream's (…:dynamodb:…/stream/…)
	// Enabled nil leaves a known mapping as it is, and enables a new one.
	Enabled *bool
	// BatchSize is the most records of a batch, 1 to 10,000; 0: 10 for a
	// queue, 100 for a stream.
	BatchSize int
	// Window is how long a batch gathers after its first record: whole
	// seconds, 0 to 300. A queue's batches above 10 need at least 1.
	Window time.Duration
	// ReportBatchItemFailures lets the function's answer name the records that
	// failed; without it an answer is not read.
	ReportBatchItemFailures bool
	// Filter tells which records the function gets: of a stream the record as
	// the function would get it, of a queue {"body": …}, where the body is JSON
	// if it can be. The others of a stream count as handled; those of a queue
	// are deleted. Nil: all. FilterPatterns are what it was made of, up to 5,
	// to be shown.
	Filter         func(record []byte) bool
	FilterPatterns []string
	// EventCountMetrics has events counted in CloudWatch: MetricsConfig with
	// EventCount.
	EventCountMetrics bool

	// MaximumConcurrency bounds the invocations for a queue, 2 to 1,000; 0:
	// up to 1,250 of them.
	MaximumConcurrency int

	// What follows is for streams.

	// StartingPosition says where a mapping begins that has never run:
	// TRIM_HORIZON (the oldest record) or LATEST.
	StartingPosition string
	// ParallelizationFactor is how many batches are handled at once, each
	// with keys of its own: 1 to 10; 0: 1.
	ParallelizationFactor int
	// BisectBatchOnFunctionError halves a batch that failed.
	BisectBatchOnFunctionError bool
	// MaximumRetryAttempts is how often a failed batch is tried again before
	// it is dropped, 0 to 10,000; nil or -1: until its records expire.
	MaximumRetryAttempts *int
	// MaximumRecordAge is the age at which a record is dropped: whole
	// seconds, 60 to 604,800; 0 or less: none but the stream's own, 24 hours.
	MaximumRecordAge time.Duration
	// OnFailure is the queue that is told, by its ARN, where in the stream the
	// records are that were dropped; empty: none.
	OnFailure string
}

// Ranges of a mapping ("CreateEventSourceMapping").
const (
	maxBatchSize         = 10_000
	maxWindow            = 300 * time.Second
	maxParallelization   = 10
	maxRetryAttempts     = 10_000
	minRecordAge         = time.Minute
	maxRecordAge         = 604_800 * time.Second
	minConcurrencyBound  = 2
	maxConcurrencyBound  = 1_000
	largestWithoutWindow = 10
	maxFilters           = 5 // "Control which events Lambda sends to your function"
)

func (m *Mapping) isQueue() bool { return strings.Contains(m.SourceARN, ":sqs:") }

// setDefaults fills in what is left out.
func (m *Mapping) setDefaults() {
	if m.BatchSize == 0 {
		m.BatchSize = 100
		if m.isQueue() {
			m.BatchSize = 10
		}
	}
	if m.isQueue() {
		return
	}
	if m.ParallelizationFactor == 0 {
		m.ParallelizationFactor = 1
	}
	if m.MaximumRetryAttempts == nil {
		unlimited := -1
		m.MaximumRetryAttempts = &unlimited
	}
	m.MaximumRecordAge = max(m.MaximumRecordAge, 0)
}

func (m *Mapping) check() error {
	if m.BatchSize < 1 || m.BatchSize > maxBatchSize {
		return invalid("BatchSize %d of the mapping of %s: 1 to %d", m.BatchSize, m.SourceARN, maxBatchSize)
	}
	if m.Window < 0 || m.Window > maxWindow || m.Window%time.Second != 0 {
		return invalid("MaximumBatchingWindowInSeconds %v of the mapping of %s: whole seconds from 0 to %.0f", m.Window, m.SourceARN, maxWindow.Seconds())
	}
	if n := len(m.FilterPatterns); n > maxFilters {
		return invalid("FilterCriteria of the mapping of %s has %d filters: up to %d", m.SourceARN, n, maxFilters)
	}
	if m.isQueue() {
		return m.checkQueue()
	}
	if !strings.Contains(m.SourceARN, ":dynamodb:") || !strings.Contains(m.SourceARN, "/stream/") {
		return invalid("event source %s is not supported by the local environment: SQS queues and DynamoDB streams are", m.SourceARN)
	}
	return m.checkStream()
}

func (m *Mapping) checkQueue() error {
	if m.BatchSize > largestWithoutWindow && m.Window == 0 {
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than %d (the mapping of %s)", largestWithoutWindow, m.SourceARN)
	}
	if n := m.MaximumConcurrency; n != 0 && (n < minConcurrencyBound || n > maxConcurrencyBound) {
		return invalid("MaximumConcurrency %d of the mapping of %s: %d to %d", n, m.SourceARN, minConcurrencyBound, maxConcurrencyBound)
	}
	for _, text := range m.FilterPatterns {
		var pattern map[string]jsontext.Value
		if err := json.Unmarshal([]byte(text), &pattern); err != nil {
			return invalid("Invalid filter pattern definition (the mapping of %s): %v", m.SourceARN, err)
		}
		for key := range pattern {
			if key != "body" {
				return invalid("Invalid filter pattern definition: %q (the mapping of %s): of a queue's messages only body can be filtered by", key, m.SourceARN)
			}
		}
	}
	if m.StartingPosition != "" || m.ParallelizationFactor != 0 || m.BisectBatchOnFunctionError || m.MaximumRetryAttempts != nil || m.MaximumRecordAge != 0 || m.OnFailure != "" {
		return invalid("StartingPosition, ParallelizationFactor, BisectBatchOnFunctionError, MaximumRetryAttempts, MaximumRecordAgeInSeconds and DestinationConfig are for streams, and %s is a queue", m.SourceARN)
	}
	return nil
}

func (m *Mapping) checkStream() error {
	if m.StartingPosition != "TRIM_HORIZON" && m.StartingPosition != "LATEST" {
		return invalid("StartingPosition %q of the mapping of %s: TRIM_HORIZON or LATEST", m.StartingPosition, m.SourceARN)
	}
	if m.ParallelizationFactor < 1 || m.ParallelizationFactor > maxParallelization {
		return invalid("ParallelizationFactor %d of the mapping of %s: 1 to %d", m.ParallelizationFactor, m.SourceARN, maxParallelization)
	}
	if n := *m.MaximumRetryAttempts; n < -1 || n > maxRetryAttempts {
		return invalid("MaximumRetryAttempts %d of the mapping of %s: -1 to %d", n, m.SourceARN, maxRetryAttempts)
	}
	if a := m.MaximumRecordAge; a != 0 && (a < minRecordAge || a > maxRecordAge || a%time.Second != 0) {
		return invalid("MaximumRecordAgeInSeconds %v of the mapping of %s: -1, or %.0f to %.0f seconds", a, m.SourceARN, minRecordAge.Seconds(), maxRecordAge.Seconds())
	}
	if m.MaximumConcurrency != 0 {
		return invalid("ScalingConfig is for queues, and %s is a stream", m.SourceARN)
	}
	if m.OnFailure != "" && !strings.HasPrefix(m.OnFailure, "arn:aws:sqs:") {
		return unsupported("destination %s of the mapping of %s: anything but an SQS queue", m.OnFailure, m.SourceARN)
	}
	return nil
}
