package schemas

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/manifest"
)

const readmeFile = "README.md"

// readme writes a catalogue to read. It knows the types as every reader does,
// through package schema.
func readme(b *bus, files map[string][]byte) ([]byte, error) {
	there := fstest.MapFS{}
	for name, data := range files {
		there[name] = &fstest.MapFile{Data: data}
	}
	set, err := schema.LoadProject(there)
	if err != nil {
		return nil, err
	}
	var w bytes.Buffer
	w.WriteString(`# Event types

Generated from the Go types by ` + "`" + Command + "`" + `. Beside each schema lie the sample and the
TypeScript of the type, and the Go of its source.
`)
	for _, m := range b.sources {
		fmt.Fprintf(&w, "\n## %s\n\n| type | code | description |\n| --- | --- | --- |\n", m.name)
		for _, e := range m.types {
			code := ""
			if e.Code != 0 {
				code = fmt.Sprint(e.Code)
			}
			fmt.Fprintf(&w, "| [%s](#%s) | %s | %s |\n", e.Type.Name, anchor(e.Type), code, cell(firstParagraph(e.schema.Description)))
		}
		for _, e := range m.types {
			if err := b.readmeType(&w, set, e); err != nil {
				return nil, err
			}
		}
	}
	return w.Bytes(), nil
}

// readmeType writes the section of one type.
func (b *bus) readmeType(w *bytes.Buffer, set *schema.Set, e *described) error {
	fields, err := set.Fields(e.Type)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n### %s\n\n", e.Type)
	if e.schema.Description != "" {
		w.WriteString(escapeMarkdown(e.schema.Description) + "\n\n")
	}
	file := func(text, name string) string { return fmt.Sprintf("[%s](%s)", text, name) }
	base := path.Join(e.Type.Source, e.Type.Name)
	fmt.Fprintf(w, "- files: %s, %s, %s, %s\n", file("schema", base+schemaSuffix), file("sample", base+sampleSuffix),
		file("TypeScript", base+typescriptSuffix), file("Go", path.Join(e.Type.Source, e.Type.Source+".go")))
	if e.Code != 0 {
		fmt.Fprintf(w, "- code: %d\n", e.Code)
	}
	var publishers, subscribers []string
	for _, name := range b.publishers(e.Type) {
		publishers = append(publishers, functionLink(name))
	}
	for _, s := range b.subscribers(e.Type) {
		text := functionLink(s.function) + " (" + s.Name
		if s.Filter != nil {
			text += ", filtered"
		}
		subscribers = append(subscribers, text+")")
	}
	fmt.Fprintf(w, "- published by: %s\n- received by: %s\n", orElse(publishers, "no function; an application may"), orElse(subscribers, "no function"))
	if len(fields) > 0 {
		w.WriteString("\n| field | type | required | description |\n| --- | --- | --- | --- |\n")
		for _, f := range fields {
			required := ""
			if f.Required {
				required = "yes"
			}
			fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", strings.ReplaceAll(f.Path, "|", `\|`), cell(f.Wanted()), required, cell(f.Description))
		}
	}
	fmt.Fprintf(w, "\n```json\n%s```\n", e.sample)
	return nil
}

func orElse(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

func functionLink(name string) string {
	return fmt.Sprintf("[%s](%s)", name, path.Join("..", manifest.FunctionsDir, name, manifest.FileName))
}

// anchor is the anchor that GitHub gives a type's heading.
func anchor(t events.Type) string {
	return strings.ToLower(strings.NewReplacer("/", "", ".", "").Replace(t.String()))
}

func firstParagraph(description string) string {
	first, _, _ := strings.Cut(description, "\n\n")
	return first
}

// cell is text within a table.
func cell(text string) string {
	return strings.ReplaceAll(escapeMarkdown(strings.Join(strings.Fields(text), " ")), "|", `\|`)
}

// escapeMarkdown keeps what looks like markup from being it.
func escapeMarkdown(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`).Replace(text)
}
