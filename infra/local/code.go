package local

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/programs"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// code is what the functions of a snapshot run.
type code struct {
	programs map[string]string // by package, as the go command takes it in the project's root
	folders  map[string]string // of the files that programs find beside themselves, by filesKey
}

// of returns the program of a function, by what its resource's Metadata says of
// it, and the folder of its files; "" if it has none.
func (c code) of(metadata map[string]any) (program, folder string) {
	return c.programs[names.Package(str(metadata[names.CodeMetadata]))], c.folders[filesKey(filesOf(metadata))]
}

// used are all paths of c, by whatever name.
func (c code) used() map[string]string {
	used := maps.Clone(c.programs)
	maps.Copy(used, c.folders)
	return used
}

// filesOf returns the files that the program of a function finds beside itself.
func filesOf(metadata map[string]any) []string {
	list, _ := metadata[names.FilesMetadata].([]any)
	var files []string
	for _, file := range list {
		files = append(files, str(file))
	}
	return files
}

func filesKey(files []string) string { return strings.Join(files, "\n") }

// build builds the programs of every function, in one go, and copies the files
// that belong to them as they are now.
func (e *Environment) build(ctx context.Context, snapshot *snapshots.Snapshot) (built code, err error) {
	packages, err := packagesOf(snapshot)
	if err != nil {
		return code{}, err
	}
	if built.programs, err = programs.Build(ctx, e.config.Root, e.programsDir(), packages); err != nil {
		return code{}, err
	}
	built.folders = map[string]string{}
	return built, eachFunction(snapshot, func(metadata map[string]any) error {
		files := filesOf(metadata)
		if len(files) == 0 {
			return nil
		}
		folder, err := programs.Files(os.DirFS(e.config.Root), e.programsDir(), files)
		built.folders[filesKey(files)] = folder
		return err
	})
}

func (e *Environment) programsDir() string { return filepath.Join(e.config.DataDir, "programs") }

// packagesOf returns the packages of a snapshot's functions, sorted, as the go
// command takes them in the project's root.
func packagesOf(snapshot *snapshots.Snapshot) ([]string, error) {
	var packages []string
	err := eachFunction(snapshot, func(metadata map[string]any) error {
		packages = append(packages, names.Package(str(metadata[names.CodeMetadata])))
		return nil
	})
	slices.Sort(packages)
	return slices.Compact(packages), err
}

// eachFunction calls do with the Metadata of each resource that names its code.
func eachFunction(snapshot *snapshots.Snapshot, do func(metadata map[string]any) error) error {
	for _, stack := range snapshot.Stacks {
		var template struct {
			Resources map[string]struct{ Metadata map[string]any }
		}
		if err := json.Unmarshal(snapshot.Templates[stack], &template); err != nil {
			return err
		}
		for _, r := range template.Resources {
			if _, ok := r.Metadata[names.CodeMetadata].(string); ok {
				if err := do(r.Metadata); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
