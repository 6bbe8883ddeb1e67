// Code generated from the event types by go generate; DO NOT EDIT.

// Package auth has the events of auth, for consumers that copy this file.
package auth

import "time"

// Source is the source of these events on the bus.
const Source = "auth"

// The events' names on the bus: EventBridge's detail-type.
const (
	DetailTypeLogin    = "AUTH_LOGIN"
	DetailTypeRegister = "AUTH_REGISTER"
)

// Detail is an event on the bus: what EventBridge calls its detail. T is the type
// of its data.
type Detail[T any] struct {
	Metadata Metadata `json:"metadata"`
	Data     T        `json:"data"`
}

// Login: a person signed in.
type Login struct {
	// UserID names the person's account for ever.
	UserID string `json:"user_id"`
	// Email is the account's address at this time.
	Email string `json:"email"`
}

// Register: a person made an account, and confirmed the address.
type Register struct {
	// UserID names the person's account for ever.
	UserID string `json:"user_id"`
	// Email is the account's address at this time.
	Email string `json:"email"`
	// Lang is the language that the person chose, a BCP 47 tag such as de-CH.
	Lang string `json:"lang"`
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
