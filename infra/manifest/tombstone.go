package manifest

import (
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/names"
)

// Tombstone is a subscription that was deleted. Its rule, queue and DLQs stay
// for TombstoneDays without a mapping, and go on collecting events. A
// subscription that is created under the same name within that time has the
// mapping again, and resumes where the old one stopped. After that time a
// synthesis no longer has them.
type Tombstone struct {
	// Subscription is as it was.
	Subscription

	// DeletedAt is when. Required.
	DeletedAt time.Time `json:"deletedAt"`
}

// TombstoneDays is how long a deleted subscription's queue stays: as long as a
// queue keeps an event.
const TombstoneDays = 4

// Ends is when the queue and all else that the subscription had may go.
func (t *Tombstone) Ends() time.Time { return t.DeletedAt.AddDate(0, 0, TombstoneDays) }

// UnmarshalJSONFrom fills in the defaults of what the manifest leaves out.
func (t *Tombstone) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type Plain Subscription // exported, so that its fields are those of the tombstone
	fields := struct {
		Plain
		DeletedAt time.Time `json:"deletedAt"`
	}{Plain: Plain(unsetSubscription)}
	err := jsonv2.UnmarshalDecode(dec, &fields)
	*t = Tombstone{Subscription(fields.Plain), fields.DeletedAt}
	return err
}

// Subscription returns the subscription of a name; nil if there is none.
func (f *Function) Subscription(name string) *Subscription {
	for i := range f.Subscriptions {
		if f.Subscriptions[i].Name == name {
			return &f.Subscriptions[i]
		}
	}
	return nil
}

// Deleted returns the tombstones of subscriptions that were not created again,
// and whose time has not ended at now.
func (f *Function) Deleted(now time.Time) []*Tombstone { return f.tombstones(now.Before) }

// Ended returns the tombstones of subscriptions that were not created again,
// and whose time has ended at now: they can be taken out of the manifest.
func (f *Function) Ended(now time.Time) []*Tombstone {
	return f.tombstones(func(end time.Time) bool { return !now.Before(end) })
}

func (f *Function) tombstones(is func(end time.Time) bool) []*Tombstone {
	var found []*Tombstone
	for i := range f.Tombstones {
		if t := &f.Tombstones[i]; f.Subscription(t.Name) == nil && is(t.Ends()) {
			found = append(found, t)
		}
	}
	return found
}

// EndedQueues are the names of the queues of subscriptions of functions whose
// tombstones have ended at now: that these go is what a tombstone says.
func EndedQueues(functions []Function, n names.Names, now time.Time) []string {
	var queues []string
	for i := range functions {
		for _, t := range functions[i].Ended(now) {
			queues = append(queues, n.Queues(functions[i].Name, t.Name)...)
		}
	}
	return queues
}

// tombstone checks the i-th.
func (v *validator) tombstone(f *Function, i int) {
	t := &f.Tombstones[i]
	v.subscription(i, &t.Subscription)
	v.about = `tombstone "` + t.Name + `": `
	defer func() { v.about = "" }()
	if t.DeletedAt.IsZero() {
		v.fault(`it needs a "deletedAt", such as "2026-11-21T15:00:00Z"`)
	}
	for _, other := range f.Tombstones[:i] {
		if other.Name == t.Name {
			v.fault("another has the same name: remove the older one")
		}
	}
	if again := f.Subscription(t.Name); again != nil && again.Event != t.Event && again.Event != "" {
		v.fault("its queue holds %s, and the subscription of the same name receives %s: give that another name, or remove the tombstone, and with it what its queue holds",
			t.Event, again.Event)
	}
}
