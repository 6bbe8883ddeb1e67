package penstock

import (
	"time"

	"github.com/penstock-dev/penstock/events"
)

// SampleSubscriptionStopped returns a stop with a value for every field,
// changed by edit.
func SampleSubscriptionStopped(edit ...func(*SubscriptionStopped)) SubscriptionStopped {
	s := SubscriptionStopped{
		Function:     "withdrawal-fee",
		Subscription: "withdrawals",
		Event:        events.Type{Source: "savings", Name: "SAVINGS_WITHDRAWAL"},
		Since:        time.Date(2026, time.March, 2, 3, 14, 0, 0, time.UTC),
		By:           ActorBreaker,
		Person:       "arn:aws:sts::123456789012:assumed-role/operator/ada",
		Reason:       "85 % of 2000 events failed within 5 minutes",
		Failures:     &Failures{ErrorRate: 0.85, Received: 2000, Failed: 1700, WindowSeconds: 300},
	}
	for _, e := range edit {
		e(&s)
	}
	return s
}

// SampleSubscriptionResumed returns a resumption with a value for every field,
// changed by edit.
func SampleSubscriptionResumed(edit ...func(*SubscriptionResumed)) SubscriptionResumed {
	s := SubscriptionResumed{
		Function:     "withdrawal-fee",
		Subscription: "withdrawals",
		Event:        events.Type{Source: "savings", Name: "SAVINGS_WITHDRAWAL"},
		StoppedSince: time.Date(2026, time.March, 2, 3, 14, 0, 0, time.UTC),
		ResumedAt:    time.Date(2026, time.March, 2, 7, 45, 30, 0, time.UTC),
		By:           ActorPerson,
		Person:       "arn:aws:sts::123456789012:assumed-role/operator/ada",
		Reason:       "core banking is back",
		Queued:       new(int64(52_000)),
	}
	for _, e := range edit {
		e(&s)
	}
	return s
}
