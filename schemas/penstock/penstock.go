// Code generated from the event types by go generate; DO NOT EDIT.

// Package penstock has the events of penstock, for consumers that copy this file.
package penstock

import "time"

// Source is the source of these events on the bus.
const Source = "penstock"

// The events' names on the bus: EventBridge's detail-type.
const (
	DetailTypeSubscriptionResumed = "SUBSCRIPTION_RESUMED"
	DetailTypeSubscriptionStopped = "SUBSCRIPTION_STOPPED"
)

// Detail is an event on the bus: what EventBridge calls its detail. T is the type
// of its data.
type Detail[T any] struct {
	Metadata Metadata `json:"metadata"`
	Data     T        `json:"data"`
}

// SubscriptionResumed: a subscription that was stopped receives again, what
// queued meanwhile first.
type SubscriptionResumed struct {
	// Function is the function that subscribes.
	Function string `json:"function"`
	// Subscription is the subscription's name in the function's manifest.
	Subscription string `json:"subscription"`
	// Event is the type that it subscribes to, as in savings/SAVINGS_WITHDRAWAL.
	Event string `json:"event"`
	// StoppedSince is when it was stopped.
	StoppedSince time.Time `json:"stoppedSince"`
	// ResumedAt is when it was resumed.
	ResumedAt time.Time `json:"resumedAt"`
	// By is who resumed it.
	By Actor `json:"by"`
	// Person is the AWS identity of the person who resumed it, if one did.
	Person *string `json:"person,omitzero"`
	// Reason says why, in a sentence for people.
	Reason string `json:"reason"`
	// Queued is about how many events wait in the queue; null if it could not be
	// asked.
	Queued *int64 `json:"queued"`
}

// SubscriptionStopped: a subscription no longer receives. Its events go on
// queueing, and nothing is lost as long as the queue keeps them.
type SubscriptionStopped struct {
	// Function is the function that subscribes.
	Function string `json:"function"`
	// Subscription is the subscription's name in the function's manifest.
	Subscription string `json:"subscription"`
	// Event is the type that it subscribes to, as in savings/SAVINGS_WITHDRAWAL.
	Event string `json:"event"`
	// Since is when it was stopped.
	Since time.Time `json:"since"`
	// By is who stopped it.
	By Actor `json:"by"`
	// Person is the AWS identity of the person who stopped it, if one did.
	Person *string `json:"person,omitzero"`
	// Reason says why, in a sentence for people.
	Reason string `json:"reason"`
	// Failures is what the breaker measured, if it was the breaker.
	Failures *Failures `json:"failures,omitzero"`
}

// Actor is who stops or resumes a subscription.
type Actor string

const (
	// ActorBreaker is Penstock itself, which stops a subscription that fails.
	ActorBreaker Actor = "BREAKER"
	// ActorPerson is a person, with the command.
	ActorPerson Actor = "PERSON"
)

// Failures is how a subscription failed before it was stopped.
type Failures struct {
	// ErrorRate is the part of the events that failed, from 0 to 1.
	ErrorRate float64 `json:"errorRate"`
	// Received counts the events that the function was given.
	Received int64 `json:"received"`
	// Failed counts those of them that it failed.
	Failed int64 `json:"failed"`
	// WindowSeconds is the time over which they were counted.
	WindowSeconds int64 `json:"windowSeconds"`
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
