package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/programs"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// Changes are what an update has done.
type Changes struct {
	Created, Changed, Removed []Change
	// Retained are resources that the templates no longer have, and that stay
	// because of their DeletionPolicy or UpdateReplacePolicy. Nothing refers to
	// them any more; a template that names one again takes it over.
	Retained []Change
	// Swapped are the short names of functions that have another program, or
	// other files beside it.
	Swapped []string
}

// None reports whether nothing has changed.
func (c Changes) None() bool {
	return len(c.Created)+len(c.Changed)+len(c.Removed)+len(c.Retained)+len(c.Swapped) == 0
}

// Change is a resource that an update has created, changed, removed or left.
type Change struct {
	Type string // like AWS::SQS::Queue
	Name string // the physical name; of a mapping, that of its source
	Lost string // what else went when it was removed, like "12 items"; empty: nothing
}

// BuildTags are the build tags of the functions' programs.
const BuildTags = programs.Tags

// Packages returns the packages of the functions' programs, sorted, as the go
// command takes them in the project's root: ./functions/withdrawal-fee, or an
// import path.
func (e *Environment) Packages() []string {
	e.updating.Lock()
	defer e.updating.Unlock()
	return slices.Sorted(maps.Keys(e.code.programs))
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
		if e.code.programs[p] == "" {
			return nil, fmt.Errorf("package %s is not that of a function (there are %q)", p, slices.Sorted(maps.Keys(e.code.programs)))
		}
	}
	built, err := programs.Build(ctx, e.config.Root, e.programsDir(), packages)
	if err != nil {
		return nil, err
	}
	maps.Copy(e.code.programs, built)
	return e.swap()
}

// swap gives every deployed function its program of e.code, and returns the short
// names of those that had another, or other files.
func (e *Environment) swap() ([]string, error) {
	var swapped []string
	for r := range e.resources("AWS::Lambda::Function") {
		program, folder := e.code.of(r.Metadata)
		changed, err := e.lambda.UpdateCode(r.Ref, program, folder)
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

// Update makes the environment what another snapshot of it says, while it runs,
// as CloudFormation does when it updates stacks:
//
//  1. It checks the templates, refuses what CloudFormation would refuse, and
//     builds the programs that they name. An error means that nothing has
//     changed.
//  2. It creates the resources that are new and changes those that differ; the
//     others are not touched. Queues keep their messages, tables their items,
//     and mappings what a person has changed of them, unless the templates
//     change the same.
//  3. It removes what the templates no longer have, or have replaced, with its
//     messages or items, unless its DeletionPolicy or UpdateReplacePolicy says
//     Retain: a mapping ends after the batch in flight, then go its function,
//     rule and queues.
//
// If a resource is refused in step 2, everything is rolled back, and the error
// names it. Update must not be called during or after Close.
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
	before, codeBefore := e.deployed(), e.code
	e.code = built
	after, err := cloudformation.Update(ctx, e.target(), e.types(), before, templates...)
	e.setDeployed(after)
	was := earlier{deployed: cloudformation.Resources(before)}
	if err != nil {
		e.code = codeBefore
		_, _, settled := e.settle(context.WithoutCancel(ctx), was, after)
		return Changes{}, errors.Join(err, settled)
	}
	changes := e.difference(was.deployed, after)
	if changes.Swapped, err = e.swap(); err != nil {
		return changes, err
	}
	changes.Removed, changes.Retained, err = e.settle(ctx, was, after)
	return changes, err
}

// Started is what the start has changed of what an earlier run had left in the
// data directory; on an empty one, everything is created.
func (e *Environment) Started() Changes { return e.started }

// difference says what was created and what was changed.
func (e *Environment) difference(before []cloudformation.Deployed, after []cloudformation.Stack) Changes {
	types := e.types()
	var c Changes
	for _, r := range cloudformation.Resources(after) {
		switch old := types.Find(before, r.Resource); {
		case old == nil:
			c.Created = append(c.Created, e.change(r.Resource))
		case !old.Same(r.Resource):
			c.Changed = append(c.Changed, e.change(r.Resource))
		}
	}
	return c
}

func (e *Environment) change(r cloudformation.Resource) Change {
	if r.Type == "AWS::Lambda::EventSourceMapping" {
		return Change{Type: r.Type, Name: lambda.SourceName(str(r.Properties["EventSourceArn"]))}
	}
	return Change{Type: r.Type, Name: e.types().PhysicalName(r)}
}
