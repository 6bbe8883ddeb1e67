package eventstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// unset stands for the schemas of the project until options are read.
type unset struct{}

func (unset) Validate(events.Type, []byte) error { panic("eventstest: no schemas were read") }

// known refuses types that have no schema in a way that helps: in a test of a
// new type that is what is missing.
type known struct {
	schemas *schema.Set
	folder  string
}

func (k known) Validate(t events.Type, data []byte) error {
	if !k.schemas.Has(t) {
		return fmt.Errorf("there is no %s: add the type to the project's catalogue and run go generate ./... (or test it with eventstest.WithSchemas(nil))",
			filepath.Join(k.folder, filepath.FromSlash(schema.File(t))))
	}
	return k.schemas.Validate(t, data)
}

// projectSchemas reads the schemas of the project that the working directory is
// in, once in a program: a test's working directory is its package's.
var projectSchemas = sync.OnceValues(func() (events.Validator, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(filepath.Join(at, "cdk.json"))
		switch {
		case err == nil:
			folder := filepath.Join(at, schema.Dir)
			set, err := schema.Load(os.DirFS(folder))
			return known{set, folder}, err
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case at == filepath.Dir(at):
			return nil, fmt.Errorf("neither %s nor a folder above it holds cdk.json, beside which a project has its schemas: give NewPublisher eventstest.WithSchemas", dir)
		}
	}
})
