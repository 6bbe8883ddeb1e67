package cloudformation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
)

// cloud is a service whose things have a custom name, a size, and a kind that
// cannot change; and others that have no name.
type cloud struct {
	things  map[string]string // the size, by name
	log     []string          // what was done
	refused string            // the size that is refused
}

type thing struct {
	Name, Size, Kind, Of string
	Protected            bool
}

func newCloud() *cloud { return &cloud{things: map[string]string{}} }

func (c *cloud) types() cloudformation.Types {
	put := func(_ context.Context, r cloudformation.Resource, p thing) (cloudformation.Attributes, error) {
		name := p.Name
		if name == "" {
			name = r.LogicalID
		}
		verb := "change"
		if _, ok := c.things[name]; !ok {
			verb = "create"
		}
		if r.Unchanged {
			verb = "keep"
		}
		c.log = append(c.log, fmt.Sprintf("%s %s", verb, name))
		c.things[name] = p.Size // half done, if it is refused now
		if p.Size == c.refused && p.Size != "" {
			return cloudformation.Attributes{}, errors.New("size refused")
		}
		return cloudformation.Attributes{Ref: name, Att: map[string]string{"Arn": "arn:" + name}}, nil
	}
	remove := cloudformation.RemovedBy(func(_ context.Context, r cloudformation.Resource, p thing) (string, error) {
		name := p.Name
		if name == "" {
			name = r.LogicalID
		}
		c.log = append(c.log, "remove "+name)
		delete(c.things, name)
		return "its contents", nil
	})
	return cloudformation.Types{
		"Named": cloudformation.Provide(put, cloudformation.Named("Name"), cloudformation.ReplacedBy("Kind"),
			cloudformation.ProtectedBy("Protected"), remove),
		"Unnamed": cloudformation.Provide(put, cloudformation.ReplacedBy("Kind"), remove),
		"Link":    cloudformation.Provide(put, cloudformation.IdentifiedBy("Of"), cloudformation.ReplacedBy("Kind"), remove),
	}
}

func (c *cloud) state() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.things)) {
		out = append(out, name+"="+c.things[name])
	}
	return strings.Join(out, " ")
}

// done returns what was done since it was asked last.
func (c *cloud) done() string {
	out := strings.Join(c.log, ", ")
	c.log = nil
	return out
}

func (c *cloud) deploy(t *testing.T, resources string) []cloudformation.Stack {
	t.Helper()
	stacks, err := cloudformation.Deploy(t.Context(), environment, c.types(), nil, stackOf(t, resources))
	if err != nil {
		t.Fatal(err)
	}
	c.done()
	return stacks
}

// update updates and then removes what is obsolete.
func (c *cloud) update(t *testing.T, before []cloudformation.Stack, resources string) ([]cloudformation.Stack, error) {
	t.Helper()
	after, err := cloudformation.Update(t.Context(), environment, c.types(), before, stackOf(t, resources))
	if err == nil {
		for _, o := range c.types().Obsolete(cloudformation.Resources(before), after) {
			if o.Retained {
				c.log = append(c.log, "retain "+c.types().PhysicalName(o.Resource))
			} else if _, err := c.types().Remove(t.Context(), o.Resource); err != nil {
				t.Fatal(err)
			}
		}
	}
	return after, err
}

func stackOf(t *testing.T, resources string) *cloudformation.Template {
	t.Helper()
	return parse(t, "shop", `{"Resources": {`+resources+`}}`)
}

// a and b are a thing and one that refers to it.
const (
	a = `"A": {"Type": "Named", "Properties": {"Name": "a", "Size": "1"}}`
	b = `"B": {"Type": "Unnamed", "Properties": {"Size": "1", "Kind": {"Ref": "A"}}}`
)

