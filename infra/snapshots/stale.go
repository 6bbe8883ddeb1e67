package snapshots

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Command is the one command that makes all snapshots anew.
const Command = "go generate ./..."

// inputs are the files that a synthesis reads: what a project declares, and the
// programs that turn it into templates. (A project that only uses Penstock has
// infra/*.go, and no more of the latter.)
var inputs = []string{
	"cdk.json",
	"functions/*/function.json",
	"functions/*/notifications.json",
	"infra/environments.json",
	"infra/tables.json",
	"infra/*.go",
	"infra/manifest/*.go",
	"infra/names/*.go",
	"infra/registry/*.go",
	"infra/stacks/*.go",
	"schemas/*/*.schema.json",
}

// Inputs returns the SHA-256, in hex, of each file that a synthesis of the
// project at root reads, by its path. Tests are no inputs.
func Inputs(root fs.FS) (map[string]string, error) {
	hashes := map[string]string{}
	for _, pattern := range inputs {
		files, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := fs.ReadFile(root, file)
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(data)
			hashes[file] = hex.EncodeToString(sum[:])
		}
	}
	return hashes, nil
}

// Stale returns the inputs of the project at root that are not as the snapshot
// was made of them: changed, added or removed. They are sorted; none if the
// snapshot is current.
func (s *Snapshot) Stale(root fs.FS) ([]string, error) {
	now, err := Inputs(root)
	if err != nil {
		return nil, err
	}
	stale := map[string]bool{}
	for file, hash := range now {
		if s.Inputs[file] != hash {
			stale[file] = true
		}
	}
	for file := range s.Inputs {
		if _, ok := now[file]; !ok {
			stale[file] = true
		}
	}
	return slices.Sorted(maps.Keys(stale)), nil
}

// StaleError says that a snapshot is older than files, as Stale returned them,
// and how to mend it; nil for no files.
func (s *Snapshot) StaleError(files []string) error {
	if len(files) == 0 {
		return nil
	}
	return fmt.Errorf("the snapshot of environment %q is older than %s: run %s", s.Env, strings.Join(files, ", "), Command)
}
