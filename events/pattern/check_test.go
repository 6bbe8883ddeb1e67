package pattern_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/penstock-dev/penstock/events/pattern"
)

var update = flag.Bool("update", false, "write what the golden cases of Check expect anew")

// A file under testdata/check holds patterns, each followed by the faults that Check finds in it; without any it is right
// for the schema in the file of the same name.
func TestCheckFindsWhatAPatternAsksOfASchemaInVain(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden cases: %d files, error %v", len(files), err)
	}
	for _, file := range files {
		schema, err := os.ReadFile(strings.TrimSuffix(file, ".txt") + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for line := range strings.Lines(string(want)) {
			if strings.HasPrefix(line, "fault: ") {
				continue
			}
			got.WriteString(line)
			if text, ok := strings.CutPrefix(line, "pattern: "); ok {
				if err := parse(t, text).Check(schema); err != nil {
					for fault := range strings.Lines(err.Error()) {
						got.WriteString("fault: " + strings.TrimSuffix(fault, "\n") + "\n")
					}
				}
			}
		}
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if d := diff.Diff("expected", want, "got", got.Bytes()); d != nil {
			t.Errorf("%s\n%s", file, d)
		}
	}
}

func TestCheckRefusesWhatIsNoSchema(t *testing.T) {
	p := parse(t, `{"a": [1]}`)
	for _, schema := range []string{``, `[]`, `"x"`, `{"properties": {"a": 5}}`, `{`, strings.Repeat(`{"items":`, 300) + `{}` + strings.Repeat(`}`, 300)} {
		if err := p.Check([]byte(schema)); err == nil || !strings.HasPrefix(err.Error(), "schema: ") {
			t.Errorf("schema %.40s: got error %v", schema, err)
		}
	}
	for _, schema := range []string{`{}`, `true`, `{"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}`, `{"type": 5}`} {
		if err := p.Check([]byte(schema)); err != nil {
			t.Errorf("schema %s: %v", schema, err)
		}
	}
}

// Definitions that refer to each other in pairs would be walked 2⁶⁰ times.
func TestSchemasDoNotMultiply(t *testing.T) {
	var schema strings.Builder
	schema.WriteString(`{"$ref": "#/$defs/d0", "$defs": {`)
	for i := range 60 {
		a, b := string(rune('A'+i)), string(rune('A'+i+1))
		_ = a
		schema.WriteString(`"d` + a + `": {"anyOf": [{"$ref": "#/$defs/d` + b + `"}, {"$ref": "#/$defs/d` + b + `"}]},`)
	}
	schema.WriteString(`"d0": {"type": "object", "properties": {"a": {"$ref": "#/$defs/dA"}}}}}`)
	schemaText := strings.ReplaceAll(schema.String(), `\`, "_")
	if err := parse(t, `{"a": {"b": [1]}}`).Check([]byte(schemaText)); err != nil {
		t.Error(err)
	}
}

func FuzzCheck(f *testing.F) {
	schema, err := os.ReadFile("testdata/check/trade.schema.json")
	if err != nil {
		f.Fatal(err)
	}
	cases, err := os.ReadFile("testdata/check/trade.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(cases)) {
		if text, ok := strings.CutPrefix(line, "pattern: "); ok {
			f.Add(text, string(schema))
		}
	}
	f.Fuzz(func(t *testing.T, text, schema string) {
		if p, err := pattern.Parse([]byte(text)); err == nil {
			_ = p.Check([]byte(schema))
		}
	})
}
