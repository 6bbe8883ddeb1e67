package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Transcript is what a scenario observed, in order.
type Transcript []Line

// Line is one value. Path says where it is from: the operation, which time it is
// called ("ReceiveMessage 2" the second time), and the place in its answer, as
// in "ReceiveMessage 2.Messages[0].Body".
type Line struct{ Path, Value string }

// String writes a transcript one line each.
func (t Transcript) String() string {
	var b strings.Builder
	for _, l := range t {
		fmt.Fprintf(&b, "%s: %s\n", l.Path, l.Value)
	}
	return b.String()
}

// Difference is a value that differs between two transcripts of one scenario;
// an empty one is missing.
type Difference struct{ Path, One, Other string }

// Compare returns where two transcripts differ, in the order of their lines.
func Compare(one, other Transcript) []Difference {
	index := func(t Transcript) map[string]string {
		out := map[string]string{}
		for _, l := range t {
			out[l.Path] = l.Value
		}
		return out
	}
	a, b := index(one), index(other)
	var out []Difference
	for _, l := range one {
		if a[l.Path] != b[l.Path] {
			out = append(out, Difference{l.Path, l.Value, b[l.Path]})
		}
	}
	for _, l := range other {
		if _, ok := a[l.Path]; !ok {
			out = append(out, Difference{l.Path, "", l.Value})
		}
	}
	return out
}

// recorder writes a transcript.
type recorder struct {
	prefix   string
	endpoint *regexp.Regexp
	region   string
	stack    string
	lines    Transcript
	times    map[string]int    // how often each operation was called
	numbers  map[string]int    // of the ids, by kind: how many were seen
	ids      map[string]string // what stands for an id
}

// newRecorder returns a recorder that knows the names which begin with prefix
// as the scenario's own.
func newRecorder(target Target, prefix string) *recorder {
	r := &recorder{prefix: prefix, region: target.Config.Region, stack: target.Stack, times: map[string]int{}, numbers: map[string]int{}, ids: map[string]string{}}
	// Endpoints that are not AWS's own have a port.
	r.endpoint = regexp.MustCompile(`https?://([a-z0-9.-]+\.amazonaws\.com|[a-z0-9.-]+:[0-9]+)`)
	return r
}

// operation is the name of the operation that returned out.
func operation(out any) string {
	name := reflect.TypeOf(out).String()
	name = name[strings.LastIndexByte(name, '.')+1:]
	return strings.TrimSuffix(name, "Output")
}

// answer notes what a call returned, under a name. It returns an error that is none of the
// API.
func (r *recorder) answer(name string, out any, err error) error {
	if err == nil {
		r.note(name, out)
		return nil
	}
	var refused smithy.APIError
	var answered *smithyhttp.ResponseError
	switch {
	case errors.As(err, &refused):
	case errors.As(err, &answered) && answered.HTTPStatusCode() >= http.StatusInternalServerError:
		r.lines = append(r.lines, Line{r.step(name) + ".error", fmt.Sprintf("status %d, and nothing that the SDK understands", answered.HTTPStatusCode())})
		return nil
	default:
		return err
	}
	step := r.step(name)
	v := reflect.ValueOf(refused)
	if v.Type() == reflect.TypeFor[*smithy.GenericAPIError]() {
		r.lines = append(r.lines, Line{step + ".error", refused.ErrorCode()})
		return nil
	}
	// The star says that the SDK has a type for the error, so that programs can
	// tell it by errors.As. It may have members besides its message.
	code := "*" + v.Type().Elem().Name()
	if refused.ErrorCode() != code[1:] {
		code += " (" + refused.ErrorCode() + ")"
	}
	r.lines = append(r.lines, Line{step + ".error", code})
	r.write(step+".error", plain("", v))
	return nil
}

// step is the name of the next step, which tells it from an earlier one.
func (r *recorder) step(name string) string {
	name = strings.ReplaceAll(r.text(name), ": ", ":")
	r.times[name]++
	if n := r.times[name]; n > 1 {
		return fmt.Sprintf("%s %d", name, n)
	}
	return name
}

// note notes a value.
func (r *recorder) note(name string, value any) {
	step := r.step(name)
	before := len(r.lines)
	r.write(step, plain("", reflect.ValueOf(value)))
	if len(r.lines) == before {
		r.lines = append(r.lines, Line{step, "(nothing)"})
	}
}

