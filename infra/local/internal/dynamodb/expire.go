package dynamodb

import (
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// An item that expired longer ago than this stays: its expiry attribute is
// taken to hold something else ("Using time to live (TTL) in DynamoDB").
const maxExpiredYears = 5

// expireAtOnce is how many items are deleted in one commit.
const expireAtOnce = 100

// expired reports whether an item is to be deleted.
func (t *table) expired(item attribute.Map, now time.Time) bool {
	v := item.Get(t.TTLAttribute)
	if v == nil || v.Kind != attribute.N {
		return false
	}
	whole, _, _ := strings.Cut(v.Text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	return err == nil && seconds <= now.Unix() && seconds > now.AddDate(-maxExpiredYears, 0, 0).Unix()
}

// expireItems deletes a table's expired items. Each is looked at again under
// its lock: it may have been given a later expiry.
func (s *Service) expireItems(t *table, now time.Time) error {
	if t.TTLAttribute == "" {
		return nil
	}
	var changes []*change
	flush := func() error {
		defer s.lock(changes)()
		for _, c := range changes {
			if err := c.evaluate(s); err != nil {
				return err
			}
		}
		err := s.commit(changes, nil)
		changes = nil
		return err
	}
	for entry, err := range s.store.Scan(store.Prefix(t.items)) {
		if err != nil {
			return err
		}
		item, err := record(entry.Value).item()
		if err != nil {
			return err
		}
		if !t.expired(item, now) {
			continue
		}
		changes = append(changes, &change{verb: expire, table: t, item: item, key: append(store.Key(nil), entry.Key...)})
		if len(changes) == expireAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
