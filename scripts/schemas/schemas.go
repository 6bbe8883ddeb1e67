// Package schemas writes the files under schemas/, from the event types of a
// catalogue. They are what everything but the publisher's own code knows of an
// event type: the manifests' validation, the command, the CDK app and the
// pipelines read them, and other teams do.
//
//	schemas/<source>/<NAME>.sample.json   the data of a sample event
//
// A project has a program of one line that calls [Main] with its catalogue, and
// `go generate ./...` runs it.
package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// Command is the one command that makes all files anew.
const Command = "go generate ./..."

// Main writes the files of the project that the working directory is in, and
// ends the program with status 1 if it cannot.
func Main(c *events.Catalogue) {
	root, err := project.Root()
	if err == nil {
		err = Write(root, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

// Files returns the files of a catalogue, by their path in the project. The
// same catalogue gives the same bytes.
func Files(c *events.Catalogue) (map[string][]byte, error) {
	files := map[string][]byte{}
	for d := range c.All() {
		for _, generate := range generators {
			name, data, err := generate(d)
			if err != nil {
				return nil, fmt.Errorf("event type %s: %w", d.Type, err)
			}
			files[name] = data
		}
	}
	return files, nil
}

// generators make one file each for an event type.
var generators = []func(events.Description) (name string, data []byte, err error){
	sample,
	jsonSchema,
}

func jsonSchema(d events.Description) (string, []byte, error) {
	r := jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, AllowAdditionalProperties: true}
	data, err := json.MarshalIndent(r.Reflect(d.Sample), "", "  ")
	return path.Join(schema.Dir, schema.File(d.Type)), append(data, '\n'), err
}

func sample(d events.Description) (string, []byte, error) {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(d.Sample)
	return eventtypes.SampleFile(d.Type), data.Bytes(), err
}

// Write makes the files under the project's root those of the catalogue. It
// leaves alone what is right already, and removes files of types that the
// catalogue no longer has.
func Write(root string, c *events.Catalogue) error {
	files, err := Files(c)
	if err != nil {
		return err
	}
	stale, err := Stale(os.DirFS(root), c)
	if err != nil {
		return err
	}
	for _, name := range stale {
		file := filepath.Join(root, filepath.FromSlash(name))
		data, wanted := files[name]
		if !wanted {
			if err := os.Remove(file); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Stale returns the files of the project at root that are not as the catalogue
// says: missing, different, or of a type that it does not have. They are
// sorted; none if all are current.
func Stale(root fs.FS, c *events.Catalogue) ([]string, error) {
	files, err := Files(c)
	if err != nil {
		return nil, err
	}
	stale := map[string]bool{}
	for name, want := range files {
		got, err := fs.ReadFile(root, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if !bytes.Equal(got, want) {
			stale[name] = true
		}
	}
	there, err := fs.Glob(root, path.Join(eventtypes.Dir, "*", "*"+eventtypes.SampleSuffix))
	if err != nil {
		return nil, err
	}
	for _, name := range there {
		if _, wanted := files[name]; !wanted {
			stale[name] = true
		}
	}
	return slices.Sorted(maps.Keys(stale)), nil
}
