package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Update deploys templates over stacks that Deploy or Update has returned, while they are at work ("Updating stacks"):
//
//  1. It checks the templates, and finds what CloudFormation would refuse. An error means that nothing has changed.
//  2. It goes through the templates as Deploy does. A resource whose type, properties and metadata are as before is not
//     touched; one that differs is changed in place, or, if another is needed in its place, that is created beside it.
//  3. If a resource fails, everything is rolled back: what differs is put back, and what was new is removed, but for what
//     its DeletionPolicy retains.
//
// What the templates no longer have, or have replaced, is not removed: see Types.Obsolete. The stacks returned are what
// there is now, with an error as well.
func Update(ctx context.Context, env Environment, types Types, before []Stack, templates ...*Template) ([]Stack, error) {
	old := Resources(before)
	if err := plan(env, types, old, templates); err != nil {
		return before, err
	}
	var tried []Resource // what was created or changed, or half so
	deploy := func(ctx context.Context, over []Deployed, templates []*Template) ([]Stack, error) {
		d := newDeployment(env, templates)
		existing := byID(over)
		d.provision = func(r Resource) (Attributes, error) {
			is, ok := existing[r.id()]
			if ok && is.Same(r) {
				return is.Attributes, nil
			}
			if err := d.creating(types, is, r, ok); err != nil {
				return Attributes{}, err
			}
			tried = append(tried, r)
			return types.create(ctx, r)
		}
		d.run(templates)
		return d.stacks, errors.Join(d.faults...)
	}
	after, err := deploy(ctx, old, templates)
	if err == nil {
		return after, nil
	}
	ctx = context.WithoutCancel(ctx)
	created := slices.Clone(tried)
	// What was reached is as the new templates say, the rest as the old ones do; what failed may be neither.
	now := slices.DeleteFunc(append(Resources(after), old...), func(r Deployed) bool {
		last := created[max(len(created)-1, 0):]
		return len(last) > 0 && r.id() == last[0].id()
	})
	var previous []*Template
	for _, s := range before {
		previous = append(previous, s.template)
	}
	restored, back := deploy(ctx, now, previous)
	if back != nil {
		return restored, fmt.Errorf("%w\nand what had changed could not be put back: %w", err, back)
	}
	is := types.identities(Resources(restored))
	for _, r := range slices.Backward(created) {
		if is[types.identity(r)] || r.DeletionPolicy == "Retain" {
			continue
		}
		if _, back := types.Remove(ctx, r); back != nil {
			return restored, fmt.Errorf("%w\nand what had been created could not be removed: %w", err, back)
		}
	}
	return restored, err
}

// Resources returns all resources of stacks, in the order in which they were created.
func Resources(stacks []Stack) []Deployed {
	var out []Deployed
	for _, s := range stacks {
		out = append(out, s.Resources...)
	}
	return out
}

// logical is where a resource stands in the templates.
type logical struct{ stack, id string }

func (r Resource) id() logical { return logical{r.Stack, r.LogicalID} }

// byID finds resources by where they stand; of several the first.
func byID(resources []Deployed) map[logical]Deployed {
	out := make(map[logical]Deployed, len(resources))
	for _, r := range slices.Backward(resources) {
		out[r.id()] = r
	}
	return out
}

func (types Types) identities(resources []Deployed) map[string]bool {
	out := make(map[string]bool, len(resources))
	for _, r := range resources {
		out[types.identity(r.Resource)] = true
	}
	return out
}

// plan goes through the deployment of templates over the resources that there are, without changing anything. The error
// joins everything that is wrong, not supported, or that CloudFormation would refuse to change or to remove.
func plan(env Environment, types Types, before []Deployed, templates []*Template) error {
	d := newDeployment(env, templates)
	d.checking = true
	existing := byID(before)
	owners := map[string]Resource{} // of the resources that there are
	for _, r := range before {
		owners[types.identity(r.Resource)] = r.Resource
	}
	d.provision = func(r Resource) (Attributes, error) {
		t, ok := types[r.Type]
		if !ok {
			return Attributes{}, fmt.Errorf("%s: resource type %s is not supported by the local environment", r, r.Type)
		}
		if err := t.check(r); err != nil {
			return Attributes{}, err
		}
		old, ok := existing[r.id()]
		if ok && old.Type != r.Type {
			return Attributes{}, fmt.Errorf("%s: Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s] (it is %s: give the new one another logical id)", r, r.LogicalID, old.Type)
		}
		if owner, taken := owners[types.identity(r)]; taken && owner.id() != r.id() {
			return Attributes{}, fmt.Errorf("%s: %s already exists in stack %s, as %q: CloudFormation does not move a resource (rename it, or remove it in one update and add it in the next)", r, types.PhysicalName(r), owner.Stack, owner.LogicalID)
		}
		if !ok {
			return Attributes{}, nil
		}
		same := types.identity(old.Resource) == types.identity(r)
		properties := t.replaced(old.Resource, r)
		name := r.Properties[t.name]
		switch {
		case len(properties) == 0:
		case name != nil && name == old.Properties[t.name]:
			return Attributes{}, fmt.Errorf("%s: CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and update the stack again (what requires it: a change of %s)", r, types.PhysicalName(r), strings.Join(properties, ", "))
		case same && t.identity != nil:
			return Attributes{}, fmt.Errorf("%s: a change of %s requires another one in its place, and that already exists: remove it in one update and add it in the next", r, strings.Join(properties, ", "))
		}
		if !same {
			return Attributes{}, nil // another one takes its place
		}
		return old.Attributes, nil
	}
	d.run(templates)
	for _, o := range types.Obsolete(before, d.stacks) {
		if t := types[o.Type]; !o.Retained && t.protected(o.Resource) {
			d.fail(fmt.Errorf("%s: %s has %s and cannot be removed: deploy it with %s false first, or with the DeletionPolicy Retain to keep it", o.Resource, types.PhysicalName(o.Resource), t.protection, t.protection))
		}
	}
	return errors.Join(d.faults...)
}

// Obsolete is a resource that templates no longer have, or have replaced by another.
type Obsolete struct {
	Resource
	Replaced bool
	Retained bool // by its DeletionPolicy, or the UpdateReplacePolicy of what takes its place
}

// Obsolete returns those of the resources that there were that are not in the stacks that there are now, in the order in
// which they are to be removed.
func (types Types) Obsolete(before []Deployed, after []Stack) []Obsolete {
	now := Resources(after)
	is, standing := types.identities(now), byID(now)
	var out []Obsolete
	for _, r := range slices.Backward(before) {
		if is[types.identity(r.Resource)] {
			continue
		}
		successor, replaced := standing[r.id()]
		policy := r.DeletionPolicy
		if replaced {
			policy = successor.UpdateReplacePolicy
		}
		out = append(out, Obsolete{r.Resource, replaced, policy == "Retain" || policy == "RetainExceptOnCreate"})
	}
	return out
}

// Remove removes a resource, and returns what else was lost with it, in words. One that is gone already, or of a type that
// is not supported any more, is not an error.
func (types Types) Remove(ctx context.Context, r Resource) (lost string, err error) {
	t := types[r.Type]
	if t.remove == nil {
		return "", nil
	}
	if lost, err = t.remove(ctx, r); err != nil {
		err = fmt.Errorf("removing %s: %w", r, err)
	}
	return lost, err
}
