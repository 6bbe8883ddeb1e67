package schemastest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/schemas"
)

// module writes a module of an adopter's, which uses this checkout at the
// versions that this checkout uses, and returns its folder and its other files.
func module(t *testing.T, archive string) (string, map[string]string) {
	t.Helper()
	dir := t.TempDir()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	here, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(here, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	const penstock = "github.com/penstock-dev/penstock"
	files["go.mod"] = strings.Replace(files["go.mod"], "module "+penstock, "module example.com/project", 1) +
		"\nrequire " + penstock + " v0.0.0\nreplace " + penstock + " => " + here + "\n"
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir, files
}

func TestEveryMistakeInTheSourceIsNamedWithWhatMendsIt(t *testing.T) {
	dir, files := module(t, "testdata/source.txtar")
	declared, got, err := find(dir, []string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, missing(declared, events.NewCatalogue())...)
	want := slices.Collect(strings.Lines(files["want"]))
	for i := range want {
		want[i] = strings.TrimSpace(want[i])
	}
	for _, fault := range got {
		if !slices.Contains(want, fault) {
			t.Errorf("unexpected: %s", fault)
		}
	}
	for _, fault := range want {
		if !slices.Contains(got, fault) {
			t.Errorf("not found: %s", fault)
		}
	}
}

func TestSourceThatCannotBeReadIsAnErrorNotAPass(t *testing.T) {
	dir, _ := module(t, "testdata/source.txtar")
	broken := filepath.Join(dir, "shop", "broken.go")
	if err := os.WriteFile(broken, []byte("package shop\n\nvar x = undefined\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := check(dir, events.NewCatalogue(), []string{"./shop"}); err == nil || !strings.Contains(err.Error(), "broken.go:3") {
		t.Errorf("source that does not compile: %v", err)
	}
	if _, err := check(dir, events.NewCatalogue(), []string{"./none/..."}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a pattern that matches nothing: %v", err)
	}
}

func TestWhatIsInTheCatalogueIsNotMissing(t *testing.T) {
	c := events.NewCatalogue(events.Describe[savings.Withdrawal]())
	const path = "github.com/penstock-dev/penstock/events/savings"
	got := missing([]declaration{{path, "savings", "Withdrawal", "x.go:1"}, {path, "savings", "Deposit", "x.go:2"}}, c)
	if len(got) != 1 || !strings.HasPrefix(got[0], "x.go:2: savings.Deposit is an event type that is not in the catalogue") {
		t.Errorf("missing: %q", got)
	}
}

func TestAStaleFileIsNamed(t *testing.T) {
	dir, _ := module(t, "testdata/source.txtar")
	c := events.NewCatalogue(events.Describe[savings.Withdrawal]())
	if err := schemas.Write(dir, c); err != nil {
		t.Fatal(err)
	}
	if faults, err := check(dir, c, []string{"./shoptest"}); err != nil || len(faults) > 0 {
		t.Fatalf("of a project in order: %q, %v", faults, err)
	}
	file := schema.Dir + "/" + schema.File(savings.Withdrawal{}.EventType())
	if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(file)), []byte(`{"type": "string"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	faults, err := check(dir, c, []string{"./shoptest"})
	want := []string{"`go generate ./...` has not been run since the event types were changed: it mends " + file}
	if err != nil || !slices.Equal(faults, want) {
		t.Errorf("got %q, %v; want %q", faults, err, want)
	}
}

// thing is an event type whose sample the tests make, well or badly.
type thing struct {
	row
	Text     string            `json:"text"`
	Number   float64           `json:"number"`
	Flag     bool              `json:"flag"`
	At       time.Time         `json:"at"`
	Optional *part             `json:"optional,omitempty"`
	Parts    []part            `json:"parts"`
	Labels   map[string]string `json:"labels"`
	Digest   [4]byte           `json:"digest"`
	Raw      json.RawMessage   `json:"raw"`
	Type     events.Type       `json:"type"`
	Internal string            `json:"-"`
	hidden   int
}

type row struct {
	Row string `json:"row"`
}

type part struct {
	Name string `json:"name"`
}

func (thing) EventType() events.Type { return events.Type{Source: "test", Name: "THING"} }
func (thing) Schema() events.Event   { return sampleThing() }

func sampleThing(edit ...func(*thing)) thing {
	s := thing{
		row: row{"r"}, Text: "text", Number: 1.5, Flag: true, At: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
		Optional: &part{"a"}, Parts: []part{{"b"}, {"c"}}, Labels: map[string]string{"k": "v"},
		Digest: [4]byte{1, 0, 0, 2}, Raw: json.RawMessage(`{"any":0}`), Type: events.Type{Source: "a", Name: "B"},
	}
	for _, e := range edit {
		e(&s)
	}
	return s
}

func TestEveryMistakeInASampleIsNamed(t *testing.T) {
	types, err := schema.Load(fstest.MapFS{"test/THING.schema.json": {Data: []byte(`{
		"type": "object",
		"properties": {"number": {"type": "number", "maximum": 10}, "text": {"type": "string"}},
		"required": ["text"]
	}`)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func(*thing)
		want []string // each is part of one fault, in this order
	}{
		"none":                    {func(*thing) {}, nil},
		"an empty text":           {func(s *thing) { s.Text = "" }, []string{"has no value for Text: a sample has one for every field"}},
		"a false flag":            {func(s *thing) { s.Flag = false }, []string{"has no value for Flag"}},
		"no pointer":              {func(s *thing) { s.Optional = nil }, []string{"has no value for Optional"}},
		"an empty pointer":        {func(s *thing) { s.Optional = &part{} }, []string{"has no value for Optional"}},
		"an empty list":           {func(s *thing) { s.Parts = []part{} }, []string{"has no value for Parts"}},
		"an empty element":        {func(s *thing) { s.Parts[1].Name = "" }, []string{"has no value for Parts[1]"}},
		"an empty value of a map": {func(s *thing) { s.Labels["k"] = "" }, []string{"has no value for Labels[k]"}},
		"an embedded field":       {func(s *thing) { s.Row = "" }, []string{"has no value for row"}},
		"several": {func(s *thing) { s.Text, s.Labels = "", nil },
			[]string{"has no value for Text", "has no value for Labels"}},
		"what its schema refuses": {func(s *thing) { s.Number = 11 }, []string{"is not what its schema says: event test/THING: number "}},
		"what JSON leaves out":    {func(s *thing) { s.Internal = "x" }, []string{"does not come back from JSON as it was: Internal was x and becomes"}},
		"what is not exported":    {func(s *thing) { s.hidden = 1 }, []string{"does not come back from JSON as it was: hidden is not exported, and lost"}},
		"a time zone":             {func(s *thing) { s.At = s.At.In(time.FixedZone("X", 3600)) }, []string{"does not come back from JSON as it was: At was "}},
		"what is not JSON":        {func(s *thing) { s.Raw = json.RawMessage("{") }, []string{"cannot be encoded"}},
	} {
		t.Run(name, func(t *testing.T) {
			sample := sampleThing(c.edit)
			got := sampleFaults(events.Description{Type: sample.EventType(), Sample: sample}, types)
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], "the sample of test/THING (schemastest.thing) "+want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}

// borrowed gives the sample of another type.
type borrowed struct {
	Text string `json:"text"`
}

func (borrowed) EventType() events.Type { return thing{}.EventType() }
func (borrowed) Schema() events.Event   { return sampleThing() }

func TestASampleOfAnotherGoTypeIsNamed(t *testing.T) {
	got := sampleFaults(events.Description{Type: borrowed{}.EventType(), Sample: borrowed{"x"}}, nil)
	if len(got) != 1 || !strings.HasSuffix(got[0], "is a schemastest.thing: Schema must return a sample of its own type") {
		t.Errorf("got %q", got)
	}
}

// recorder is a test that is only noted.
type recorder struct {
	testing.TB
	bytes.Buffer
}

func (*recorder) Helper()             {}
func (r *recorder) Error(args ...any) { r.WriteString(args[0].(string) + "\n") }

func TestCheckFailsTheTestForEachFault(t *testing.T) {
	var r recorder
	r.TB = t
	Check(&r, events.NewCatalogue(), "./events/storage")
	for _, name := range []string{"Insert", "Update", "Delete"} {
		if !strings.Contains(r.String(), "add events.Describe[storage."+name+"]()") {
			t.Errorf("Check does not name %s:\n%s", name, &r)
		}
	}
}
