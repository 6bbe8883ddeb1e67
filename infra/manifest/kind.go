package manifest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/names"
)

// Kind is what a function is made of. Subscriptions, queues, DLQs, retries, logs
// and breakers are the same for all kinds.
type Kind string

const (
	KindCode     Kind = "code"     // a Go program in the manifest's folder
	KindPipeline Kind = "pipeline" // the manifest's stages, which a program of Penstock's own runs
)

// kind checks what a function of its kind may have.
func (v *validator) kind(f *Function) {
	if f.Kind() == KindCode {
		return
	}
	if f.Kind() == KindPipeline {
		_, err := f.ParsePipeline()
		v.faults = append(v.faults, split(err)...)
	}
	for _, unused := range []struct {
		given      bool
		field, why string
	}{
		{len(f.Secrets) > 0, "secrets", "no stage reads one"},
		{len(f.Tables) > 0, "tables", "no stage uses one"},
		{len(f.Topics) > 0, "topics", "it takes events, not the requests of connectors"},
		{f.Idempotency, "idempotency", "what it publishes has the same ids each time"},
	} {
		if unused.given {
			v.fault("%s: a %s has no use for it, since %s: leave it out", unused.field, f.Kind(), unused.why)
		}
	}
	for _, s := range f.Subscriptions {
		if s.Receive == Notifications {
			v.fault("subscription %q: receive: a %s takes events: leave it out", s.Name, f.Kind())
		}
	}
}

// checkFolder checks that a function without code has none.
func (f *Function) checkFolder(root fs.FS) error {
	if f.Kind() == KindCode {
		return nil
	}
	main := path.Join(f.Dir, "main.go")
	if _, err := fs.Stat(root, main); err == nil {
		return fmt.Errorf("a %s has no code, and there is %s, which would never run: remove one of them", f.Kind(), main)
	}
	return nil
}

// Kind tells a function's kind by its manifest.
func (f *Function) Kind() Kind {
	if f.Pipeline != nil {
		return KindPipeline
	}
	return KindCode
}

// Code is where the function's program is, as names.CodeMetadata has it: its
// folder, or the import path of the one that runs functions of its kind.
func (f *Function) Code() string {
	if f.Kind() == KindPipeline {
		return names.SystemPackages + names.PipelineRunner
	}
	return f.Dir
}

// Files are the files of the project that the function's program reads, by their
// paths in it, sorted: of a function without code its manifest, and the schemas
// of the event types that it publishes.
func (f *Function) Files() []string {
	if f.Kind() == KindCode {
		return nil
	}
	files := []string{path.Join(f.Dir, FileName)}
	for _, event := range f.Publishes {
		files = append(files, path.Join(schema.Dir, event+schema.Suffix))
	}
	slices.Sort(files)
	return files
}
