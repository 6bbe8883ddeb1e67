// Code generated from the event types by go generate; DO NOT EDIT.

// Package storage has the events of storage, for consumers that copy this file.
package storage

import "time"

// Source is the source of these events on the bus.
const Source = "storage"

// The events' names on the bus: EventBridge's detail-type.
const (
	DetailTypeDelete = "STORAGE_DELETE"
	DetailTypeInsert = "STORAGE_INSERT"
	DetailTypeUpdate = "STORAGE_UPDATE"
)

// Detail is an event on the bus: what EventBridge calls its detail. T is the type
// of its data.
type Detail[T any] struct {
	Metadata Metadata `json:"metadata"`
	Data     T        `json:"data"`
}

// Delete: a row was deleted. It can no longer be read.
type Delete struct {
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
type Insert struct {
	// RowID names the row within its container.
	RowID string `json:"row_id"`
	// Container is the row's container.
	Container string `json:"container"`
	// Bucket is the container's bucket.
	Bucket string `json:"bucket"`
	// Dataset is the bucket's dataset.
	Dataset string `json:"dataset"`
}

// Update: a row was changed.
type Update struct {
	// RowID names the row within its container.
	RowID string `json:"row_id"`
	// Container is the row's container.
	Container string `json:"container"`
	// Bucket is the container's bucket.
	Bucket string `json:"bucket"`
	// Dataset is the bucket's dataset.
	Dataset string `json:"dataset"`
}

// Metadata is what Penstock knows of an event besides its data. Empty fields
// other than ID, CorrelationID and OccurredAt are left out on the wire.
type Metadata struct {
	// ID names this event for ever: a redelivery has the same. A UUIDv7.
	ID string `json:"id"`
	// CorrelationID is shared by everything that one cause at the edge set off.
	// It is the event's own id where the context carries none.
	CorrelationID string `json:"correlationId"`
	// CausationID is the id of the event that was being handled when this one was
	// made.
	CausationID *string `json:"causationId,omitzero"`
	// Depth is how many events caused one another before this one: 0 for an event
	// that no other caused. The handler runtime refuses what goes on for too long.
	Depth *int64 `json:"depth,omitzero"`
	// UserID and OrganisationID say on whose behalf it happened.
	UserID         *string `json:"userId,omitzero"`
	OrganisationID *string `json:"organisationId,omitzero"`
	// OccurredAt is when the event was stamped, in UTC. There is no order of
	// delivery: compare this.
	OccurredAt time.Time `json:"occurredAt"`
	// Traceparent carries a W3C trace on ("Trace Context").
	Traceparent *string `json:"traceparent,omitzero"`
	// Code is the number of an event type that has one, see Coded.
	Code *int64 `json:"code,omitzero"`
}
