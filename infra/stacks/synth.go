package stacks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// Synth writes the templates, as the CDK's own Synth does, and then looks at
// them, those of an adopter's own resources included:
//
//   - On stderr it says, a line each, how near every quota is, and what becomes
//     of deleted subscriptions.
//   - A quota that is exceeded is an error.
//   - So is a queue, table, bus or archive that the environment's snapshot has
//     and the templates have no longer, unless it is allowed by name:
//     `-c allowRemoval=NAME,NAME`. An environment on this machine, and one
//     without a snapshot, is not asked.
//
// It panics with the error; the CDK's command then does nothing.
func (s *Stacks) Synth() {
	p := s.project
	p.app.Synth(nil)
	synthesized := &snapshots.Snapshot{}
	if err := synthesized.ReadAssembly(*p.app.Outdir()); err != nil {
		panic(err)
	}
	for _, line := range s.tombstones() {
		fmt.Fprintln(os.Stderr, line)
	}
	usage, err := quotasOf(p.names, p.props.Env, synthesized.Templates)
	if err != nil {
		panic(err)
	}
	var faults []error
	for _, u := range usage {
		fmt.Fprintln(os.Stderr, u)
		faults = append(faults, u.exceeded())
	}
	if err := errors.Join(append(faults, s.checkRemovals(synthesized))...); err != nil {
		panic(err)
	}
}

// checkRemovals compares with what is deployed, as far as the project knows: the
// environment's snapshot.
func (s *Stacks) checkRemovals(synthesized *snapshots.Snapshot) error {
	p := s.project
	if p.props.Env.Endpoint != "" {
		return nil
	}
	deployed, err := snapshots.Load(p.props.Root, p.names.Env)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	allowed := manifest.EndedQueues(s.manifests(), p.names, p.now)
	if names, ok := p.app.Node().TryGetContext(jsii.String(snapshots.AllowRemovalContext)).(string); ok {
		allowed = append(allowed, strings.Split(names, ",")...)
	}
	return snapshots.CheckRemovals(deployed.Templates, synthesized.Templates, allowed)
}

// tombstones says what becomes of deleted subscriptions.
func (s *Stacks) tombstones() []string {
	const day = "2006-01-02 15:04 MST"
	var lines []string
	for _, m := range s.manifests() {
		for _, t := range m.Deleted(s.project.now) {
			lines = append(lines, fmt.Sprintf("subscription %s of %s is deleted: its queue collects events until %s", t.Name, m.Name, t.Ends().Format(day)))
		}
		for _, t := range m.Ended(s.project.now) {
			lines = append(lines, fmt.Sprintf("subscription %s of %s was deleted, and its time ended %s: its queue goes, and the tombstone can go from %s/function.json",
				t.Name, m.Name, t.Ends().Format(day), m.Dir))
		}
	}
	return lines
}