func TestAnUpdate(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		done, state   string
	}{
		"touches nothing that is as before": {a + "," + b, b + "," + a, "", "B=1 a=1"},
		"changes what differs in place": {a + "," + b, `"A": {"Type": "Named", "Properties": {"Name": "a", "Size": "2"}},` + b,
			"change a", "B=1 a=2"},
		"creates what is new": {a, a + "," + b, "create B", "B=1 a=1"},
		"removes what is gone, the last created first": {a + "," + b + `,"D": {"Type": "Unnamed"}`, `"D": {"Type": "Unnamed"}`,
			"remove B, remove a", "D="},
		"replaces what has another name, after what refers to it has changed": {a + "," + b, `"A": {"Type": "Named", "Properties": {"Name": "z", "Size": "1"}},` + b,
			"create z, change B, remove a", "B=1 z=1"},
		"changes an unnamed one in place, even if AWS would replace it": {b + "," + a, `"B": {"Type": "Unnamed", "Properties": {"Size": "1", "Kind": "k"}},` + a,
			"change B", "B=1 a=1"},
		"keeps what its DeletionPolicy retains": {`"A": {"Type": "Named", "Properties": {"Name": "a"}, "DeletionPolicy": "Retain"},` + b,
			`"B": {"Type": "Unnamed", "Properties": {"Size": "1", "Kind": "a"}}`, "retain a", "B=1 a="},
		"keeps what RetainExceptOnCreate retains": {`"A": {"Type": "Named", "Properties": {"Name": "a"}, "DeletionPolicy": "RetainExceptOnCreate"}, "D": {"Type": "Unnamed"}`,
			`"D": {"Type": "Unnamed"}`, "retain a", "D= a="},
		"keeps what is replaced if the UpdateReplacePolicy says so": {a, `"A": {"Type": "Named", "Properties": {"Name": "z"}, "UpdateReplacePolicy": "Retain"}`,
			"create z, retain a", "a=1 z="},
		"removes what is replaced in spite of its DeletionPolicy": {`"A": {"Type": "Named", "Properties": {"Name": "a"}, "DeletionPolicy": "Retain"}`, `"A": {"Type": "Named", "Properties": {"Name": "z"}, "DeletionPolicy": "Retain"}`,
			"create z, remove a", "z="},
		"takes a changed policy over": {`"A": {"Type": "Named", "Properties": {"Name": "a"}, "DeletionPolicy": "Retain"}`, `"A": {"Type": "Named", "Properties": {"Name": "a"}}`,
			"", "a="},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud()
			before := cloud.deploy(t, c.before)
			if _, err := cloud.update(t, before, c.after); err != nil {
				t.Fatal(err)
			}
			if done := cloud.done(); done != c.done || cloud.state() != c.state {
				t.Errorf("done: %s\nwant: %s\nstate: %s\nwant:  %s", done, c.done, cloud.state(), c.state)
			}
		})
	}
}

func TestAnUpdateThatCloudFormationRefusesChangesNothing(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"replacing what keeps its name": {a + "," + b, b + `,"A": {"Type": "Named", "Properties": {"Name": "a", "Size": "2", "Kind": "other"}}`,
			`Named "A" (stack shop): CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename a and update the stack again (what requires it: a change of Kind)`},
		"replacing what something else replaced requires": {
			a + `, "C": {"Type": "Named", "Properties": {"Name": "c", "Kind": {"Ref": "A"}}}`,
			`"A": {"Type": "Named", "Properties": {"Name": "z"}}, "C": {"Type": "Named", "Properties": {"Name": "c", "Kind": {"Ref": "A"}}}`,
			`Named "C" (stack shop): CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename c and update the stack again (what requires it: a change of Kind)`},
		"replacing a link that there can be one of": {
			`"L": {"Type": "Link", "Properties": {"Of": "x", "Kind": "1"}}`, `"L": {"Type": "Link", "Properties": {"Of": "x", "Kind": "2"}}`,
			`Link "L" (stack shop): a change of Kind requires another one in its place, and that already exists: remove it in one update and add it in the next`},
		"another type under a logical id": {a, `"A": {"Type": "Unnamed"}`,
			`Unnamed "A" (stack shop): Update of resource type is not permitted. The new template modifies resource type of the following resources: [A] (it is Named: give the new one another logical id)`},
		"another logical id": {a, `"Z": {"Type": "Named", "Properties": {"Name": "a", "Size": "1"}}`,
			`Named "Z" (stack shop): a already exists in stack shop, as "A": CloudFormation does not move a resource (rename it, or remove it in one update and add it in the next)`},
		"removing what is protected": {`"A": {"Type": "Named", "Properties": {"Name": "a", "Protected": true}},` + `"D": {"Type": "Unnamed"}`, `"D": {"Type": "Unnamed", "Properties": {"Size": "2"}}`,
			`Named "A" (stack shop): a has Protected and cannot be removed: deploy it with Protected false first, or with the DeletionPolicy Retain to keep it`},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud()
			before := cloud.deploy(t, c.before)
			state := cloud.state()
			after, err := cloud.update(t, before, c.after)
			wantError(t, err, c.want)
			if done := cloud.done(); done != "" || cloud.state() != state || len(after) != 1 {
				t.Errorf("done: %s", done)
			}
			_, err = cloudformation.Deploy(t.Context(), environment, cloud.types(), stored(t, before), stackOf(t, c.after))
			wantError(t, err, c.want) // and so at a start
		})
	}
}

