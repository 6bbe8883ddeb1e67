package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// What is deployed is kept in the store, so that the next start finds out, as an
// update does, what differs. A deployment goes through these states there:
//
//  1. deployed: what the last deployment came to.
//  2. created: each resource that a deployment is about to create, before it
//     does. They are on disk with whatever the service commits next.
//  3. deployed again, and obsolete: what must be removed now. Both are written
//     at once, and created is empty again: here the deployment has happened.
//  4. When everything obsolete is removed, that is empty again, too.
//
// After a death in state 2, the next start either takes over what was created or
// finds it obsolete; after one in state 3, it removes the rest.

func deployedKey() store.Key { return store.NewKey("local.deployed") }
func createdKey() store.Key  { return store.NewKey("local.created") }
func obsoleteKey() store.Key { return store.NewKey("local.obsolete") }

// earlier are the resources that an earlier run has left.
type earlier struct {
	deployed []cloudformation.Deployed
	// rest are those of a deployment that was cut off: created and deployed by
	// none, or to be removed.
	rest []cloudformation.Deployed
}

// recall reads what an earlier run has left.
func (e *Environment) recall() (earlier, error) {
	var out earlier
	if err := e.recallList(deployedKey(), &out.deployed); err != nil {
		return out, err
	}
	if err := e.recallList(obsoleteKey(), &out.rest); err != nil {
		return out, err
	}
	for entry, err := range e.store.Scan(store.Prefix(createdKey())) {
		if err != nil {
			return out, err
		}
		var r cloudformation.Deployed
		if err := json.Unmarshal(entry.Value, &r); err != nil {
			return out, fmt.Errorf("what a deployment that was cut off has created: %w", err)
		}
		// Its policies are of no account: it was never deployed.
		r.DeletionPolicy = ""
		out.rest = append(out.rest, r)
	}
	return out, nil
}

func (e *Environment) recallList(key store.Key, into *[]cloudformation.Deployed) error {
	value, ok, err := e.store.Get(key)
	if err != nil || !ok {
		return err
	}
	if err := json.Unmarshal(value, into); err != nil {
		return fmt.Errorf("what an earlier run has deployed: %w", err)
	}
	return nil
}

// creating remembers a resource that is about to be created.
func (e *Environment) creating(r cloudformation.Resource) error {
	value, err := json.Marshal(cloudformation.Deployed{Resource: r})
	if err != nil {
		return err
	}
	e.created++
	b := e.store.NewBatch()
	b.Set(createdKey().Uint(e.created), value)
	return b.CommitLater()
}

// settle makes a deployment the one that holds: it remembers what is deployed
// now, and removes what was there before and is in no template any more, but for
// what its policy retains. It returns what became of those.
func (e *Environment) settle(ctx context.Context, before earlier, stacks []cloudformation.Stack) (removed, retained []Change, err error) {
	types := e.types()
	was := append(slices.Clone(before.deployed), before.rest...)
	var doomed []cloudformation.Deployed
	for _, o := range types.Obsolete(was, stacks) {
		if o.Retained {
			retained = append(retained, e.change(o.Resource))
			continue
		}
		doomed = append(doomed, cloudformation.Deployed{Resource: o.Resource})
	}
	b := e.store.NewBatch()
	b.DeleteRange(createdKey(), createdKey().After())
	err = errors.Join(setList(b, deployedKey(), cloudformation.Resources(stacks)), setList(b, obsoleteKey(), doomed))
	if err != nil {
		b.Discard()
		return nil, nil, err
	}
	if err := b.Commit(); err != nil || len(doomed) == 0 {
		return nil, retained, err
	}
	var faults []error
	var left []cloudformation.Deployed
	for _, r := range doomed {
		lost, err := types.Remove(ctx, r.Resource)
		if err != nil {
			faults, left = append(faults, err), append(left, r)
			continue
		}
		change := e.change(r.Resource)
		change.Lost = lost
		removed = append(removed, change)
	}
	b = e.store.NewBatch()
	if err := setList(b, obsoleteKey(), left); err != nil {
		b.Discard()
		return removed, retained, err
	}
	return removed, retained, errors.Join(append(faults, b.Commit())...)
}

func setList(b *store.Batch, key store.Key, list []cloudformation.Deployed) error {
	if len(list) == 0 {
		b.Delete(key)
		return nil
	}
	value, err := json.Marshal(list)
	if err != nil {
		return err
	}
	b.Set(key, value)
	return nil
}
