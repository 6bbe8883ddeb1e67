// Package logs is CloudWatch Logs as the local environment uses it: what
// functions print is appended to the streams of log groups, and read back
// over the wire.
//
// A group is one append-only sequence of records, in the order in which they
// came in. A record's time is taken when it comes in and never goes back, so
// the order of the sequence is at once the order of time and of ingestion, and
// a record's place in it (its position) serves as event id and as the token
// that continues a reading: what is appended meanwhile lies behind it, and a
// reader that goes on from a token misses nothing.
//
// The life of a line:
//
//  1. Append puts it into the group's buffer.
//  2. Within flushInterval, or when the buffer is full, the buffer is written
//     to the group's newest file; from then on it survives the process.
//  3. A file that has grown to segmentBytes is closed, and a new one begun.
//  4. A closed file whose newest line is older than the group's retention is
//     removed; lines older than that are not returned before either.
package logs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
)

// Config says where the logs are kept, and whose they are.
type Config struct {
	Dir     string       // made if there is none; one process at a time
	Region  string       // for the ARNs of groups and streams
	Account string       // likewise
	Logger  *slog.Logger // told of lines that could not be written
	// Told, if set, is given every line with its group. It must not block.
	Told func(group, line string)
}

// Logs holds the log groups under one directory. Its methods may be called by
// many goroutines at once. The zero value is not usable: call [Open].
type Logs struct {
	cfg Config

	mu     sync.RWMutex
	groups map[string]*group
	closed bool
}

// Open opens the groups in cfg.Dir.
func Open(cfg Config) (*Logs, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	l := &Logs{cfg: cfg, groups: map[string]*group{}}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		g, err := openGroup(filepath.Join(cfg.Dir, e.Name()), cfg.Logger)
		if errors.Is(err, os.ErrNotExist) {
			continue // killed between making the directory and its description: nothing is in it
		}
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("logs: %w", err)
		}
		l.groups[g.about.Name] = g
	}
	return l, nil
}

// Close writes out what is buffered. Lines appended later are dropped.
func (l *Logs) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for _, g := range l.groups {
		errs = append(errs, g.close())
	}
	return errors.Join(errs...)
}

// groupName is the alphabet of CreateLogGroup's logGroupName.
var groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

// retentions are the days that PutRetentionPolicy takes ("PutRetentionPolicy",
// retentionInDays); 0 means that lines never expire.
var retentions = []int{0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731,
	1096, 1827, 2192, 2557, 2922, 3288, 3653}

// CreateGroup makes a group whose lines expire after retentionDays (0: never),
// one of the numbers that AWS takes. A group that exists keeps its lines and
// takes the new retention.
func (l *Logs) CreateGroup(name string, retentionDays int) error {
	if !groupName.MatchString(name) {
		return fmt.Errorf("log group name %q: 1 to 512 of the characters a-z A-Z 0-9 . - _ / #", name)
	}
	if !slices.Contains(retentions, retentionDays) {
		return fmt.Errorf("log group %q: a retention of %d days is not one that AWS takes: %v (0: never expire)", name, retentionDays, retentions)
	}
	g, err := l.groupFor(name)
	if err != nil {
		return err
	}
	return g.setRetention(retentionDays)
}

// Append adds a line to a stream of a group, at the present time. A group that
// does not exist is made, without expiry, as Lambda does for a function that
// has none. It costs a copy; the line is written out within a second.
func (l *Logs) Append(group, stream, line string) {
	g, err := l.groupFor(group)
	if err != nil {
		l.cfg.Logger.Error("a log line was dropped", "group", group, "error", err)
		return
	}
	g.append(stream, line)
	if l.cfg.Told != nil {
		l.cfg.Told(group, line)
	}
}

// Exists reports whether there is a group with the given name.
func (l *Logs) Exists(name string) bool { return l.group(name) != nil }

// DeleteGroup removes a group and its lines. One that does not exist is not an
// error.
func (l *Logs) DeleteGroup(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groups[name]
	if g == nil {
		return nil
	}
	delete(l.groups, name)
	if err := errors.Join(g.close(), os.RemoveAll(g.dir)); err != nil {
		return fmt.Errorf("log group %q: %w", name, err)
	}
	return nil
}

// group returns a group, nil if there is none.
func (l *Logs) group(name string) *group {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.groups[name]
}

// groupFor returns a group, and makes it if there is none.
func (l *Logs) groupFor(name string) (*group, error) {
	if g := l.group(name); g != nil {
		return g, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.groups[name]; g != nil {
		return g, nil
	}
	if l.closed {
		return nil, errors.New("the logs are closed")
	}
	g, err := createGroup(l.cfg.Dir, name, l.cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("log group %q: %w", name, err)
	}
	l.groups[name] = g
	return g, nil
}

// sorted returns all groups by name.
func (l *Logs) sorted() []*group {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]*group, 0, len(l.groups))
	for _, g := range l.groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return cmp.Compare(a.about.Name, b.about.Name) })
	return out
}
