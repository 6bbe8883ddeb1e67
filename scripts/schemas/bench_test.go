package schemas_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkFiles runs a generator of many event types from nothing: in ten
// sources, each type with an enum, a nested struct and ten fields. What the
// compiler takes is not counted.
func BenchmarkFiles(b *testing.B) {
	for _, n := range []int{50, 500, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			newModule(b, dir)
			const sources = 10
			var imports, describes strings.Builder
			for s := range sources {
				var source strings.Builder
				fmt.Fprintf(&source, "package s%d\n\nimport (\n\t\"time\"\n\n\t\"github.com/penstock-dev/penstock/events\"\n)\n", s)
				for i := range n / sources {
					source.WriteString(strings.ReplaceAll(benchmarkType, "#", fmt.Sprint(i)))
					fmt.Fprintf(&source, "\nfunc (Event%d) EventType() events.Type { return events.Type{Source: \"s%d\", Name: \"EVENT_%d\"} }\n", i, s, i)
					fmt.Fprintf(&describes, "\tevents.Describe[s%d.Event%d](),\n", s, i)
				}
				write(b, filepath.Join(dir, fmt.Sprint("s", s), "s.go"), []byte(source.String()))
				fmt.Fprintf(&imports, "\t\"example.com/app/s%d\"\n", s)
			}
			write(b, filepath.Join(dir, "main.go"), []byte(strings.NewReplacer("IMPORTS", imports.String(), "DESCRIBES", describes.String()).Replace(benchmarkMain)))
			run(b, dir, "go", "build", "-o", "generate", ".")
			for b.Loop() {
				if out := run(b, dir, "./generate"); out != "" {
					b.Fatal(out)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/type")
		})
	}
}

const benchmarkType = `
// Kind# is an enum.
type Kind# string

const (
	// KindA# is the first.
	KindA# Kind# = "A"
	// KindB# is the second.
	KindB# Kind# = "B"
)

// Part# is a part of an event.
type Part# struct {
	// Name is a name.
	Name string ` + "`json:\"name\"`" + `
	// Count is a count.
	Count int ` + "`json:\"count\" jsonschema:\"minimum=0\"`" + `
}

// Event#: something happened.
type Event# struct {
	// ID names it.
	ID string ` + "`json:\"id\"`" + `
	// At is when.
	At time.Time ` + "`json:\"at\"`" + `
	// Kind is which.
	Kind Kind# ` + "`json:\"kind\"`" + `
	// Amount is how much.
	Amount float64 ` + "`json:\"amount\" jsonschema:\"exclusiveMinimum=0\"`" + `
	// Done says whether.
	Done bool ` + "`json:\"done\"`" + `
	// Note is optional.
	Note string ` + "`json:\"note,omitempty\"`" + `
	// Limit may be null.
	Limit *int ` + "`json:\"limit\"`" + `
	// Part is one.
	Part Part# ` + "`json:\"part\"`" + `
	// Parts are many.
	Parts []Part# ` + "`json:\"parts\"`" + `
	// Labels are by name.
	Labels map[string]string ` + "`json:\"labels\"`" + `
}

func (Event#) Schema() events.Event {
	limit := 1
	return Event#{"1", time.Unix(0, 0).UTC(), KindA#, 1, true, "n", &limit, Part#{"a", 1}, []Part#{{"b", 2}}, map[string]string{"a": "b"}}
}
`

const benchmarkMain = `package main

import (
	"fmt"
	"os"

IMPORTS
	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/scripts/schemas"
)

var all = events.NewCatalogue(
DESCRIBES)

func main() {
	if err := os.RemoveAll("schemas"); err != nil {
		fmt.Println(err)
	}
	if err := schemas.Write(".", all); err != nil {
		fmt.Println(err)
	}
}
`
