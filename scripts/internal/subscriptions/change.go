package subscriptions

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/manifest/edit"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// Setting is what a change sets in a subscription: a member by its path in the
// manifest, such as "batchSize" or "retry/capSeconds".
type Setting struct {
	Path  string
	Value any // nil: the manifest says nothing of it any more, and the default holds
}

// Change is an edit of a function's manifest that has been checked, and not
// written yet. All else in the file stays as it was written.
type Change struct {
	File          string // the manifest, in the project
	Before, After []byte
	// Subscription is as it comes to be.
	Subscription Subscription
	// Restored is, of a creation, the tombstone that it takes the place of; nil if
	// there was none.
	Restored *manifest.Tombstone

	root string
}

// Create adds a subscription to a function's manifest. One that was deleted and
// whose queue is still there is restored: what no setting says is as it was.
func (e *Environment) Create(function, name, event string, settings []Setting) (*Change, error) {
	f, err := e.Function(function)
	if err != nil {
		return nil, err
	}
	if f.Subscription(name) != nil {
		return nil, cli.Misusef("subscription %s/%s exists already: change it with `penstock subscriptions update`, or choose another --name", function, name)
	}
	now := time.Now()
	var restored *manifest.Tombstone
	change, err := e.change(f, name, func(file *edit.File) error {
		i := slices.IndexFunc(f.Tombstones, func(t manifest.Tombstone) bool { return t.Name == name })
		var was jsontext.Value
		if i >= 0 {
			t := &f.Tombstones[i]
			if now.Before(t.Ends()) {
				if t.Event != event {
					return cli.Misusef("subscription %s/%s was deleted on %s, and its queue holds %s until %s: choose another --name, or wait until then",
						function, name, t.DeletedAt.UTC().Format(time.RFC3339), t.Event, t.Ends().UTC().Format(time.RFC3339))
				}
				restored, was = t, file.Value(at("tombstones", i))
			}
			if err := remove(file, "tombstones", i, len(f.Tombstones)); err != nil {
				return err
			}
		}
		n := len(f.Subscriptions)
		if restored == nil {
			object := jsontext.Value(fmt.Sprintf(`{"name": %q, "event": %q}`, name, event))
			if err := file.Append("/subscriptions", formatted(object)); err != nil {
				return err
			}
		} else if err := errors.Join(file.Append("/subscriptions", was), file.Remove(at("subscriptions", n)+"/deletedAt")); err != nil {
			return err
		}
		return apply(file, at("subscriptions", n), settings)
	})
	if err == nil {
		change.Restored = restored
	}
	return change, err
}

// Update changes settings of a subscription.
func (e *Environment) Update(s Subscription, settings []Setting) (*Change, error) {
	f, i, err := e.declared(s)
	if err != nil {
		return nil, err
	}
	return e.change(f, s.Name, func(file *edit.File) error { return apply(file, at("subscriptions", i), settings) })
}

// Delete leaves a tombstone of a subscription, of a date.
func (e *Environment) Delete(s Subscription, date time.Time) (*Change, error) {
	f, i, err := e.declared(s)
	if err != nil {
		return nil, err
	}
	return e.change(f, s.Name, func(file *edit.File) error {
		was := file.Value(at("subscriptions", i))
		// One of an earlier life says less than this one.
		if j := slices.IndexFunc(f.Tombstones, func(t manifest.Tombstone) bool { return t.Name == s.Name }); j >= 0 {
			if err := remove(file, "tombstones", j, len(f.Tombstones)); err != nil {
				return err
			}
		}
		if err := errors.Join(file.Remove(at("subscriptions", i)), file.Append("/tombstones", was)); err != nil {
			return err
		}
		n := len(f.Tombstones)
		if slices.ContainsFunc(f.Tombstones, func(t manifest.Tombstone) bool { return t.Name == s.Name }) {
			n--
		}
		return file.Set(at("tombstones", n)+"/deletedAt", date.UTC().Truncate(time.Second).Format(time.RFC3339))
	})
}

// Function finds a function of the project's by its short name. The error about an
// unknown one is a [cli.Misuse] that offers the nearest.
func (e *Environment) Function(name string) (*manifest.Function, error) {
	var known []string
	for i := range e.Functions {
		if e.Functions[i].Name == name {
			return &e.Functions[i], nil
		}
		known = append(known, e.Functions[i].Name)
	}
	return nil, cli.Unknown("function", name, known)
}

