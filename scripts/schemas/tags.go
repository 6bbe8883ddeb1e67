package schemas

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// The keywords that a field's jsonschema tag may have, by the type of what they
// are said of. The library ignores those that do not fit: here they are errors.
var (
	anyKeywords    = []string{"title", "description"}
	stringKeywords = []string{"minLength", "maxLength", "pattern", "format", "enum"}
	numberKeywords = []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum"}
	listKeywords   = []string{"minItems", "maxItems", "uniqueItems"}
)

// checkTag reports what is wrong with a jsonschema tag, which is said of s. A
// list's elements take the keywords that the list does not.
func checkTag(tag string, s *jsonschema.Schema) error {
	if tag == "" {
		return nil
	}
	allowed := slices.Concat(anyKeywords, keywordsOf(s.Type))
	if s.Type == "array" && s.Items != nil {
		if slices.Contains([]string{"string", "integer", "number"}, s.Items.Type) {
			allowed = append(allowed, keywordsOf(s.Items.Type)...)
		}
	}
	for _, part := range splitTag(tag) {
		name, value, ok := strings.Cut(part, "=")
		if !ok || !slices.Contains(allowed, name) {
			return fmt.Errorf("jsonschema:%q: %q does not fit this field: want keyword=value with one of %s", tag, part, strings.Join(allowed, ", "))
		}
		var err error
		switch name {
		case "minLength", "maxLength", "minItems", "maxItems":
			_, err = strconv.ParseUint(value, 10, 64)
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
			var number json.Number
			err = json.Unmarshal([]byte(value), &number)
		case "uniqueItems":
			if value != "true" {
				err = fmt.Errorf("want true")
			}
		case "pattern":
			_, err = regexp.Compile(value)
		}
		if err != nil {
			return fmt.Errorf("jsonschema:%q: %s: %w", tag, part, err)
		}
	}
	return nil
}

func keywordsOf(typeName string) []string {
	switch typeName {
	case "string":
		return stringKeywords
	case "integer", "number":
		return numberKeywords
	case "array":
		return listKeywords
	}
	return nil
}

// splitTag splits at commas that no backslash stands before, as the library
// does.
func splitTag(tag string) []string {
	var parts []string
	for _, part := range strings.Split(tag, ",") {
		if last := len(parts) - 1; last >= 0 && strings.HasSuffix(parts[last], `\`) {
			parts[last] = strings.TrimSuffix(parts[last], `\`) + "," + part
			continue
		}
		parts = append(parts, part)
	}
	return parts
}
