package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/devstate"
	"github.com/penstock-dev/penstock/scripts/internal/synth"
	"github.com/penstock-dev/penstock/scripts/internal/watch"
)

// reloader brings what is saved in the project into a running environment:
//
//   - Go code: the functions that depend on it are built and swapped;
//   - what a synthesis reads (manifests, infrastructure): the templates are made
//     anew and the environment is updated in place.
//
// What is wrong is shown, and what runs goes on as it was.
type reloader struct {
	env    *local.Environment
	app    string // the application's name
	root   string // the project's folder
	cdkDir string // what the compiled CDK app is kept in
	out    io.Writer
	inputs map[string]string // the hashes of what the last synthesis that was tried has read
	state  *devstate.Keeper  // tells other commands

	watcher *watch.Watcher
	sources map[string]*watch.Sources // by package of a function
	pending *snapshots.Snapshot       // synthesized and not deployed: tried again when Go code is saved
}

// run follows what is saved, until ctx ends: what was saved since a time, when
// the environment began to start, and then what comes. Its error says why the
// project cannot be watched.
func (r *reloader) run(ctx context.Context, began time.Time) (err error) {
	if r.watcher, err = watch.New(); err != nil {
		return err
	}
	defer r.watcher.Close()
	if err = r.look(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	changes, err := r.since(began)
	for ctx.Err() == nil {
		if err == nil {
			err = r.reload(ctx, changes)
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(r.out, "%v\nwhat runs goes on as it was\n", err)
		}
		if changes, err = r.watcher.Next(ctx); errors.Is(err, watch.ErrClosed) {
			return err
		}
	}
	return nil
}

// look finds out what the functions are built of, and watches that and the
// folders in which a synthesis reads.
func (r *reloader) look(ctx context.Context) error {
	dirs := []string{r.root}
	for _, name := range []string{manifest.FunctionsDir, "infra"} {
		below, err := watch.Below(filepath.Join(r.root, name))
		if err != nil {
			return err
		}
		dirs = append(dirs, below...)
	}
	sources, err := watch.Programs(ctx, r.root, local.BuildTags, r.env.Packages())
	if err == nil {
		r.sources = sources
	} else if r.sources == nil {
		return err
	}
	for _, s := range r.sources {
		dirs = slices.AppendSeq(dirs, maps.Keys(s.Dirs))
		for file := range s.Embedded {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	return r.watcher.Add(dirs...)
}

// reload brings in what has changed.
func (r *reloader) reload(ctx context.Context, changes watch.Changes) error {
	if changes.Overflow || slices.ContainsFunc(changes.Files, r.mayMove) {
		if err := r.look(ctx); err != nil {
			return err
		}
	}
	inputs, err := snapshots.Inputs(os.DirFS(r.root))
	if err != nil {
		return err
	}
	var fault error // of the synthesis, which does not hold up Go code
	if edited := different(r.inputs, inputs); len(edited) > 0 {
		r.inputs, r.pending = inputs, nil
		var built bool
		if built, fault = r.synthesize(ctx, edited); built {
			return fault
		}
		if fault != nil {
			r.state.Failed(inputs, fault)
		}
	}
	if r.pending != nil && (changes.Overflow || slices.ContainsFunc(changes.Files, r.mayMove)) {
		return r.update(ctx, r.pending)
	}
	if packages := r.affected(changes); len(packages) > 0 {
		return errors.Join(fault, r.rebuild(ctx, packages))
	}
	return fault
}

// mayMove reports whether a file may change what functions are built of: Go
// code, the module, or a folder.
func (r *reloader) mayMove(file string) bool {
	if watch.IsGo(file) || r.isModule(file) {
		return true
	}
	info, err := os.Stat(file)
	return err == nil && info.IsDir()
}

func (r *reloader) isModule(file string) bool {
	return filepath.Dir(file) == r.root && slices.Contains([]string{"go.mod", "go.sum", "go.work"}, filepath.Base(file))
}

// affected returns the packages of the functions that are built anew, sorted.
func (r *reloader) affected(changes watch.Changes) []string {
	all := changes.Overflow || slices.ContainsFunc(changes.Files, r.isModule)
	var packages []string
	for _, p := range r.env.Packages() {
		if s := r.sources[p]; all || s != nil && slices.ContainsFunc(changes.Files, s.Has) {
			packages = append(packages, p)
		}
	}
	return packages
}

// rebuild builds and swaps functions.
func (r *reloader) rebuild(ctx context.Context, packages []string) error {
	began := time.Now()
	swapped, err := r.env.Rebuild(ctx, packages...)
	if err != nil {
		return err
	}
	if len(swapped) == 0 {
		fmt.Fprintf(r.out, "rebuilt in %s, and no function differs\n", took(began))
		return nil
	}
	fmt.Fprintf(r.out, "rebuilt in %s: %s\n", took(began), strings.Join(swapped, ", "))
	return nil
}

// synthesize makes the templates anew and updates the environment, programs
// included. built is false if it did not come to that: the manifests are at
// fault, or there is no Node, which it says.
func (r *reloader) synthesize(ctx context.Context, edited []string) (built bool, err error) {
	began := time.Now()
	fmt.Fprintf(r.out, "synthesizing, since %s changed\n", strings.Join(edited, ", "))
	if err := r.checkManifests(); err != nil {
		return false, err
	}
	snapshot, err := synth.Run(ctx, synth.Config{Root: r.root, App: r.app, Env: localEnv, Dir: r.cdkDir})
	if errors.Is(err, synth.ErrNoNode) {
		fmt.Fprintf(r.out, "nothing was changed: %v\n", err)
		r.state.Failed(r.inputs, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fmt.Fprintf(r.out, "synthesized in %s (%s brings this into the snapshots in git)\n", took(began), snapshots.Command)
	return true, r.update(ctx, snapshot)
}

// checkManifests finds what the CDK app would find wrong with the manifests, and
// needs neither the compiler nor Node for it.
func (r *reloader) checkManifests() error {
	root := os.DirFS(r.root)
	functions, err := manifest.Load(root)
	if err != nil {
		return err
	}
	types, err := schema.LoadProject(root)
	if err != nil {
		return err
	}
	return errors.Join(manifest.Check(functions, names.New(r.app, localEnv)), manifest.CheckTypes(functions, types))
}

// update makes the environment what a snapshot says.
func (r *reloader) update(ctx context.Context, snapshot *snapshots.Snapshot) error {
	began := time.Now()
	r.pending = snapshot
	changes, err := r.env.Update(ctx, snapshot)
	if err != nil {
		r.state.Failed(snapshot.Inputs, err)
		return err
	}
	r.pending = nil
	r.state.Deployed(snapshot.Inputs)
	if changes.None() {
		fmt.Fprintln(r.out, "updated: nothing differs")
		return nil
	}
	fmt.Fprintf(r.out, "updated in %s:\n", took(began))
	tellChanges(r.out, changes)
	return r.look(ctx) // there may be other functions now
}

// tellChanges prints what was changed, line by line.
func tellChanges(out io.Writer, changes local.Changes) {
	for _, kind := range []struct {
		name    string
		changes []local.Change
	}{{"created", changes.Created}, {"changed", changes.Changed}, {"removed", changes.Removed}, {"retained", changes.Retained}} {
		for _, c := range kind.changes {
			line := fmt.Sprintf("  %s %s %s", kind.name, strings.TrimPrefix(c.Type, "AWS::"), c.Name)
			if c.Lost != "" {
				line += ", with " + c.Lost
			}
			fmt.Fprintln(out, line)
		}
	}
	if len(changes.Swapped) > 0 {
		fmt.Fprintf(out, "  rebuilt %s\n", strings.Join(changes.Swapped, ", "))
	}
}

// different returns the files that two sets of hashes do not have in common,
// sorted.
func different(before, after map[string]string) []string {
	files := map[string]bool{}
	for file, hash := range after {
		files[file] = before[file] != hash
	}
	for file := range before {
		if _, ok := after[file]; !ok {
			files[file] = true
		}
	}
	maps.DeleteFunc(files, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(files))
}

// since returns the files in watched folders that were written after a time.
func (r *reloader) since(t time.Time) (watch.Changes, error) {
	dirs := map[string]bool{r.root: true}
	for _, s := range r.sources {
		maps.Copy(dirs, s.Dirs)
	}
	var changes watch.Changes
	for dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return changes, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return changes, err
			}
			if info.Mode().IsRegular() && info.ModTime().After(t) {
				changes.Files = append(changes.Files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return changes, nil
}

func took(began time.Time) string { return fmt.Sprintf("%.1f s", time.Since(began).Seconds()) }
