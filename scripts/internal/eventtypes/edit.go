package eventtypes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Edit returns an event's data with each assignment, path=value, made in turn.
//
// A path is the fields' names with dots between, and the index of an array in
// brackets or between dots, from 0: allocations[0].quantity or
// allocations.0.quantity. It must be one of the sample's. A value is JSON, and
// text if it is not; where the sample has text, it is taken as text, so that
// accountId=1001 needs no quotes within quotes.
//
// An object at a path of which open is true takes any name. A path for open
// is as [schema.Field] has it; that of the data itself is empty.
func Edit(data, sample []byte, assignments []string, open func(path string) bool) ([]byte, error) {
	object, err := decode(data)
	if err != nil {
		return nil, cli.Misuse{Err: err}
	}
	if len(assignments) == 0 {
		return data, nil
	}
	shape, err := decode(sample)
	if err != nil {
		return nil, err
	}
	for _, a := range assignments {
		path, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, cli.Misusef("--set %q: want path=value, as in --set amount=100", a)
		}
		if err := assign(object, shape, path, value, open); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}

// assign sets one value. shape is the sample, which says what paths there are.
func assign(object, shape any, path, value string, open func(string) bool) error {
	steps := split(path)
	at := object
	where := "" // as open takes it
	for i, step := range steps {
		last := i == len(steps)-1
		switch sampleAt := shape.(type) {
		case map[string]any:
			next, known := sampleAt[step]
			anyName := step != "" && open(where)
			if !known && anyName {
				next = element(sampleAt)
			} else if !known {
				return unknownPath(path, steps[:i], step, sampleAt)
			}
			here, isObject := at.(map[string]any)
			if !isObject {
				return cli.Misusef("--set %s: the data has no object at %s", path, cmp.Or(join(steps[:i]), "its top"))
			}
			if last {
				here[step] = parse(value, next)
				return nil
			}
			if here[step] == nil {
				here[step] = clone(next)
			}
			at, shape = here[step], next
			if anyName {
				step = "*"
			}
			where = strings.TrimPrefix(where+"."+step, ".")
		case []any:
			if len(sampleAt) == 0 {
				return cli.Misusef("--set %s: %s is an empty list in the sample, which tells nothing of its elements: set the whole list, %s=[…]", path, join(steps[:i]), join(steps[:i]))
			}
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 {
				return cli.Misusef("--set %s: %s is a list: say which element, as in %s[0]", path, join(steps[:i]), join(steps[:i]))
			}
			here, isList := at.([]any)
			if !isList || index >= len(here) {
				return cli.Misusef("--set %s: %s has %d elements, and the first is [0]", path, join(steps[:i]), len(here))
			}
			next := sampleAt[min(index, len(sampleAt)-1)] // the elements of a list are of one type
			if last {
				here[index] = parse(value, next)
				return nil
			}
			at, shape = here[index], next
			where += "[]"
		default:
			return cli.Misusef("--set %s: %s holds no other values", path, join(steps[:i]))
		}
	}
	return nil
}

// element is a value as those of a map are, nil if they are of several kinds.
func element(m map[string]any) any {
	var first any
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i == 0 {
			first = m[name]
		} else if fmt.Sprintf("%T", m[name]) != fmt.Sprintf("%T", first) {
			return nil
		}
	}
	return first
}

// unknownPath is the error for a path whose last step is none of an object's
// fields.
func unknownPath(path string, parent []string, step string, object map[string]any) error {
	fields := slices.Sorted(maps.Keys(object))
	near, ask := cli.Nearest(step, fields), "did you mean"
	if step == "" || len(near) == 0 {
		near, ask = fields, "is it one of"
	}
	for i, name := range near {
		near[i] = join(append(slices.Clone(parent), name))
	}
	return cli.Misusef("no path %q: %s %s?", path, ask, strings.Join(near, " or "))
}

// split cuts a path into names and indexes.
func split(path string) []string {
	path = strings.ReplaceAll(strings.ReplaceAll(path, "[", "."), "]", "")
	return strings.Split(path, ".")
}

// join writes a path as people do.
func join(steps []string) string {
	var b strings.Builder
	for i, step := range steps {
		_, err := strconv.Atoi(step)
		switch {
		case err == nil:
			b.WriteString("[" + step + "]")
		case i > 0:
			b.WriteString("." + step)
		default:
			b.WriteString(step)
		}
	}
	return b.String()
}

// parse reads a value that stands where the sample has another.
func parse(value string, sample any) any {
	var v any
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	if json.Valid([]byte(value)) && decoder.Decode(&v) == nil {
		_, gotText := v.(string)
		_, wantText := sample.(string)
		if gotText || !wantText || v == nil {
			return v
		}
	}
	return value
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, field := range v {
			out[name] = clone(field)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = clone(element)
		}
		return out
	}
	return v
}