// declared finds where a subscription stands in its function's manifest.
func (e *Environment) declared(s Subscription) (*manifest.Function, int, error) {
	switch {
	case s.Manifest == nil:
		return nil, 0, cli.Misusef("subscription %s is deployed, and in no manifest: deploying its function removes it", s)
	case s.Deleted():
		return nil, 0, cli.Misusef("subscription %s was deleted on %s: `penstock subscriptions create` under its name restores it", s, s.DeletedAt.UTC().Format(time.RFC3339))
	}
	if names.Reserved(s.Function) {
		return nil, 0, cli.Misusef("subscription %s is one of Penstock's own: no manifest has it", s)
	}
	f, err := e.Function(s.Function)
	if err != nil {
		return nil, 0, err
	}
	return f, slices.IndexFunc(f.Subscriptions, func(m manifest.Subscription) bool { return m.Name == s.Name }), nil
}

// formatted is JSON that gets the form of what stands beside it.
type formatted []byte

func (f formatted) MarshalJSON() ([]byte, error) { return f, nil }

func at(list string, i int) string { return fmt.Sprintf("/%s/%d", list, i) }

// remove removes an element of a list, and the list with its last one.
func remove(file *edit.File, list string, i, of int) error {
	if of == 1 {
		return file.Remove("/" + list)
	}
	return file.Remove(at(list, i))
}

// apply makes settings in the object at a place.
func apply(file *edit.File, place string, settings []Setting) error {
	for _, s := range settings {
		to := place + "/" + s.Path
		if s.Value == nil {
			if file.Value(to) != nil {
				if err := file.Remove(to); err != nil {
					return err
				}
			}
			continue
		}
		if parent, _, nested := strings.Cut(s.Path, "/"); nested && file.Value(place+"/"+parent) == nil {
			if err := file.Set(place+"/"+parent, struct{}{}); err != nil {
				return err
			}
		}
		if err := file.Set(to, s.Value); err != nil {
			return err
		}
	}
	return nil
}

// change edits a function's manifest, and checks the project with it: what is wrong
// with it is a misuse, and nothing is written.
func (e *Environment) change(f *manifest.Function, name string, do func(*edit.File) error) (*Change, error) {
	c := &Change{File: path.Join(f.Dir, manifest.FileName), root: e.Root}
	var err error
	if c.Before, err = os.ReadFile(filepath.Join(e.Root, filepath.FromSlash(c.File))); err != nil {
		return nil, err
	}
	file, err := edit.Parse(c.Before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	if err := do(file); err != nil {
		return nil, err
	}
	c.After = file.Bytes()
	root := overlay{os.DirFS(e.Root), c.File, c.After}
	functions, err := manifest.Load(root)
	if err != nil {
		return nil, cli.Misuse{Err: err}
	}
	types, err := schema.LoadProject(root)
	if err != nil {
		return nil, err
	}
	err = errors.Join(manifest.Check(functions, e.Names), manifest.CheckEnvironment(functions, e.Env), manifest.CheckLoops(functions), manifest.CheckTypes(functions, types))
	if err != nil {
		return nil, cli.Misuse{Err: err}
	}
	c.Subscription, err = Find(Of(functions, e.Names), f.Name+"/"+name)
	return c, err
}

// None reports whether the manifest says all of it already.
func (c *Change) None() bool { return bytes.Equal(c.Before, c.After) }

// Write writes the manifest, which must still be as it was.
func (c *Change) Write() error { return c.replace(c.Before, c.After) }

// Undo writes the manifest as it was before, if nobody else has changed it since.
func (c *Change) Undo() error { return c.replace(c.After, c.Before) }

func (c *Change) replace(was, to []byte) error {
	is, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(c.File)))
	if err != nil {
		return err
	}
	if !bytes.Equal(is, was) {
		return fmt.Errorf("%s has been changed meanwhile: look, and try again", c.File)
	}
	return project.WriteFile(c.root, c.File, to)
}

// overlay is a project in which one file has other content.
type overlay struct {
	fs.FS
	file string
	text []byte
}

// ReadFile implements [fs.ReadFileFS].
func (o overlay) ReadFile(name string) ([]byte, error) {
	if name == o.file {
		return o.text, nil
	}
	return fs.ReadFile(o.FS, name)
}
