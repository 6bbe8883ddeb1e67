// Package watch tells which files of some folders have changed.
package watch

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must happen before a change is told: an editor
// saves a file, and a checkout many, in several steps.
const quiet = 100 * time.Millisecond

// Watcher watches folders, each without those below it. Its methods are for one
// goroutine at a time.
type Watcher struct {
	notify  *fsnotify.Watcher
	watched map[string]bool
}

// New returns a watcher of nothing. It must be closed.
func New() (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &Watcher{notify: notify, watched: map[string]bool{}}, nil
}

// ErrClosed is returned by Next after Close.
var ErrClosed = fsnotify.ErrClosed

// Close ends it.
func (w *Watcher) Close() error { return w.notify.Close() }

// Add watches folders, besides those that are watched. One that does not exist
// is passed over: a watch of the folder above tells when it appears.
func (w *Watcher) Add(dirs ...string) error {
	for _, dir := range dirs {
		dir = filepath.Clean(dir)
		if w.watched[dir] {
			continue
		}
		err := w.notify.Add(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "watch", Path: dir, Err: err}
		}
		w.watched[dir] = true
	}
	return nil
}

// Changes are what has changed since the last ones.
type Changes struct {
	// Files are the paths of what was written, created, renamed or removed,
	// folders included; sorted, below the folders as Add was given them.
	Files []string
	// Overflow says that there was more than could be told: anything may have
	// changed.
	Overflow bool
}

// Next waits for a change, and then until nothing has changed for a moment. Its
// only errors are ctx's and those of a watcher that has been closed.
func (w *Watcher) Next(ctx context.Context) (Changes, error) {
	var (
		changes Changes
		files   = map[string]bool{}
		settled <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return Changes{}, ctx.Err()
		case <-settled:
			changes.Files = slices.Sorted(maps.Keys(files))
			return changes, nil
		case event, open := <-w.notify.Events:
			if !open {
				return Changes{}, ErrClosed
			}
			if event.Op == fsnotify.Chmod {
				continue
			}
			if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
				// A folder that comes back under the name is another one.
				if w.watched[event.Name] {
					_ = w.notify.Remove(event.Name)
					delete(w.watched, event.Name)
				}
			}
			files[event.Name] = true
		case _, open := <-w.notify.Errors:
			if !open {
				return Changes{}, ErrClosed
			}
			changes.Overflow = true
		}
		settled = time.After(quiet)
	}
}

// Below returns dir and every folder below it but hidden ones, and those named
// testdata or node_modules.
func Below(dir string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.IsDir() {
			return err
		}
		name := d.Name()
		if path != dir && (name[0] == '.' || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		dirs = append(dirs, path)
		return nil
	})
	return dirs, err
}
