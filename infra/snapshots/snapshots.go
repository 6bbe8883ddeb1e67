// Package snapshots reads and writes the synthesized templates that a project
// keeps in git, one folder for each environment:
//
//	infra/snapshots/<env>/snapshot.json             a Snapshot: its stacks and inputs
//	infra/snapshots/<env>/<stack>.template.json     a CloudFormation template
//
// They are there so that a change of infrastructure shows in review, and so that
// the local environment runs without a synthesis, which needs Node. A snapshot
// names no account and no region, and in place of the hash of a program it has
// Asset.
//
// A snapshot records the hash of every file that it was made of, and so knows
// when it is stale. This package knows nothing of the CDK.
package snapshots

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Dir is the folder of all snapshots in a project.
const Dir = "infra/snapshots"

// Asset stands in a snapshot for the file name of a compiled program, whose
// hash would change with every line of Go.
const Asset = "asset.zip"

// Snapshot is what was synthesized for one environment.
type Snapshot struct {
	// App and Env named the resources.
	App string `json:"app"`
	Env string `json:"env"`

	// Stacks are the names of the stacks, in the order they are deployed in.
	Stacks []string `json:"stacks"`

	// Inputs has the SHA-256, in hex, of each file the snapshot was made of, by
	// its path in the project.
	Inputs map[string]string `json:"inputs"`

	// Templates are the CloudFormation templates, by stack.
	Templates map[string]json.RawMessage `json:"-"`
}

// Load reads the snapshot of an environment of the project at root. If there is
// none, the error is fs.ErrNotExist and names the command that makes it.
func Load(root fs.FS, env string) (*Snapshot, error) {
	data, err := fs.ReadFile(root, path.Join(Dir, env, "snapshot.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("environment %q has no snapshot: %s makes it: %w", env, Command, err)
	}
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Templates: map[string]json.RawMessage{}}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, env, "snapshot.json"), err)
	}
	for _, stack := range s.Stacks {
		file := s.templateFile(stack)
		template, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, fmt.Errorf("snapshot of environment %q: stack %q has no template: %s makes it: %w", env, stack, Command, err)
		}
		if !json.Valid(template) {
			return nil, fmt.Errorf("%s is not JSON: %s makes it anew", file, Command)
		}
		s.Templates[stack] = template
	}
	return s, nil
}

// Files returns the snapshot as the files it is kept in, by path in the
// project. What else is in the environment's folder does not belong there.
func (s *Snapshot) Files() (map[string][]byte, error) {
	index, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{path.Join(Dir, s.Env, "snapshot.json"): append(index, '\n')}
	for _, stack := range s.Stacks {
		files[s.templateFile(stack)] = s.Templates[stack]
	}
	return files, nil
}

func (s *Snapshot) templateFile(stack string) string {
	return path.Join(Dir, s.Env, stack+".template.json")
}