func TestAnUpdateThatFailsIsRolledBack(t *testing.T) {
	const failing = `"A": {"Type": "Named", "Properties": {"Name": "a", "Size": "2"}},
		"N": {"Type": "Unnamed", "DeletionPolicy": "RetainExceptOnCreate"},
		"R": {"Type": "Unnamed", "DeletionPolicy": "Retain"},
		"C": {"Type": "Named", "Properties": {"Name": "z"}},
		"B": {"Type": "Unnamed", "Properties": {"Size": "too much", "Kind": {"Ref": "A"}}}`
	cloud := newCloud()
	before := cloud.deploy(t, a+","+b+`, "C": {"Type": "Named", "Properties": {"Name": "c"}}`)
	cloud.refused = "too much"
	after, err := cloud.update(t, before, failing)
	wantError(t, err, `creating Unnamed "B" (stack shop): size refused`)
	if got, want := cloud.done(), "change a, create N, create R, create z, change B, change a, change B, change c, remove z, remove N"; got != want {
		t.Errorf("done: %s\nwant: %s", got, want)
	}
	if got, want := cloud.state(), "B=1 R= a=1 c="; got != want {
		t.Errorf("state: %s\nwant:  %s", got, want)
	}
	if _, err := cloud.update(t, after, a+","+b+`, "C": {"Type": "Named", "Properties": {"Name": "c"}}`); err != nil || cloud.done() != "" {
		t.Errorf("the same templates again: %v", err)
	}
}

func TestARollbackThatFailsTellsBothErrors(t *testing.T) {
	cloud := newCloud()
	before := cloud.deploy(t, a+`, "C": {"Type": "Named", "Properties": {"Name": "c"}}`)
	cloud.refused = "1" // the size that A had, from now on
	_, err := cloud.update(t, before, `"A": {"Type": "Named", "Properties": {"Name": "a", "Size": "2"}}, "C": {"Type": "Named", "Properties": {"Name": "c", "Size": "1"}}`)
	wantError(t, err, "creating Named \"C\" (stack shop): size refused\nand what had changed could not be put back: creating Named \"A\" (stack shop): size refused")
}

func TestADeploymentOverWhatAnEarlierRunHasLeftTellsWhatIsUnchangedAndWhatIsNew(t *testing.T) {
	cloud := newCloud()
	before := stored(t, cloud.deploy(t, a+","+b))
	env := environment
	var creating []string
	env.Creating = func(r cloudformation.Resource) error {
		creating = append(creating, r.LogicalID)
		return nil
	}
	if _, err := cloudformation.Deploy(t.Context(), env, cloud.types(), before, stackOf(t, a+`,"B": {"Type": "Unnamed"}, "C": {"Type": "Unnamed"}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := cloud.done(), "keep a, change B, create C"; got != want || !slices.Equal(creating, []string{"C"}) {
		t.Errorf("done: %s, want %s; told of %q", got, want, creating)
	}
}

// stored returns the resources of stacks as they are when they come back from JSON.
func stored(t *testing.T, stacks []cloudformation.Stack) (out []cloudformation.Deployed) {
	t.Helper()
	text, err := json.Marshal(cloudformation.Resources(stacks))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
