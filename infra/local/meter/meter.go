// Package meter counts what AWS would bill. The services of the local
// environment count each unit where it comes about ([Meter.Add]), the meter
// keeps the counts in a file of the data directory, and `penstock cost` reads
// that ([Read]) and puts prices to them.
//
// It is a leaf that knows no prices: a unit is a thing counted, whatever it
// costs. Some units cost nothing, and are there to divide by, or to hold against
// a quota.
//
// Not counted, since a run of minutes says nothing of them or the local
// environment has no such thing: storage, data transfer, KMS, point-in-time
// recovery, tracing, provisioned capacity, reading logs and metrics, and what a
// dead-letter queue's redrive does inside SQS.
package meter

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Unit is a thing that is counted.
type Unit string

// The units; in brackets what the resource of their counts is.
const (
	// Published is an event that a bus has accepted from PutEvents [event
	// type]. It is not billed: prices are per published event.
	Published Unit = "event published"
	// PutEventsCall is a call of PutEvents [bus]. Not billed, but a quota.
	PutEventsCall Unit = "PutEvents call"
	// Delivery is an event handed to a target of a rule, the first time [rule].
	// Not billed within an account, but a quota.
	Delivery Unit = "delivery to a target"
	// CustomEvent is 64 KB of a published event, or what it has less [event type].
	CustomEvent Unit = "custom event"
	// ReplayedEvent is the same of an event that a replay sends again [archive].
	ReplayedEvent Unit = "replayed event"
	// ArchivedByte is a byte that goes into an archive [archive].
	ArchivedByte Unit = "archived byte"

	// QueueRequest is 64 KB of a request to SQS, or what it has less, whoever
	// makes it: EventBridge sends each event by itself, and Lambda's pollers
	// receive and delete up to ten messages a request [queue].
	QueueRequest Unit = "SQS request"
	// EmptyPoll is a receive by Lambda's pollers that found nothing [queue]. It
	// is billed as any request, but comes with the time that passes and not
	// with events.
	EmptyPoll Unit = "empty poll"

	// FunctionRequest is an invocation [function].
	FunctionRequest Unit = "Lambda request"
	// FunctionGBSecond is a second of a function with 1 GB of memory: the
	// billed duration, by the memory configured [function].
	FunctionGBSecond Unit = "Lambda GB-second"

	// TableRead is a read request unit [table]; a poller's reads of the table's
	// stream cost nothing, and are not counted.
	TableRead Unit = "DynamoDB read unit"
	// TableWrite is a write request unit [table]. An item that is overwritten
	// counts by its new size, unless a condition or the answer needed the old
	// one, too.
	TableWrite Unit = "DynamoDB write unit"

	// LogByte is a byte that CloudWatch Logs takes in: a line and 26 bytes, as
	// PutLogEvents counts them [log group].
	LogByte Unit = "log byte"
	// SecretCall is a call of Secrets Manager about a secret [the secret].
	SecretCall Unit = "Secrets Manager call"
	// TopicRequest is 64 KB of a message published to SNS, or what it has less
	// [topic].
	TopicRequest Unit = "SNS request"
	// APIRequest is 512 KB of a request to an HTTP API that was authorized, or what
	// it has less [API].
	APIRequest Unit = "HTTP API request"
	// Email is a message sent to an address [topic].
	Email Unit = "email"
)

// Chunk is the size of the pieces that EventBridge, SQS and SNS bill a payload
// by ("Amazon EventBridge pricing", "Amazon SQS pricing", "Amazon SNS pricing").
const Chunk = 64 << 10

// Chunks is how many requests a payload of so many bytes is billed as: at least
// one.
func Chunks(bytes int) float64 { return float64(max(1, (bytes+Chunk-1)/Chunk)) }

// Count is how much there was of a unit.
type Count struct {
	Unit     Unit
	Resource string
	By       string  `json:",omitempty"` // the Lambda function that caused it; empty: another, or not known
	Quantity float64 // 0 or more
}

// Batches sums up the invocations that a mapping has made. From the sums a
// line can be laid through them, records to duration, by least squares.
type Batches struct {
	Function string // its name on Lambda
	Source   string // the name of the queue or table
	MemoryMB int

	Invocations float64
	Records     float64 // the sum
	BilledMs    float64 // the sum; without Init, which is not of the batch
	RecordsSq   float64 // the sum of squares
	RecordsMs   float64 // the sum of products
}

// Usage is what a meter has counted.
type Usage struct {
	Since, Until  time.Time
	CustomMetrics int // how many metrics are not those of AWS's services: each costs by the month
	Counts        []Count
	Batches       []Batches
}

// Quantity is the sum of a unit over all resources.
func (u *Usage) Quantity(unit Unit) float64 {
	total := 0.0
	for _, c := range u.Counts {
		if c.Unit == unit {
			total += c.Quantity
		}
	}
	return total
}

