package schemas_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/penstock-dev/penstock/events/schema"
)

// projects are the folders of the cases that have files, with the event types
// that each has.
func projects(t *testing.T) map[string]*schema.Set {
	t.Helper()
	dir := made(t)
	sets := map[string]*schema.Set{}
	for name := range cases(t) {
		sets[name] = nil
	}
	delete(sets, "errors")
	sets["own"] = nil
	for name := range sets {
		set, err := schema.LoadProject(os.DirFS(filepath.Join(dir, name)))
		if err != nil {
			t.Fatal(err)
		}
		sets[name] = set
	}
	if len(sets["own"].Types()) == 0 || len(sets["kinds"].Types()) == 0 {
		t.Fatal("no event types")
	}
	return sets
}

func TestSchemasAreValidAndSamplesValidate(t *testing.T) {
	dir := made(t)
	for name, set := range projects(t) {
		for _, of := range set.Types() {
			compiler := jsonschema.NewCompiler() // it checks a schema against its meta-schema
			compiler.AssertFormat()
			compiler.AssertContent()
			s, err := compiler.Compile(filepath.Join(dir, name, schema.Dir, schema.File(of)))
			if err != nil {
				t.Errorf("%s: %v", of, err)
				continue
			}
			if s.DraftVersion != 2020 {
				t.Errorf("%s: is of draft %d", of, s.DraftVersion)
			}
			data, err := set.Sample(of)
			if err != nil {
				t.Fatal(err)
			}
			sample, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(sample); err != nil {
				t.Errorf("%s: the sample: %v", of, err)
			}
		}
	}
}

