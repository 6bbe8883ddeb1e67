package dynamodb

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// locks are the locks of all items. An item's lock is held from before its
// change is evaluated until the change is durable. Items share locks, so many
// that two of the few hundred that are held at a time seldom meet.
type locks struct {
	seed    maphash.Seed
	stripes [1 << 14]sync.RWMutex
}

func newLocks() *locks { return &locks{seed: maphash.MakeSeed()} }

// lock waits for the locks of all keys and holds them until unlock is called.
// Everyone takes them in the same order, so that nobody waits in a circle.
func (l *locks) lock(keys ...store.Key) (unlock func()) {
	indexes := l.indexes(keys)
	for _, i := range indexes {
		l.stripes[i].Lock()
	}
	return func() {
		for _, i := range indexes {
			l.stripes[i].Unlock()
		}
	}
}

// rlock is lock for reading: it waits for writes only.
func (l *locks) rlock(keys ...store.Key) (unlock func()) {
	indexes := l.indexes(keys)
	for _, i := range indexes {
		l.stripes[i].RLock()
	}
	return func() {
		for _, i := range indexes {
			l.stripes[i].RUnlock()
		}
	}
}

func (l *locks) indexes(keys []store.Key) []int {
	indexes := make([]int, len(keys))
	for i, key := range keys {
		indexes[i] = int(maphash.Bytes(l.seed, key) % uint64(len(l.stripes)))
	}
	slices.Sort(indexes)
	return slices.Compact(indexes)
}
