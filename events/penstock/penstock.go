// Package penstock holds Penstock's own events: what happens to subscriptions.
// A team subscribes to them as to any other, to page someone or to keep a record.
package penstock

import (
	"time"

	"github.com/penstock-dev/penstock/events"
)

// Source is Penstock's name on the bus.
const Source = "penstock"

// Actor is who stops or resumes a subscription.
type Actor string

const (
	// ActorBreaker is Penstock itself, which stops a subscription that fails.
	ActorBreaker Actor = "BREAKER"
	// ActorPerson is a person, with the command.
	ActorPerson Actor = "PERSON"
)

// SubscriptionStopped: a subscription no longer receives. Its events go on
// queueing, and nothing is lost as long as the queue keeps them.
type SubscriptionStopped struct {
	// Function is the function that subscribes.
	Function string `json:"function"`
	// Subscription is the subscription's name in the function's manifest.
	Subscription string `json:"subscription"`
	// Event is the type that it subscribes to, as in savings/SAVINGS_WITHDRAWAL.
	Event events.Type `json:"event"`
	// Since is when it was stopped.
	Since time.Time `json:"since"`
	// By is who stopped it.
	By Actor `json:"by"`
	// Person is the AWS identity of the person who stopped it, if one did.
	Person string `json:"person,omitempty"`
	// Reason says why, in a sentence for people.
	Reason string `json:"reason"`
	// Failures is what the breaker measured, if it was the breaker.
	Failures *Failures `json:"failures,omitempty"`
}

// Failures is how a subscription failed before it was stopped.
type Failures struct {
	// ErrorRate is the part of the events that failed, from 0 to 1.
	ErrorRate float64 `json:"errorRate" jsonschema:"minimum=0,maximum=1"`
	// Received counts the events that the function was given.
	Received int64 `json:"received" jsonschema:"minimum=0"`
	// Failed counts those of them that it failed.
	Failed int64 `json:"failed" jsonschema:"minimum=0"`
	// WindowSeconds is the time over which they were counted.
	WindowSeconds int `json:"windowSeconds" jsonschema:"exclusiveMinimum=0"`
}

// EventType implements [events.Event].
func (SubscriptionStopped) EventType() events.Type {
	return events.Type{Source: Source, Name: "SUBSCRIPTION_STOPPED"}
}

// Schema implements [events.Event].
func (SubscriptionStopped) Schema() events.Event { return SampleSubscriptionStopped() }

// SubscriptionResumed: a subscription that was stopped receives again, what
// queued meanwhile first.
type SubscriptionResumed struct {
	// Function is the function that subscribes.
	Function string `json:"function"`
	// Subscription is the subscription's name in the function's manifest.
	Subscription string `json:"subscription"`
	// Event is the type that it subscribes to, as in savings/SAVINGS_WITHDRAWAL.
	Event events.Type `json:"event"`
	// StoppedSince is when it was stopped.
	StoppedSince time.Time `json:"stoppedSince"`
	// ResumedAt is when it was resumed.
	ResumedAt time.Time `json:"resumedAt"`
	// By is who resumed it.
	By Actor `json:"by"`
	// Person is the AWS identity of the person who resumed it, if one did.
	Person string `json:"person,omitempty"`
	// Reason says why, in a sentence for people.
	Reason string `json:"reason"`
	// Queued is about how many events wait in the queue; null if it could not
	// be asked.
	Queued *int64 `json:"queued" jsonschema:"minimum=0"`
}

// EventType implements [events.Event].
func (SubscriptionResumed) EventType() events.Type {
	return events.Type{Source: Source, Name: "SUBSCRIPTION_RESUMED"}
}

// Schema implements [events.Event].
func (SubscriptionResumed) Schema() events.Event { return SampleSubscriptionResumed() }
