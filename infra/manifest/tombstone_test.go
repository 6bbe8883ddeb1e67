package manifest_test

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/infra/manifest"
)

func TestATombstoneEndsAfterFourDaysOrWhenTheSubscriptionIsThereAgain(t *testing.T) {
	deleted := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	f := function("fee")
	f.Tombstones = []manifest.Tombstone{{Subscription: manifest.Subscription{Name: "withdrawals"}, DeletedAt: deleted}}
	for _, c := range []struct {
		what           string
		now            time.Time
		again          bool
		deleted, ended int
	}{
		{"at once", deleted, false, 1, 0},
		{"a moment before four days", deleted.Add(96*time.Hour - time.Second), false, 1, 0},
		{"after four days", deleted.Add(96 * time.Hour), false, 0, 1},
		{"created again", deleted.Add(time.Hour), true, 0, 0},
		{"created again, after four days", deleted.Add(97 * time.Hour), true, 0, 0},
	} {
		f.Subscriptions = nil
		if c.again {
			f.Subscriptions = []manifest.Subscription{{Name: "withdrawals"}}
		}
		if d, e := len(f.Deleted(c.now)), len(f.Ended(c.now)); d != c.deleted || e != c.ended {
			t.Errorf("%s: %d deleted and %d ended, want %d and %d", c.what, d, e, c.deleted, c.ended)
		}
	}
}
