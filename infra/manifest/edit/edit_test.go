package edit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/infra/manifest/edit"
)

// Each case of testdata is a file, what is done to it, a line each, and what it is
// then. UPDATE=1 writes what it is.
func TestAnEditLooksAsIfThePersonWhoKeepsTheFileHadMadeIt(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal(cases, err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil || len(archive.Files) != 3 {
				t.Fatalf("want before, edits and after: %v", err)
			}
			f, err := edit.Parse(archive.Files[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(archive.Files[1].Data)) {
				verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
				at, value, _ := strings.Cut(rest, " ")
				switch verb {
				case "set":
					err = f.Set(at, decode(t, value))
				case "append":
					err = f.Append(at, decode(t, value))
				case "remove":
					err = f.Remove(at)
				case "move":
					text := f.Value(at)
					if err = f.Remove(at); err == nil {
						err = f.Append(value, text)
					}
				default:
					t.Fatalf("what is %q?", line)
				}
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
			if os.Getenv("UPDATE") != "" {
				archive.Files[2].Data = f.Bytes()
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := archive.Files[2].Data; !bytes.Equal(f.Bytes(), want) {
				t.Errorf("is\n%s\nwant\n%s", f.Bytes(), want)
			}
		})
	}
}

// decode keeps the order of an object's members.
func decode(t *testing.T, text string) any {
	t.Helper()
	if !strings.HasPrefix(text, "{") {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	return ordered(text)
}

// ordered is an object that is JSON already, and is formatted all the same.
type ordered string

func (o ordered) MarshalJSON() ([]byte, error) { return []byte(o), nil }

func TestWhatCannotBeEditedIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`[1]`:              "no object",
		`{"a": 1,}`:        "trailing commas",
		`{/* why */}`:      "comments",
		`{"a": 1, "a": 2}`: "twice",
		`{`:                "EOF",
	} {
		if _, err := edit.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f, err := edit.Parse([]byte(`{"a": {"b": 1}, "l": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"there is no /x":     f.Remove("/x"),
		"there is no /l/1":   f.Remove("/l/1"),
		"there is no /x/y":   f.Remove("/x/y"),
		"there is no ":       f.Remove(""),
		"there is no /x  ":   f.Set("/x/y", 1),
		"/a/b is no object":  f.Set("/a/b/c", 1),
		"/a is no list":      f.Append("/a", 1),
		`"\x00" is no JSON`:  f.Set("/a", jsontext.Value("\x00")),
		"from Go chan int":   f.Set("/a", make(chan int)),
		"from Go chan int  ": f.Append("/l", make(chan int)),
	} {
		if err == nil || !strings.Contains(err.Error(), strings.TrimRight(want, " ")) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if got := string(f.Bytes()); got != `{"a": {"b": 1}, "l": [1]}` {
		t.Errorf("what failed has changed it: %s", got)
	}
}

// Whatever the file: one edit changes one place, all before and all behind it stays
// byte for byte, and what it means is what was asked.
func FuzzOneEditIsOneChange(f *testing.F) {
	manifests, err := filepath.Glob("../../../functions/*/function.json")
	if err != nil || len(manifests) == 0 {
		f.Fatal(manifests, err)
	}
	for _, file := range manifests {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for i := range uint(24) {
			f.Add(text, "new", i)
		}
	}
	for i := range uint(12) {
		f.Add([]byte("{ }"), "a", i)
		f.Add([]byte("{\n\t\"a\" :\r\n 1 , \"l\": [ 1 ,2 , {\"a\": [\n]} ] \n}\n\n"), "b", i)
		f.Add([]byte(`{"a~1/b": {"": []}, "l":[[1],[2]]}`), "x~/", i)
		f.Add([]byte("{\n\"a\": 1,\n\"b\": {\n}\n}"), "b", i)
	}
	f.Fuzz(func(t *testing.T, text []byte, name string, pick uint) {
		file, err := edit.Parse(text)
		if err != nil {
			return
		}
		if !bytes.Equal(file.Bytes(), text) {
			t.Fatalf("untouched, it is\n%q, and was\n%q", file.Bytes(), text)
		}
		var meant any
		if err := json.Unmarshal(text, &meant); err != nil {
			t.Fatal(err)
		}
		all := changes(meant, "", name)
		if len(all) == 0 {
			return
		}
		c := all[pick%uint(len(all))]
		old := file.Value(c.at)
		if err := c.edit(file); err != nil {
			t.Fatalf("%s: %v", c.at, err)
		}
		got := file.Bytes()
		c.mean()
		var is any
		if err := json.Unmarshal(got, &is); err != nil || !jsontext.Value(got).IsValid() {
			t.Fatalf("%s of %q: no JSON any more: %q", c.at, text, got)
		}
		if !reflect.DeepEqual(is, meant) {
			t.Fatalf("%s of %q made %q", c.at, text, got)
		}
		before := common(text, got)
		behind := common(reversed(text[before:]), reversed(got[before:]))
		gone, came := text[before:len(text)-behind], got[before:len(got)-behind]
		switch {
		case c.kind == "set" && len(gone) > len(old),
			c.kind == "add" && len(bytes.TrimSpace(gone)) > 0,
			c.kind == "remove" && len(bytes.TrimSpace(came)) > 0:
			t.Fatalf("to %s %s of %q, %q went and %q came", c.kind, c.at, text, gone, came)
		}
	})
}

// change is an edit, and what it should make of the decoded value.
type change struct {
	kind, at string
	edit     func(*edit.File) error
	mean     func()
}

// changes are what may be done to a value that was decoded from a file, in order.
func changes(v any, at, name string) (all []change) {
	const value = "V"
	add := func(kind, at string, edit func(*edit.File) error, mean func()) {
		all = append(all, change{kind, at, edit, mean})
	}
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v[name]; !ok && utf8.ValidString(name) {
			to := below(at, name)
			add("add", to, func(f *edit.File) error { return f.Set(to, value) }, func() { v[name] = value })
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			to := below(at, key)
			add("set", to, func(f *edit.File) error { return f.Set(to, value) }, func() { v[key] = value })
			add("remove", to, func(f *edit.File) error { return f.Remove(to) }, func() { delete(v, key) })
			if list, ok := v[key].([]any); ok {
				add("add", to, func(f *edit.File) error { return f.Append(to, value) }, func() { v[key] = append(list, value) })
				for i := range list {
					element := below(to, fmt.Sprint(i))
					add("remove", element, func(f *edit.File) error { return f.Remove(element) }, func() { v[key] = slices.Delete(list, i, i+1) })
					all = append(all, changes(list[i], element, name)...)
				}
			}
			all = append(all, changes(v[key], to, name)...)
		}
	}
	return all
}

func below(at, name string) string { return string(jsontext.Pointer(at).AppendToken(name)) }

// common is how many bytes two texts begin with alike.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func reversed(text []byte) []byte {
	text = bytes.Clone(text)
	slices.Reverse(text)
	return text
}
