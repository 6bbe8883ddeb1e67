package scenarios

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// The transcripts that are kept are those of the local environment: a file a
// service, one section a scenario.
//
//go:embed testdata/*.txt
var kept embed.FS

// Kept returns the transcript of a scenario that is kept, which any place should
// answer with.
func (s Scenario) Kept() (Transcript, error) {
	file := "testdata/" + s.Service + ".txt"
	text, err := kept.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, f := range txtar.Parse(text).Files {
		if f.Name != s.Name {
			continue
		}
		var out Transcript
		for line := range strings.Lines(string(f.Data)) {
			path, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			out = append(out, Line{Path: path, Value: value})
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s has no scenario %q", file, s.Name)
}

// NeedsStack says whether the scenario uses what is in the stack of [Template].
func (s Scenario) NeedsStack() bool {
	return slices.Contains([]string{"dynamodb", "lambda", "logs", "cloudformation"}, s.Service)
}
