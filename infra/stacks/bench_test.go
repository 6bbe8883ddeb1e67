package stacks_test

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/stacks"
)

// functions is a project with n of them, each of one subscription.
func functions(n int) fs.FS {
	project := fstest.MapFS{"schemas/savings/SAVINGS_WITHDRAWAL.schema.json": {Data: []byte(`{"type": "object"}`)}}
	for i := range n {
		name := fmt.Sprintf("f%d", i)
		project["functions/"+name+"/function.json"] = &fstest.MapFile{Data: []byte(fmt.Sprintf(
			`{"name": %q, "publishes": ["savings/SAVINGS_WITHDRAWAL"], "allowLoop": true, "subscriptions": [{"name": "s", "event": "savings/SAVINGS_WITHDRAWAL"}]}`, name))}
	}
	return project
}

// BenchmarkSynth is what a synthesis takes by the number of functions, without
// the compiler and the start of Node. It grows as they do.
func BenchmarkSynth(b *testing.B) {
	env := manifest.Environment{Name: "dev", LogRetentionDays: 7, Quotas: manifest.Quotas{Concurrency: 10_000, RulesPerBus: 1000}}
	needsNode(b)
	newApp(b) // starts Node
	for _, n := range []int{20, 100, 300} {
		b.Run(fmt.Sprintf("functions=%d", n), func(b *testing.B) {
			project := functions(n)
			for b.Loop() {
				app := newApp(b)
				stacks.New(app, &stacks.Props{Root: project, Env: env, Build: noProgram(b)}).Synth()
			}
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/float64(n), "ms/function")
		})
	}
}
