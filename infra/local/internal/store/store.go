// Package store is the local environment's one embedded store: an ordered
// map from bytes to bytes that is on disk before a write is acknowledged.
//
// It wraps Pebble, and gives services three things: keys that sort as their
// parts do ([Key]), a [Batch] of writes that happens as a whole, and scans.
// A batch's Commit returns once it would survive the death of the process or
// of the machine; commits that arrive together share one fsync (group
// commit), so many small writers cost little more than one.
//
// A service keeps in memory what it needs to find its way (a queue's order, a
// lock) and puts here what must not be lost. Nobody but this package knows
// that it is Pebble.
package store

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sizes for one machine. A memtable begins small and grows to its size as it
// is needed; at 32 MiB most of a queue's messages are deleted before they
// would be written out. The cache holds what a consumer reads right after it
// was written.
const (
	memTableBytes = 32 << 20
	cacheBytes    = 8 << 20
)

// filter answers most look-ups of keys that do not exist, as of a mark that is
// about to be made, without reading a table; ten bits a key are wrong once in
// a hundred times.
const filter = bloom.FilterPolicy(10)

// Store is an open store. Its methods may be called by many goroutines at
// once. The zero value is not usable: call [Open].
type Store struct {
	db *pebble.DB
}

// Open opens the store in dir, and makes it if there is none. A directory can
// be open in one process at a time; a second Open fails, and its error says
// so.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	cache := pebble.NewCache(cacheBytes)
	defer cache.Unref()
	options := &pebble.Options{
		// The newest tells a torn end of the log from a damaged one, and writes
		// its tables without sharing channels among stores, which tests under
		// fake time cannot bear.
		FormatMajorVersion:          pebble.FormatNewest,
		FS:                          logFS{vfs.Default},
		Cache:                       cache,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 4,
		Logger:                      silent{},
	}
	// What is stored is read back soon, or deleted: compressing it costs more
	// than its place on the disk.
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = filter
	}
	db, err := pebble.Open(dir, options)
	if err != nil {
		if lock, statErr := os.Stat(filepath.Join(dir, "LOCK")); statErr == nil && lock.Mode().IsRegular() && isLocked(err) {
			return nil, fmt.Errorf("store: %s is in use by another process (is another `penstock dev` running? give this one its own --data-dir): %w", dir, err)
		}
		return nil, fmt.Errorf("store: opening %s: %w", dir, err)
	}
	return &Store{db: db}, nil
}

// Close flushes and closes the store. It must be the last call.
func (s *Store) Close() error { return s.db.Close() }

// Get returns a copy of the value at key; ok is false if there is none.
func (s *Store) Get(key Key) (value []byte, ok bool, err error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("store: get: %w", err)
	}
	value = append([]byte(nil), v...)
	return value, true, closer.Close()
}

// Entry is one key and its value. Both slices belong to the scan that yields
// them and are valid until its next step.
type Entry struct {
	Key   Key
	Value []byte
}

// Range says what a scan covers: From (included) to To (excluded), in
// ascending order, or in descending order with Reverse. A nil bound is open.
type Range struct {
	From, To Key
	Reverse  bool
}

// Prefix is the range of every key that begins with k.
func Prefix(k Key) Range { return Range{From: k, To: k.After()} }

// Scan yields the entries of a range as they are at the time of the call. An
// error ends the scan and is the last thing it yields.
func (s *Store) Scan(r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: r.From, UpperBound: r.To})
		if err != nil {
			yield(Entry{}, fmt.Errorf("store: scan: %w", err))
			return
		}
		defer it.Close()
		start, step := it.First, it.Next
		if r.Reverse {
			start, step = it.Last, it.Prev
		}
		for ok := start(); ok; ok = step() {
			if !yield(Entry{Key: it.Key(), Value: it.Value()}, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(Entry{}, fmt.Errorf("store: scan: %w", err))
		}
	}
}

// NewBatch makes a batch. It belongs to one goroutine, and must be ended by
// Commit, by Begin and End, or by Discard.
func (s *Store) NewBatch() *Batch { return &Batch{b: s.db.NewBatch(), db: s.db} }

// Batch is a list of writes that become visible, and durable, all together.
type Batch struct {
	b     *pebble.Batch
	db    *pebble.DB
	begun error // of Begin
}

// Set writes value at key. Both are copied.
func (b *Batch) Set(key Key, value []byte) { must(b.b.Set(key, value, nil)) }

// Reserve is Set for a value that is not there yet: the caller fills the slice,
// of the given size, before it uses the batch again.
func (b *Batch) Reserve(key Key, size int) []byte {
	op := b.b.SetDeferred(len(key), size)
	copy(op.Key, key)
	must(op.Finish())
	return op.Value
}

// Delete removes key; removing what is not there is not an error.
func (b *Batch) Delete(key Key) { must(b.b.Delete(key, nil)) }

// DeleteRange removes every key from from (included) to to (excluded).
func (b *Batch) DeleteRange(from, to Key) { must(b.b.DeleteRange(from, to, nil)) }

// Empty reports whether the batch holds no write.
func (b *Batch) Empty() bool { return b.b.Empty() }

// Commit applies the batch and returns once it is durable. An error means
// that nothing may be acknowledged; the batch is ended either way.
func (b *Batch) Commit() error {
	if err := b.b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return b.b.Close()
}

// CommitLater applies the batch, which is on disk with the next Commit at the
// latest, and never after it: for what must be known if that is.
func (b *Batch) CommitLater() error {
	if err := b.b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return b.b.Close()
}

// Begin does the first half of what Commit does: it applies the batch behind all
// that were begun or committed before. Whoever changes under a lock what several
// goroutines write begins before unlocking, so that the last change is the last
// one on disk, too. [Batch.End] must follow; it has the error of either half.
func (b *Batch) Begin() { b.begun = b.db.ApplyNoSyncWait(b.b, pebble.Sync) }

// End does the second half: it returns once the batch is durable.
func (b *Batch) End() error {
	err := b.begun
	if err == nil {
		err = b.b.SyncWait()
	}
	if err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return b.b.Close()
}

// Discard ends the batch without applying it.
func (b *Batch) Discard() { _ = b.b.Close() }

// must turns what cannot happen (a write to a batch fails only when the batch
// is already ended) into a panic rather than an error at every call.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("store: write to an ended batch: %v", err))
	}
}

// silent drops Pebble's progress messages: its errors are returned by calls.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	// Pebble calls this when it cannot go on (its directory was removed, the
	// disk is full). Stopping is the only way not to acknowledge what is lost.
	fmt.Fprintf(os.Stderr, "penstock: the local store failed: "+format+"\n", args...)
	os.Exit(1)
}
