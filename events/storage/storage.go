// Package storage holds the events of the storage module: what happens to the
// rows that it keeps for its users. An event names the row and does not hold it:
// a function that needs it reads it.
package storage

import "github.com/penstock-dev/penstock/events"

// Source is the module's name on the bus.
const Source = "storage"

// The numbers of the events, for consumers that tell them apart by number.
const (
	CodeInsert = 1000
	CodeUpdate = 1001
	CodeDelete = 1002
)

// Row says where a row is. A row is in a container, which is in a bucket, which
// is in a dataset.
type Row struct {
	// RowID names the row within its container.
	RowID string `json:"row_id"`
	// Container is the row's container.
	Container string `json:"container"`
	// Bucket is the container's bucket.
	Bucket string `json:"bucket"`
	// Dataset is the bucket's dataset.
	Dataset string `json:"dataset"`
}

// Insert: a row was inserted.
type Insert struct{ Row }

// EventType implements [events.Event].
func (Insert) EventType() events.Type { return events.Type{Source: Source, Name: "STORAGE_INSERT"} }

// EventCode implements [events.Coded].
func (Insert) EventCode() int { return CodeInsert }

// Schema implements [events.Event].
func (Insert) Schema() events.Event { return SampleInsert() }

// Update: a row was changed.
type Update struct{ Row }

// EventType implements [events.Event].
func (Update) EventType() events.Type { return events.Type{Source: Source, Name: "STORAGE_UPDATE"} }

// EventCode implements [events.Coded].
func (Update) EventCode() int { return CodeUpdate }

// Schema implements [events.Event].
func (Update) Schema() events.Event { return SampleUpdate() }

// Delete: a row was deleted. It can no longer be read.
type Delete struct{ Row }

// EventType implements [events.Event].
func (Delete) EventType() events.Type { return events.Type{Source: Source, Name: "STORAGE_DELETE"} }

// EventCode implements [events.Coded].
func (Delete) EventCode() int { return CodeDelete }

// Schema implements [events.Event].
func (Delete) Schema() events.Event { return SampleDelete() }
