package notification_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/functions/handler/notification"
)

func readDetail(t testing.TB) *notification.Detail {
	t.Helper()
	data, err := os.ReadFile("testdata/detail.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := notification.ReadDetail(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Each file of testdata has cases of one kind: a body, and what it becomes of the
// event in detail.json, or its error.
func TestBodies(t *testing.T) {
	detail := readDetail(t)
	for _, kind := range notification.Kinds {
		archive, err := txtar.ParseFile(filepath.Join("testdata", string(kind)+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(archive.Files); i += 2 {
			body, want := archive.Files[i], archive.Files[i+1]
			title, ok := strings.CutPrefix(body.Name, "body: ")
			if !ok {
				t.Fatalf("%s: %q is no body", kind, body.Name)
			}
			t.Run(string(kind)+" "+title, func(t *testing.T) {
				template := &notification.Template{Name: "n", Event: "savings/X", Kind: kind, Active: true, Body: strings.TrimSuffix(string(body.Data), "\n")}
				err := template.Compile()
				wanted := strings.TrimSuffix(string(want.Data), "\n")
				switch {
				case want.Name == "error":
					if err == nil || !strings.Contains(err.Error(), wanted) {
						t.Errorf("got error %v, want %q", err, wanted)
					}
				case err != nil:
					t.Error(err)
				default:
					got := template.Render(detail)
					if got != wanted {
						t.Errorf("got  %s\nwant %s", got, wanted)
					}
					checkKind(t, kind, got)
				}
			})
		}
	}
}

// checkKind fails the test if a body is not of its kind.
func checkKind(t testing.TB, kind notification.Kind, body string) {
	t.Helper()
	switch kind {
	case notification.JSON:
		if !json.Valid([]byte(body)) {
			t.Errorf("not JSON: %s", body)
		}
	case notification.XML:
		d := xml.NewDecoder(strings.NewReader(body))
		for {
			if _, err := d.Token(); err == io.EOF {
				return
			} else if err != nil {
				t.Errorf("not XML: %s: %v", body, err)
				return
			}
		}
	}
}

const large = `[{"name": "Large", "event": "savings/SAVINGS_WITHDRAWAL", "condition": {"data": {"amount": [{"numeric": [">", 100]}]}}, "kind": "text", "body": "{data.amount}"}]`

func TestATemplateHoldsForEventsThatItsConditionMatches(t *testing.T) {
	templates, err := notification.Parse([]byte(large))
	if err != nil {
		t.Fatal(err)
	}
	for detail, want := range map[string]bool{
		`{"data": {"amount": 101}}`: true,
		`{"data": {"amount": 100}}`: false,
		`{"data": {}}`:              false,
	} {
		d, err := notification.ReadDetail([]byte(detail))
		if err != nil {
			t.Fatal(err)
		}
		if got := templates[0].Holds(d); got != want {
			t.Errorf("%s: %v", detail, got)
		}
	}
	templates[0].Active = false
	d, _ := notification.ReadDetail([]byte(`{"data": {"amount": 101}}`))
	if templates[0].Holds(d) {
		t.Error("one that is not active holds")
	}
}

func TestATemplateIsActiveUnlessItSaysNot(t *testing.T) {
	templates, err := notification.Parse([]byte(`[{"name": "a", "event": "s/E", "kind": "text", "body": "x"}, {"name": "b", "event": "s/E", "kind": "text", "body": "x", "active": false}]`))
	if err != nil {
		t.Fatal(err)
	}
	if !templates[0].Active || templates[1].Active {
		t.Errorf("got %v and %v", templates[0].Active, templates[1].Active)
	}
}

func TestEveryFaultOfAFileIsNamed(t *testing.T) {
	longest := strings.Repeat("ü", 255)
	for _, c := range []struct{ file, want string }{
		{`{}`, "want a list of notification templates"},
		{`null`, "want a list of notification templates, not null"},
		{`[null]`, "notification 1 is null"},
		{`[{}]`, `notification 1: it needs a "name"`},
		{`[{"name": "a", "nmae": "b"}]`, `unknown field "nmae"`},
		{`[{"name": " a", "event": "s/E", "kind": "text", "body": "x"}]`, "blanks around it"},
		{`[{"name": "a\nb", "event": "s/E", "kind": "text", "body": "x"}]`, "a character that cannot be read"},
		{`[{"name": "` + longest + `x", "event": "s/E", "kind": "text", "body": "x"}]`, "its name has 256 characters, 255 at most"},
		{`[{"name": "` + longest + `", "event": "s/E", "kind": "text", "body": "x"}]`, ""},
		{`[{"name": "a", "event": "s/E", "kind": "text", "body": "x"}, {"name": "a", "event": "s/E", "kind": "text", "body": "x"}]`, `notification "a": another has the same name`},
		{`[{"name": "a", "event": "E", "kind": "text", "body": "x"}]`, `event "E" must be source/NAME`},
		{`[{"name": "a", "event": "s/E", "kind": "html", "body": "x"}]`, `kind "html" must be text, json or xml`},
		{`[{"name": "a", "event": "s/E", "kind": "text"}]`, `it needs a "body"`},
		{`[{"name": "a", "event": "s/E", "kind": "text", "body": "` + strings.Repeat("x", notification.MaxBody+1) + `"}]`, "the body has 65537 bytes, 65536 at most"},
		{`[{"name": "a", "event": "s/E", "kind": "text", "body": "x", "condition": []}]`, "the condition must be an object"},
		{`[{"name": "a", "event": "s/E", "kind": "text", "body": "x", "condition": {"data": 1}}]`, "the condition is not valid"},
		{`[{"name": "a", "event": "E", "kind": "html", "body": "x"}]`, `kind "html"`},
	} {
		_, err := notification.Parse([]byte(c.file))
		if c.want == "" && err == nil {
			continue
		}
		if c.want == "" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: got %v, want %q", c.file, err, c.want)
		}
	}
	_, err := notification.Parse([]byte(`[{"name": "a", "event": "E", "kind": "html", "body": "x"}]`))
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("two faults: got %v", err)
	}
}

func TestPathsAreThoseOfThePlaceholders(t *testing.T) {
	template := &notification.Template{Name: "n", Event: "s/E", Kind: notification.Text, Body: "{data.a.b[0][1].c-d} {{x} {metadata.id}"}
	if err := template.Compile(); err != nil {
		t.Fatal(err)
	}
	if got, want := template.Paths(), []string{"data.a.b[0][1].c-d", "metadata.id"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// No body makes the parser panic, and one that it takes makes for any value what
// is of its kind.
func FuzzBody(f *testing.F) {
	for _, kind := range notification.Kinds {
		archive, err := txtar.ParseFile(filepath.Join("testdata", string(kind)+".txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasPrefix(file.Name, "body: ") {
				f.Add(string(kind), string(file.Data), `{"a": "]]>\u0000\"'", "lines": [{}]}`)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind, body, data string) {
		template := &notification.Template{Name: "n", Event: "s/E", Kind: notification.Kind(kind), Body: body, Active: true}
		if err := template.Compile(); err != nil {
			return
		}
		for _, value := range []string{data, `{}`} {
			d, err := notification.ReadDetail([]byte(`{"metadata": {"id": null}, "data": ` + value + `}`))
			if err != nil {
				continue
			}
			checkKind(t, template.Kind, template.Render(d))
		}
		// Any value in every placeholder's place.
		for _, value := range []any{nil, "\"'<&>]]>\\\x00", 1.5, true, []any{"\""}, json.RawMessage(`{"<": "\""}`)} {
			detail := map[string]any{}
			for _, path := range template.Paths() {
				if err := put(detail, strings.Split(path, "."), value); err != nil {
					return
				}
			}
			text, err := json.Marshal(detail)
			if err != nil {
				t.Fatal(err)
			}
			d, err := notification.ReadDetail(text)
			if err != nil {
				t.Fatal(err)
			}
			checkKind(t, template.Kind, template.Render(d))
		}
	})
}

// put puts a value at a path without indexes.
func put(into map[string]any, path []string, value any) error {
	if strings.Contains(path[0], "[") {
		return errors.New("an index")
	}
	if len(path) == 1 {
		into[path[0]] = value
		return nil
	}
	next, ok := into[path[0]].(map[string]any)
	if !ok {
		next = map[string]any{}
		into[path[0]] = next
	}
	return put(next, path[1:], value)
}
