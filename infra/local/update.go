package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/programs"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// Changes are what an update has done.
type Changes struct {
	Created, Changed, Removed []Change
	// Swapped are the short names of functions that have another program.
	Swapped []string
}

// None reports whether nothing has changed.
func (c Changes) None() bool {
	return len(c.Created)+len(c.Changed)+len(c.Removed)+len(c.Swapped) == 0
}

// Change is a resource that an update has created, changed or removed.
type Change struct {
	Type string // like AWS::SQS::Queue
	Name string // the physical name; of a mapping, that of its source
}

// BuildTags are the build tags of the functions' programs.
const BuildTags = programs.Tags

// Packages returns the packages of the functions' programs, sorted, as the go
// command takes them in the project's root: ./functions/withdrawal-fee, or an
// import path.
func (e *Environment) Packages() []string {
	e.updating.Lock()
	defer e.updating.Unlock()
	return slices.Sorted(maps.Keys(e.programs))
}

// Rebuild compiles packages that Packages has named, and gives their functions
// the new programs; functions whose programs did not change are left alone. A
// batch under way finishes with the program that it began with. It returns the
// short names of the functions that have another program. An error holds the
// compiler's messages, and then nothing has changed.
func (e *Environment) Rebuild(ctx context.Context, packages ...string) ([]string, error) {
	e.updating.Lock()
	defer e.updating.Unlock()
	for _, p := range packages {
		if e.programs[p] == "" {
			return nil, fmt.Errorf("package %s is not that of a function (there are %q)", p, slices.Sorted(maps.Keys(e.programs)))
		}
	}
	built, err := programs.Build(ctx, e.config.Root, e.programsDir(), packages)
	if err != nil {
		return nil, err
	}
	maps.Copy(e.programs, built)
	return e.swap()
}

// swap gives every deployed function its program of e.programs, and returns the
// short names of those that had another.
func (e *Environment) swap() ([]string, error) {
	var swapped []string
	for r := range e.resources("AWS::Lambda::Function") {
		changed, err := e.lambda.UpdateCode(r.Ref, e.programs[names.Package(str(r.Metadata[names.CodeMetadata]))])
		if err != nil {
			return swapped, err
		}
		if changed {
			swapped = append(swapped, str(r.Metadata[names.FunctionMetadata]))
		}
	}
	slices.Sort(swapped)
	return swapped, nil
}

// Update makes the environment what another snapshot of it says, while it runs:
//
//  1. It checks the templates and builds the programs that they name. An error
//     means that nothing has changed.
//  2. It creates the resources that are new and changes those that differ; the
//     others are not touched. Queues keep their messages, tables their items,
//     and mappings what a person has changed of them.
//  3. It removes what the templates no longer have: a mapping ends after the
//     batch in flight, then go its function, rule and queues. Tables stay.
//
// If a resource is refused in step 2, those before it are put back, and the
// error names it. Update must not be called during or after Close.
func (e *Environment) Update(ctx context.Context, snapshot *snapshots.Snapshot) (Changes, error) {
	e.updating.Lock()
	defer e.updating.Unlock()
	if is := e.config.Snapshot; snapshot.App != is.App || snapshot.Env != is.Env {
		return Changes{}, fmt.Errorf("the environment that runs is %s-%s, and the new templates are those of %s-%s: restart to run these", is.App, is.Env, snapshot.App, snapshot.Env)
	}
	templates, err := e.parse(snapshot)
	if err != nil {
		return Changes{}, err
	}
	built, err := e.build(ctx, snapshot)
	if err != nil {
		return Changes{}, err
	}
	before, programsBefore := e.deployed(), e.programs
	e.programs = built
	after, err := cloudformation.Update(ctx, e.pseudo(), e.types(), before, templates...)
	if err != nil {
		e.programs = programsBefore
		return Changes{}, errors.Join(err, e.restore(context.WithoutCancel(ctx), before, after))
	}
	e.templates = templates
	e.setDeployed(after)
	changes := difference(before, after)
	if changes.Swapped, err = e.swap(); err != nil {
		return changes, err
	}
	return changes, e.retire(ctx)
}

// restore undoes an update that failed when it had deployed the stacks partial.
func (e *Environment) restore(ctx context.Context, before, partial []cloudformation.Stack) error {
	// What the update has not reached may have been changed by half: it is not
	// in now, and is deployed again.
	reached := func(s cloudformation.Stack) bool {
		return slices.ContainsFunc(partial, func(p cloudformation.Stack) bool { return p.Name == s.Name })
	}
	now := slices.Concat(partial, slices.DeleteFunc(slices.Clone(before), reached))
	restored, err := cloudformation.Update(ctx, e.pseudo(), e.types(), now, e.templates...)
	if err != nil {
		return fmt.Errorf("and what it had changed could not be put back: %w", err)
	}
	e.setDeployed(restored)
	for _, stack := range slices.Backward(partial) {
		for _, r := range slices.Backward(stack.Resources) {
			if find(restored, r) == nil {
				if err := e.remove(ctx, remember(r)); err != nil {
					return fmt.Errorf("and %s, which it had created, could not be removed: %w", r, err)
				}
			}
		}
	}
	return nil
}

// find returns the resource of the same type and physical id.
func find(stacks []cloudformation.Stack, r cloudformation.Deployed) *cloudformation.Deployed {
	for _, stack := range stacks {
		for i, one := range stack.Resources {
			if one.Type == r.Type && one.Ref == r.Ref {
				return &stack.Resources[i]
			}
		}
	}
	return nil
}

// staysForGood are the types that retire leaves where they are.
var staysForGood = []string{"AWS::DynamoDB::Table", "AWS::Logs::LogGroup"}

func difference(before, after []cloudformation.Stack) Changes {
	var c Changes
	for _, stack := range after {
		for _, r := range stack.Resources {
			old := find(before, r)
			switch {
			case old == nil:
				c.Created = append(c.Created, change(r))
			case !reflect.DeepEqual(old.Properties, r.Properties) || !reflect.DeepEqual(old.Metadata, r.Metadata):
				c.Changed = append(c.Changed, change(r))
			}
		}
	}
	for _, stack := range before {
		for _, r := range stack.Resources {
			if find(after, r) == nil && r.DeletionPolicy != "Retain" && !slices.Contains(staysForGood, r.Type) {
				c.Removed = append(c.Removed, change(r))
			}
		}
	}
	return c
}

func change(r cloudformation.Deployed) Change {
	switch r.Type {
	case "AWS::Lambda::EventSourceMapping":
		return Change{r.Type, sourceName(str(r.Properties["EventSourceArn"]))}
	case "AWS::Events::Rule":
		return Change{r.Type, str(r.Properties["Name"])}
	case "AWS::SQS::Queue":
		return Change{r.Type, path.Base(r.Ref)}
	}
	return Change{r.Type, cmp.Or(r.Ref, r.LogicalID)}
}
