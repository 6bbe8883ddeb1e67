package snapshots

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// assetFile is the file name of an asset, whose hash says nothing here.
var assetFile = regexp.MustCompile(`[0-9a-f]{64}\.zip`)

// ReadAssembly reads the stacks and templates that the CDK wrote to dir (a "cloud
// assembly"), in the order of their dependencies, otherwise of their names.
func (s *Snapshot) ReadAssembly(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("the CDK app wrote no templates: does it call app.Synth?")
	}
	if err != nil {
		return err
	}
	type artifact struct {
		Type         string
		Dependencies []string
		Properties   struct{ TemplateFile, StackName string }
	}
	var manifest struct{ Artifacts map[string]artifact }
	if err := json.Unmarshal(data, &manifest); err != nil {
		return fmt.Errorf("the CDK's manifest.json: %w", err)
	}
	var ids []string
	for id, a := range manifest.Artifacts {
		if a.Type == "aws:cloudformation:stack" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	s.Stacks, s.Templates = nil, map[string]json.RawMessage{}
	visited := map[string]bool{}
	var visit func(id string) error
	visit = func(id string) error {
		a := manifest.Artifacts[id]
		if visited[id] || a.Type != "aws:cloudformation:stack" {
			return nil
		}
		visited[id] = true
		for _, dependency := range slices.Sorted(slices.Values(a.Dependencies)) {
			if err := visit(dependency); err != nil {
				return err
			}
		}
		template, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(a.Properties.TemplateFile)))
		if err != nil {
			return err
		}
		name := a.Properties.StackName
		if name == "" {
			name = id
		}
		s.Stacks = append(s.Stacks, name)
		s.Templates[name] = append(assetFile.ReplaceAll(template, []byte(Asset)), '\n')
		return nil
	}
	for _, id := range ids {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}
