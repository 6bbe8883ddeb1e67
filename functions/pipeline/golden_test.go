package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A golden file under testdata has blocks of lines, with a blank line between
// two. A block is what runs, then documents, each followed by what becomes of
// it:
//
//	# what the case is about
//	pipeline: [{"set": {"b": {"$add": ["$a", 1]}}}]
//	in: {"a": 1}
//	out: {"a":1,"b":2}
//	in: {"a": "x"}
//	dead: pipeline[0].set: b.$add: …
//
// Besides out there are "discarded" and "dead" (the stage and the reason). With
// "expression" in the place of a pipeline, the result is the expression's
// "value", which may be missing. With "query" it is "match" or "no match".
// What is not accepted has a "fault" for each thing that is wrong. A line that
// begins with a space continues the one before it. The "page" of a file names
// the page of MongoDB's documentation that tells what is right.
type golden struct {
	file, about string
	line        int
	kind, text  string
	faults      []string
	runs        []goldenRun
}

type goldenRun struct{ in, kind, want string }

func readGolden(t testing.TB, file string) []golden {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	about, in := "", ""
	open := false
	for n, line := range strings.Split(strings.ReplaceAll(string(data), "\n ", " "), "\n") {
		key, rest, _ := strings.Cut(line, ":")
		rest = strings.TrimSpace(rest)
		switch {
		case line == "":
			open = false
		case strings.HasPrefix(line, "#"):
			about = strings.TrimSpace(line[1:])
		case key == "page":
		case key == "pipeline" || key == "expression" || key == "query":
			cases = append(cases, golden{file: filepath.Base(file), about: about, line: n + 1, kind: key, text: rest})
			open = true
		case !open:
			t.Fatalf("%s:%d: %q is in no case", file, n+1, line)
		case key == "fault":
			c := &cases[len(cases)-1]
			c.faults = append(c.faults, rest)
		case key == "in":
			in = rest
		case key == "out" || key == "value" || key == "dead" || key == "discarded" || key == "match" || key == "no match":
			c := &cases[len(cases)-1]
			c.runs = append(c.runs, goldenRun{in, key, rest})
		default:
			t.Fatalf("%s:%d: unknown line %q", file, n+1, line)
		}
	}
	return cases
}

func (c golden) stages() string {
	switch c.kind {
	case "expression":
		return `[{"replaceRoot": {"newRoot": {"value": ` + c.text + `}}}]`
	case "query":
		return `[{"match": ` + c.text + `}]`
	}
	return c.text
}

func TestLanguage(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	count := 0
	for _, file := range files {
		for _, c := range readGolden(t, file) {
			count += len(c.faults) + len(c.runs)
			t.Run(c.file+"/"+c.about, func(t *testing.T) { c.check(t) })
		}
	}
	t.Logf("%d cases", count)
}

// compact takes the spaces out of JSON: what nobody touches comes out as it was
// written.
func compact(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		return text
	}
	return b.String()
}

func (c golden) check(t *testing.T) {
	stages := compact(c.stages())
	p, err := Parse([]byte(stages), nil)
	if err != nil || len(c.faults) > 0 {
		text := "none"
		if err != nil {
			text = strings.NewReplacer("replaceRoot.newRoot.value", "value", "pipeline[0].match.", "").Replace(err.Error())
			if c.kind == "pipeline" {
				text = err.Error()
			}
		}
		if want := strings.Join(c.faults, "\n"); text != want {
			t.Errorf("%s:%d: %s %s\nfaults\n%s\nwant\n%s", c.file, c.line, c.kind, c.text, text, want)
		}
		return
	}
	if len(c.runs) == 0 {
		t.Fatalf("%s:%d: there is nothing to check", c.file, c.line)
	}
	for _, one := range c.runs {
		in := compact(cmp.Or(one.in, "{}"))
		r := p.Run(context.Background(), Document{JSON: []byte(in)}, Effects{})
		var kind, got string
		switch r.Outcome {
		case Passed:
			kind, got = "out", string(r.Document)
			if c.kind == "expression" {
				kind = "value"
				if got = strings.TrimSuffix(strings.TrimPrefix(got, `{"value":`), "}"); got == "{" {
					got = "missing"
				}
			}
			if c.kind == "query" {
				kind, got = "match", one.want
			}
		case Discarded:
			kind, got = "discarded", ""
			if c.kind == "query" {
				kind, got = "no match", one.want
			}
		case Dead:
			kind, got = "dead", r.DeadLetter.Reason
			if c.kind == "pipeline" {
				got = r.DeadLetter.Operator + ": " + got
			} else {
				got = strings.TrimPrefix(got, "newRoot.value.")
			}
		default:
			kind, got = string(r.Outcome), r.Err.Error()
		}
		if c.kind == "query" && (one.kind == "match" || one.kind == "no match") && one.in == "" {
			t.Fatalf("%s:%d: a query needs a document", c.file, c.line)
		}
		if kind != one.kind || got != one.want {
			t.Errorf("%s:%d: %s %s\nof  %s\nis  %s: %s\nnot %s: %s", c.file, c.line, c.kind, c.text, in, kind, got, one.kind, one.want)
		}
	}
}

// The package's documentation is where users look operators and stages up.
func TestTheDocumentationNamesEveryStageAndOperator(t *testing.T) {
	data, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune(" \t\n,;:()\"{}", r) })
	for _, name := range slices.Concat(operators, queryOperators, stageNames) {
		if !slices.Contains(words, name) {
			t.Errorf("doc.go says nothing of %s", name)
		}
	}
}

func TestEveryOperatorThatIsListedExists(t *testing.T) {
	for _, name := range operators {
		_, err := Parse([]byte(`[{"set": {"x": {"`+name+`": []}}}]`), nil)
		if err != nil && strings.Contains(err.Error(), "unknown operator") {
			t.Error(err)
		}
	}
	for _, name := range queryTests {
		_, err := Parse([]byte(`[{"match": {"x": {"`+name+`": "x"}}}]`), nil)
		if err != nil && strings.Contains(err.Error(), "unknown operator") {
			t.Error(err)
		}
	}
}
