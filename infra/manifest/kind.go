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
	KindHTTP     Kind = "http"     // an endpoint that events are delivered to, which a program of Penstock's own does
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
	if f.HTTP != nil {
		if f.Pipeline != nil {
			v.faults = append(v.faults, errTwoKinds)
		}
		v.http(f)
	}
	why := whyUnused[f.Kind()]
	for _, unused := range []struct {
		given      bool
		field, why string
	}{
		{len(f.Secrets) > 0, "secrets", why.secrets},
		{len(f.Tables) > 0, "tables", why.tables},
		{len(f.Publishes) > 0 && f.Kind() == KindHTTP, "publishes", "what its endpoint publishes has a publisher of its own"},
		{len(f.Topics) > 0, "topics", "it takes events, not the requests of connectors"},
		{f.Idempotency, "idempotency", why.idempotency},
	} {
		if unused.given {
			v.fault("%s: %s has no use for it, since %s: leave it out", unused.field, f.Kind().article(), unused.why)
		}
	}
	for _, s := range f.Subscriptions {
		if s.Receive == Notifications {
			v.fault("subscription %q: receive: %s takes events: leave it out", s.Name, f.Kind().article())
		}
	}
}

// whyUnused says why functions without code have no use for what only code uses.
var whyUnused = map[Kind]struct{ secrets, tables, idempotency string }{
	KindPipeline: {"no stage reads one", "no stage uses one", "what it publishes has the same ids each time"},
	KindHTTP:     {`its own is the "secret" of "http"`, "its endpoint is elsewhere", "its endpoint knows a repetition by the header webhook-id"},
}

// article is the kind, as a sentence names a function of it.
func (k Kind) article() string {
	if k == KindHTTP {
		return "a function on HTTP"
	}
	return "a " + string(k)
}

// checkFolder checks that a function without code has none.
func (f *Function) checkFolder(root fs.FS) error {
	if f.Kind() == KindCode {
		return nil
	}
	main := path.Join(f.Dir, "main.go")
	if _, err := fs.Stat(root, main); err == nil {
		return fmt.Errorf("%s has no code, and there is %s, which would never run: remove one of them", f.Kind().article(), main)
	}
	return nil
}

// Kind tells a function's kind by its manifest.
func (f *Function) Kind() Kind {
	if f.Pipeline != nil {
		return KindPipeline
	}
	if f.HTTP != nil {
		return KindHTTP
	}
	return KindCode
}

// Code is where the function's program is, as names.CodeMetadata has it: its
// folder, or the import path of the one that runs functions of its kind.
func (f *Function) Code() string {
	switch f.Kind() {
	case KindPipeline:
		return names.SystemPackages + names.PipelineRunner
	case KindHTTP:
		return names.SystemPackages + names.WebhookRunner
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
