package logs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	flushInterval = 200 * time.Millisecond // how long a line may wait in memory
	flushBytes    = 256 << 10              // how much may wait in memory
	dropBytes     = 16 << 20               // how much may wait when it cannot be written
	segmentBytes  = 4 << 20                // a file's size, and so what a start reads of each group
	aboutFile     = "group.json"
)

// about is what a group's directory says of it.
type about struct {
	Name          string `json:"name"`
	RetentionDays int    `json:"retentionDays"`
	Created       int64  `json:"created"` // ms
}

// group is one log group: a sequence of records in files (segments), of which
// the last grows.
type group struct {
	dir    string
	logger *slog.Logger

	mu       sync.Mutex
	about    about
	segments []*segment
	file     *os.File // the last segment, nil when closed
	written  int64    // the position up to which records are in files
	pending  []byte   // the records behind it
	lastMS   int64    // the newest record's time
	firstMS  int64    // the time of the first record in pending
	armed    bool     // a flush is coming
}

// segment is one file of a group: its name is the position that it begins at.
type segment struct {
	path    string
	start   int64
	firstMS int64 // the time of its first record

	streams atomic.Pointer[map[string]streamInfo] // of a closed segment, once it was asked for
}

// streamInfo is what the records of one stream tell of it.
type streamInfo struct {
	firstMS, lastMS, bytes int64
}

func createGroup(parent, name string, logger *slog.Logger) (*group, error) {
	g := &group{
		dir:    filepath.Join(parent, url.PathEscape(name)),
		logger: logger,
		about:  about{Name: name, Created: time.Now().UnixMilli()},
	}
	if err := os.MkdirAll(g.dir, 0o700); err != nil {
		return nil, err
	}
	return g, g.writeAbout()
}

func openGroup(dir string, logger *slog.Logger) (*group, error) {
	g := &group{dir: dir, logger: logger}
	text, err := os.ReadFile(filepath.Join(dir, aboutFile))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &g.about); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, aboutFile), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		number, isLog := strings.CutSuffix(e.Name(), ".log")
		start, err := strconv.ParseInt(number, 10, 64)
		if !isLog || err != nil {
			continue
		}
		s := &segment{path: filepath.Join(dir, e.Name()), start: start}
		first, err := s.first()
		if err != nil {
			return nil, err
		}
		s.firstMS = first.ms
		g.segments = append(g.segments, s)
	}
	slices.SortFunc(g.segments, func(a, b *segment) int { return cmp.Compare(a.start, b.start) })
	return g, g.recover()
}

// first reads a segment's first record; the zero record if it has none.
func (s *segment) first() (record, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return record{}, err
	}
	defer f.Close()
	r, err := newRecordReader(f, s.start).next()
	if err == io.EOF || err == errDamaged {
		return record{}, nil
	}
	return r, err
}