func TestTheAsyncAPIFileIsOneByAsyncAPIsOwnSchema(t *testing.T) {
	file, err := os.Open("testdata/asyncapi-3.0.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	definition, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("asyncapi.json", definition); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	for name := range projects(t) {
		text, err := os.ReadFile(filepath.Join(made(t), name, schema.Dir, "asyncapi.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var document map[string]any
		if err := yaml.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(jsonValue(t, document)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, ref := range refs(document) {
			if !resolves(document, ref) {
				t.Errorf("%s: %s refers to nothing", name, ref)
			}
		}
		// The check can fail.
		document["channels"].(map[string]any)["bus"].(map[string]any)["address"] = 7
		if err := s.Validate(jsonValue(t, document)); err == nil {
			t.Errorf("%s: a wrong document passes", name)
		}
	}
}

// jsonValue is a value as it is after JSON.
func jsonValue(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func refs(v any) []string {
	var all []string
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			all = append(all, refs(one)...)
		}
	case map[string]any:
		for name, one := range v {
			if text, ok := one.(string); ok && name == "$ref" {
				all = append(all, text)
			}
			all = append(all, refs(one)...)
		}
	}
	return all
}

func resolves(document any, ref string) bool {
	rest, ok := strings.CutPrefix(ref, "#/")
	for ok && rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		var object map[string]any
		if object, ok = document.(map[string]any); ok {
			document, ok = object[name]
		}
	}
	return ok
}

// title is the name of a type's interface.
func title(t *testing.T, file []byte) string {
	t.Helper()
	var s struct{ Title string }
	if err := json.Unmarshal(file, &s); err != nil {
		t.Fatal(err)
	}
	return s.Title
}

// TestTheGoOutputDecodesTheSamples compiles every source's file, and decodes
// with it: no field may be left, and encoding gives the sample.
func TestTheGoOutputDecodesTheSamples(t *testing.T) {
	dir := made(t)
	var imports, checks strings.Builder
	count := 0
	for name, set := range projects(t) {
		imported := map[string]string{}
		for _, of := range set.Types() {
			file, err := set.Schema(of)
			if err != nil {
				t.Fatal(err)
			}
			from := imported[of.Source]
			if from == "" {
				count++
				from = fmt.Sprint("p", count)
				imported[of.Source] = from
				fmt.Fprintf(&imports, "\t%s %q\n", from, path.Join("example.com/app", name, schema.Dir, of.Source))
			}
			text, err := os.ReadFile(filepath.Join(dir, name, schema.Dir, of.Source, of.Source+".go"))
			if err != nil {
				t.Fatal(err)
			}
			detail := "Detail"
			if !bytes.Contains(text, []byte("type Detail[T any]")) {
				detail = "EventDetail" // the source has a type of that name
			}
			data, sample := from+"."+title(t, file), path.Join(name, schema.Dir, schema.SampleFile(of))
			fmt.Fprintf(&checks, "\tcheck[%s](%q, \"%%s\")\n", data, sample)
			fmt.Fprintf(&checks, "\tcheck[%s.%s[%s]](%q, metadata)\n", from, detail, data, sample)
		}
	}
	write(t, filepath.Join(dir, "decode", "main.go"), []byte(`package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

`+imports.String()+`)

const metadata = `+"`"+`{"metadata":{"id":"1","correlationId":"1","userId":"u","occurredAt":"2026-03-02T09:30:00Z","code":7},"data":%s}`+"`"+`

// check decodes and encodes a sample within the format.
func check[T any](file, format string) {
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		panic(err)
	}
	sample := []byte(fmt.Sprintf(format+"\n", compact.Bytes()))
	decoder := json.NewDecoder(bytes.NewReader(sample))
	decoder.DisallowUnknownFields()
	var v T
	if err := decoder.Decode(&v); err != nil {
		fmt.Printf("%s: %v\n", file, err)
		return
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil || !bytes.Equal(out.Bytes(), sample) {
		fmt.Printf("%s: encoded again it is %v\n%s\n", file, err, out.Bytes())
	}
}

func main() {
`+checks.String()+`}
`))
	if out := run(t, dir, "go", "run", "./decode"); out != "" {
		t.Error(out)
	}
}

// TestTheTypeScriptCompiles assigns each sample to its type, alone and within a
// detail, and an empty object, which must be refused.
func TestTheTypeScriptCompiles(t *testing.T) {
	tsc := os.Getenv("PENSTOCK_TSC")
	if tsc == "" {
		var err error
		if tsc, err = exec.LookPath("tsc"); err != nil {
			t.Skip("no TypeScript compiler: PENSTOCK_TSC is not set and there is no tsc (npm install typescript)")
		}
	}
	dir := made(t)
	args := []string{"--strict", "--noEmit", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"}
	for name, set := range projects(t) {
		for _, of := range set.Types() {
			file, err := set.Schema(of)
			if err != nil {
				t.Fatal(err)
			}
			sample, err := set.Sample(of)
			if err != nil {
				t.Fatal(err)
			}
			one := title(t, file)
			fields, err := set.Fields(of)
			if err != nil {
				t.Fatal(err)
			}
			refused := ""
			if len(fields) > 0 && fields[0].Required {
				refused = "// @ts-expect-error a required field is missing\nexport const none: " + one + " = {};\n"
			}
			envelope := one + "Detail"
			text, err := os.ReadFile(filepath.Join(dir, name, schema.Dir, of.Source, of.Name+".d.ts"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte("  detail: "+envelope+";")) {
				envelope = one + "EventDetail" // the event has a type of that name
			}
			check := filepath.Join(dir, "typescript", name, of.Source, of.Name+".check.ts")
			write(t, check, []byte(fmt.Sprintf(`import type { %s, %s } from "../../../%s";

export const data: %s = %s;
export const detail: %s = {
  metadata: { id: "1", correlationId: "1", occurredAt: "2026-03-02T09:30:00Z" },
  data,
};
%s`, one, envelope, path.Join(name, schema.Dir, of.Source, of.Name), one, sample, envelope, refused)))
			args = append(args, check)
		}
	}
	run(t, dir, tsc, args...)
}