// plain turns a value of the SDK into maps, slices and scalars, without what is nil or empty: an API that leaves a list out and one
// that has it empty tell a program the same.
func plain(member string, v reflect.Value) any {
	switch v.Kind() {
	case reflect.Invalid:
		return nil
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if value, ok := attributeValue(v); ok {
			return scalar{"", attributeText(value)}
		}
		return plain(member, v.Elem())
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return scalar{"", "<time>"}
		}
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || left[f.Name] {
				continue
			}
			if value := plain(f.Name, v.Field(i)); value != nil {
				out[f.Name] = value
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for _, key := range v.MapKeys() {
			if value := plain(key.String(), v.MapIndex(key)); value != nil {
				out[key.String()] = value
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Len() == 0 {
				return nil
			}
			return scalar{member, string(v.Bytes())}
		}
		var out []any
		for i := range v.Len() {
			out = append(out, plain(member, v.Index(i)))
		}
		if out == nil {
			return nil
		}
		if unordered[member] {
			sortPlain(out)
		}
		return out
	case reflect.String:
		if v.Len() == 0 && v.Type() != reflect.TypeFor[string]() {
			return nil // an enumeration's value that is missing
		}
		return scalar{member, v.String()}
	default:
		return scalar{member, fmt.Sprint(v.Interface())}
	}
}

// left are the members that are left out: what the SDK adds, texts for people,
// in which no two implementations agree, and what a call has cost, which is a
// scenario of its own.
var left = map[string]bool{"ResultMetadata": true, "ErrorCodeOverride": true, "Message": true, "ErrorMessage": true, "ConsumedCapacity": true}

// scalar is a value whose ids are not yet replaced: they are numbered in the
// order of the lines.
type scalar struct{ member, text string }

// unordered are the lists whose order means nothing.
var unordered = map[string]bool{
	"Messages": true, "QueueUrls": true, "Successful": true, "Failed": true, "Tags": true, "Rules": true, "VersionIdsToStages": true,
	"EventSourceMappings": true, "MetricAlarms": true, "Metrics": true, "VersionStages": true, "AttributeDefinitions": true, "Versions": true, "TargetIds": true,
}

// sortPlain sorts by what does not change between two runs.
func sortPlain(list []any) {
	text := func(v any) string {
		var lines Transcript
		blank := &recorder{}
		blank.walk("", v, func(path string, s scalar) { lines = append(lines, Line{path, unstable(s)}) })
		return lines.String()
	}
	slices.SortStableFunc(list, func(a, b any) int { return cmp.Compare(text(a), text(b)) })
}

func unstable(s scalar) string {
	if _, replaced := opaque[s.member]; replaced || uuids.MatchString(s.text) {
		return ""
	}
	return s.text
}

// write writes the lines of a plain value.
func (r *recorder) write(path string, v any) {
	r.walk(path, v, func(path string, s scalar) { r.lines = append(r.lines, Line{path, r.stable(s)}) })
}

func (r *recorder) walk(path string, v any, line func(path string, s scalar)) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			r.walk(path+"."+r.text(key), v[key], line)
		}
	case []any:
		for i, element := range v {
			r.walk(fmt.Sprintf("%s[%d]", path, i), element, line)
		}
	case scalar:
		line(path, v)
	}
}

// opaque are the members whose values differ from run to run, and what stands
// for them; a value that comes again is shown as the same one.
var opaque = map[string]string{
	"ReceiptHandle": "receipt", "NextToken": "token", "NextMarker": "token", "Marker": "token", "TaskHandle": "task",
	"CreatedTimestamp": "time", "LastModifiedTimestamp": "time", "SentTimestamp": "time", "ApproximateFirstReceiveTimestamp": "time",
	"StartedTimestamp": "time", "CreationTime": "time", "SenderId": "sender", "TableId": "id", "CodeSha256": "hash", "CodeSize": "size",
	"LatestStreamLabel": "time", "LastModified": "time", "RevisionId": "id", "UserId": "sender",
}

var (
	uuids    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	accounts = regexp.MustCompile(`\b[0-9]{12}\b`)
	instants = regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)?`)
	suffixes = regexp.MustCompile(`(:secret:[^ "]+)-[A-Za-z0-9]{6}\b`) // "Secret ARN": six random characters
)

// stable replaces what differs between two runs.
func (r *recorder) stable(s scalar) string {
	kind, replaced := opaque[s.member]
	if !replaced {
		return r.text(s.text)
	}
	if kind == "time" || kind == "size" || kind == "hash" || kind == "sender" {
		return "<" + kind + ">"
	}
	return r.numbered(kind, s.text)
}

// numbered stands for an id.
func (r *recorder) numbered(kind, id string) string {
	if r.ids[id] == "" {
		r.numbers[kind]++
		r.ids[id] = fmt.Sprintf("<%s %d>", kind, r.numbers[kind])
	}
	return r.ids[id]
}

func (r *recorder) text(s string) string {
	if r.prefix == "" {
		return s
	}
	s = strings.ReplaceAll(s, r.prefix, "~")
	s = strings.ReplaceAll(s, r.stack, "~stack")
	s = r.endpoint.ReplaceAllString(s, "<endpoint>")
	s = instants.ReplaceAllString(s, "<time>")
	s = suffixes.ReplaceAllString(s, "$1-<suffix>")
	s = uuids.ReplaceAllStringFunc(s, func(id string) string { return r.numbered("id", id) })
	s = accounts.ReplaceAllString(s, "<account>")
	s = strings.ReplaceAll(s, r.region, "<region>")
	if quoted := strconv.Quote(s); s == "" || s != strings.TrimSpace(s) || quoted != `"`+strings.ReplaceAll(s, `"`, `\"`)+`"` {
		s = quoted
	}
	return shorten(s)
}

// shorten keeps long values readable.
func shorten(s string) string {
	const most = 400
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", url.PathEscape(s[:20]), len(s))
}