// recover finds the end of the sequence, and cuts off what a crash left
// unfinished.
func (g *group) recover() error {
	for g.file == nil && len(g.segments) > 0 {
		last := g.segments[len(g.segments)-1]
		f, err := os.OpenFile(last.path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		g.written = last.start
		records := newRecordReader(f, last.start)
		r, err := records.next()
		for ; err == nil; r, err = records.next() {
			g.written, g.lastMS = r.next, r.ms
		}
		switch {
		case err != io.EOF && err != errDamaged:
			return errors.Join(err, f.Close())
		case g.written == last.start: // not one whole record
			g.segments = g.segments[:len(g.segments)-1]
			if err := errors.Join(f.Close(), os.Remove(last.path)); err != nil {
				return err
			}
		default:
			if err := f.Truncate(g.written - last.start); err != nil {
				return errors.Join(err, f.Close())
			}
			g.file = f
		}
	}
	g.expire()
	return nil
}

func (g *group) setRetention(days int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.about.RetentionDays == days {
		return nil
	}
	g.about.RetentionDays = days
	return g.writeAbout()
}

// writeAbout replaces the group's description as a whole.
func (g *group) writeAbout() error {
	text, err := json.Marshal(g.about)
	if err != nil {
		return err
	}
	path := filepath.Join(g.dir, aboutFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (g *group) append(stream, line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lastMS = max(g.lastMS, time.Now().UnixMilli())
	if len(g.pending) == 0 {
		g.firstMS = g.lastMS
	}
	g.pending = appendRecord(g.pending, g.lastMS, stream, line)
	if len(g.pending) >= flushBytes {
		g.flush()
	} else if !g.armed {
		g.armed = true
		time.AfterFunc(flushInterval, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.armed = false
			g.flush()
		})
	}
}

// flush writes out what is pending; the caller holds mu. What cannot be
// written is kept for the next attempt, within bounds.
func (g *group) flush() {
	if len(g.pending) == 0 {
		return
	}
	err := g.roll()
	if err == nil {
		// At its place rather than at the file's end, so that an attempt after
		// one that wrote a part overwrites the part.
		_, err = g.file.WriteAt(g.pending, g.written-g.segments[len(g.segments)-1].start)
	}
	if err == nil {
		g.written += int64(len(g.pending))
		g.pending = g.pending[:0]
		return
	}
	g.logger.Error("log lines could not be written", "group", g.about.Name, "error", err)
	if len(g.pending) > dropBytes {
		g.logger.Error("log lines were dropped", "group", g.about.Name, "bytes", len(g.pending))
		g.pending = nil
	}
}

// roll begins a new segment if there is none, or the last is full.
func (g *group) roll() error {
	if n := len(g.segments); n > 0 && g.written-g.segments[n-1].start < segmentBytes {
		return nil
	}
	s := &segment{path: filepath.Join(g.dir, fmt.Sprintf("%020d.log", g.written)), start: g.written, firstMS: g.firstMS}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if g.file != nil {
		_ = g.file.Close()
	}
	g.file = f
	g.segments = append(g.segments, s)
	g.expire()
	return nil
}

// expire removes the segments that hold only lines older than the retention.
func (g *group) expire() {
	oldest := g.oldest()
	for len(g.segments) > 1 && g.segments[1].firstMS < oldest {
		_ = os.Remove(g.segments[0].path)
		g.segments = g.segments[1:]
	}
}

// oldest is the time before which lines have expired.
func (g *group) oldest() int64 {
	if g.about.RetentionDays == 0 {
		return 0
	}
	return time.Now().AddDate(0, 0, -g.about.RetentionDays).UnixMilli()
}

func (g *group) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flush()
	if g.file == nil {
		return nil
	}
	err := g.file.Close()
	g.file = nil
	return err
}

// view is a group's sequence as it is at one moment.
type view struct {
	segments      []*segment
	end           int64 // the position behind the last record
	oldest        int64 // the time before which lines have expired
	retentionDays int
}

func (g *group) view() view {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flush()
	return view{slices.Clone(g.segments), g.written, g.oldest(), g.about.RetentionDays}
}

// from is the position to begin at for records of the time ms or later.
func (v view) from(ms int64) int64 {
	i, _ := slices.BinarySearchFunc(v.segments, ms, func(s *segment, ms int64) int {
		if s.firstMS < ms {
			return -1
		}
		return 1
	})
	if i == 0 {
		return 0
	}
	return v.segments[i-1].start
}

// each calls fn for the records of segment i from a position on, within the
// view, until fn returns false, which it then returns as well.
func (v view) each(i int, from int64, fn func(record) bool) (bool, error) {
	s, end := v.segments[i], v.end
	if i+1 < len(v.segments) {
		end = v.segments[i+1].start
	}
	f, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil // expired since the view was taken
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	from = max(from, s.start)
	for records := newRecordReader(io.NewSectionReader(f, from-s.start, end-from), from); ; {
		r, err := records.next()
		if err == io.EOF || err == errDamaged {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if r.ms >= v.oldest && !fn(r) {
			return false, nil
		}
	}
}

// forward calls fn for every record from a position on, in order, until fn
// returns false.
func (v view) forward(from int64, fn func(record) bool) error {
	for i := range v.segments {
		if i+1 < len(v.segments) && v.segments[i+1].start <= from {
			continue
		}
		if more, err := v.each(i, from, fn); !more || err != nil {
			return err
		}
	}
	return nil
}

// streams tells of every stream that the view holds records of.
func (v view) streams() (map[string]streamInfo, error) {
	all := map[string]streamInfo{}
	for i, s := range v.segments {
		streams := s.streams.Load()
		if streams == nil {
			found, err := v.scan(i)
			if err != nil {
				return nil, err
			}
			streams = &found
			if i+1 < len(v.segments) { // closed, so it need not be read again
				s.streams.Store(streams)
			}
		}
		for name, add := range *streams {
			info, known := all[name]
			if !known {
				info.firstMS = add.firstMS
			}
			info.lastMS = add.lastMS
			info.bytes += add.bytes
			all[name] = info
		}
	}
	return all, nil
}

func (v view) scan(i int) (map[string]streamInfo, error) {
	out := map[string]streamInfo{}
	_, err := v.each(i, 0, func(r record) bool {
		info, known := out[string(r.stream)]
		if !known {
			info.firstMS = r.ms
		}
		info.lastMS = r.ms
		info.bytes += int64(len(r.message))
		out[string(r.stream)] = info
		return true
	})
	return out, err
}