// Meter counts. It is safe for concurrent use. A nil one counts nothing, so that
// a service works the same unmetered.
type Meter struct {
	path    string
	stop    chan struct{}
	stopped sync.WaitGroup

	mu      sync.Mutex
	since   time.Time
	counts  map[Count]float64 // by a Count without its quantity
	batches map[[2]string]*Batches
	metrics int
	changed bool
	failed  error

	askMetrics func() int
}

// fileName is the meter's file in a data directory.
const fileName = "usage.json"

// saveInterval is how old the file may be: what a kill -9 loses of the counts.
const saveInterval = time.Second

// Open returns the meter of a data directory, which goes on from what its file
// holds. Close it.
func Open(dir string) (*Meter, error) {
	m := &Meter{path: filepath.Join(dir, fileName), stop: make(chan struct{}), since: time.Now(), counts: map[Count]float64{}, batches: map[[2]string]*Batches{}}
	before, err := Read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		m.since = before.Since
		m.metrics = before.CustomMetrics
		for _, c := range before.Counts {
			n := c.Quantity
			c.Quantity = 0
			m.counts[c] += n
		}
		for _, b := range before.Batches {
			m.batches[[2]string{b.Function, b.Source}] = &b
		}
	}
	m.stopped.Go(m.keep)
	return m, nil
}

// Read returns what the meter of a data directory has counted, up to a second
// ago if it is still counting. Without one the error is fs.ErrNotExist.
func Read(dir string) (*Usage, error) {
	path := filepath.Join(dir, fileName)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u := &Usage{}
	if err := json.Unmarshal(text, u); err != nil {
		return nil, fmt.Errorf("%s: %w (delete it to count anew)", path, err)
	}
	return u, nil
}

// Remove forgets what the meter of a data directory has counted.
func Remove(dir string) error {
	if err := os.Remove(filepath.Join(dir, fileName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Add counts so much of a unit.
func (m *Meter) Add(unit Unit, resource string, quantity float64) {
	m.AddBy(unit, resource, "", quantity)
}

// AddBy is [Meter.Add] for what a Lambda function has caused.
func (m *Meter) AddBy(unit Unit, resource, function string, quantity float64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	m.counts[Count{Unit: unit, Resource: resource, By: function}] += quantity
	m.changed = true
	m.mu.Unlock()
}

// Batch notes an invocation with a batch of records.
func (m *Meter) Batch(function, source string, memoryMB, records int, billedMs float64) {
	if m == nil {
		return
	}
	key := [2]string{function, source}
	n := float64(records)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.batches[key]
	if b == nil {
		b = &Batches{Function: function, Source: source}
		m.batches[key] = b
	}
	b.MemoryMB = memoryMB
	b.Invocations++
	b.Records += n
	b.BilledMs += billedMs
	b.RecordsSq += n * n
	b.RecordsMs += n * billedMs
	m.changed = true
}

// CustomMetrics has the meter ask how many metrics there are besides those of
// AWS's services, when it writes its file.
func (m *Meter) CustomMetrics(ask func() int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.askMetrics = ask
}

// usage is what was counted so far, in a fixed order. The caller holds mu.
func (m *Meter) usage() *Usage {
	u := &Usage{Since: m.since, Until: time.Now(), CustomMetrics: m.metrics}
	for c, n := range m.counts {
		c.Quantity = n
		u.Counts = append(u.Counts, c)
	}
	slices.SortFunc(u.Counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.By, b.By))
	})
	for _, b := range slices.SortedFunc(maps.Values(m.batches), func(a, b *Batches) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Source, b.Source))
	}) {
		u.Batches = append(u.Batches, *b)
	}
	return u
}

// keep writes the file each second, if there is something new.
func (m *Meter) keep() {
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
			// One that fails is told by Close, and tried again.
			_ = m.save()
		}
	}
}

// save writes the file, as a whole or not at all.
func (m *Meter) save() error {
	m.mu.Lock()
	if !m.changed {
		defer m.mu.Unlock()
		return m.failed
	}
	if m.askMetrics != nil {
		m.metrics = m.askMetrics()
	}
	u := m.usage()
	m.changed = false
	m.mu.Unlock()
	text, err := json.MarshalIndent(u, "", "\t")
	if err == nil {
		err = os.WriteFile(m.path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(m.path+".new", m.path)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = m.changed || err != nil
	m.failed = err
	return err
}

// Close writes the file for the last time.
func (m *Meter) Close() error {
	close(m.stop)
	m.stopped.Wait()
	if err := m.save(); err != nil {
		return fmt.Errorf("the meter's counts: %w", err)
	}
	return nil
}
