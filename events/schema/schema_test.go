package schema_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

var order = events.Type{Source: "shop", Name: "ORDER_PLACED"}

// set is a project's types whose schemas are given by "source/NAME".
func set(t testing.TB, schemas map[string]string) *schema.Set {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range schemas {
		files[name+".schema.json"] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := schema.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// orders is the one type of a shop: testdata/order.schema.json.
func orders(t testing.TB) *schema.Set {
	t.Helper()
	text, err := os.ReadFile("testdata/order.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return set(t, map[string]string{"shop/ORDER_PLACED": string(text)})
}

const right = `{"id": "O-1", "customerId": "01976e5a-8c00-7000-8000-000000000001", "total": 12.5, "status": "OPEN", "at": "2026-05-04T09:30:00.5+02:00",
	"note": null, "lines": [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2, "options": ["x"]}], "labels": {"a.b": "1"}}`

// with is the right order with some of its fields changed, a field for each
// pair; undefined takes it away.
func with(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(right), &fields); err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] == "undefined" {
			delete(fields, pair[0])
		} else {
			fields[pair[0]] = json.RawMessage(pair[1])
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDataThatIsAsItsSchemaSaysIsValid(t *testing.T) {
	s := orders(t)
	for _, data := range [][]byte{
		[]byte(right), with(t, "lines", "null"), with(t, "lines", "[]"), with(t, "labels", "undefined"), with(t, "note", `"x"`),
		with(t, "total", "1e300"), with(t, "parent", right), with(t, "level", "2"), with(t, "level", "2.0"), with(t, "unknown", "1"),
		with(t, "email", `"a@b.example"`), with(t, "receipt", `"aGVsbG8="`), with(t, "shipping", `{"name": "Ada"}`), with(t, "shipping", "null"),
	} {
		if err := s.Validate(order, data); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
	if err := s.ValidateStrict(order, []byte(right)); err != nil {
		t.Error(err)
	}
}

func TestAViolationSaysWhereItIsWhatWasWantedAndWhatIsThere(t *testing.T) {
	s := orders(t)
	long := strings.Repeat("ü", 5000)
	for _, c := range []struct {
		data []byte
		want string // the violations, with semicolons between
	}{
		{with(t, "total", `"much"`), `total must be a number (got "much")`},
		{with(t, "total", `{"secret": "x"}`), `total must be a number (got an object)`},
		{with(t, "id", `["secret"]`), `id must be a string (got a list)`},
		{with(t, "note", `5`), `note must be null or a string (got 5)`},
		{with(t, "level", `1.5`), `level must be a whole number (got 1.5)`},
		{with(t, "level", `4`), `level must be 1, 2 or 3 (got 4)`},
		{with(t, "count", `1.5`), `count must be a whole number (got 1.5)`},
		{with(t, "paid", `"true"`), `paid must be true or false (got "true")`},
		{with(t, "id", "undefined", "total", "undefined"), `id is required; total is required`},
		{with(t, "status", `"OPNE"`), `status must be "OPEN" or "CLOSED" (got "OPNE")`},
		{with(t, "version", `2`), `version must be 1 (got 2)`},
		{with(t, "at", `"yesterday"`), `at must be a time as in 2026-05-04T09:30:00Z (got "yesterday")`},
		{with(t, "customerId", `"C-1"`), `customerId must be a UUID (got "C-1")`},
		{with(t, "email", `"nobody"`), `email must be an email address (got "nobody")`},
		{with(t, "receipt", `"ü"`), `receipt must be text in base64 (got "ü")`},
		{with(t, "total", `0`), `total must be more than 0 (got 0)`},
		{with(t, "count", `-1`), `count must be at least 0 (got -1)`},
		{with(t, "count", `101`), `count must be at most 100 (got 101)`},
		{with(t, "id", `"X"`), `id must match ^O- (got "X")`},
		{with(t, "id", `""`), `id must have at least 1 characters (got ""); id must match ^O- (got "")`},
		{with(t, "id", `"`+long+`"`), `id must have at most 64 characters (got "` + strings.Repeat("ü", 39) + `"…); id must match ^O- (got "` + strings.Repeat("ü", 39) + `"…)`},
		{with(t, "lines", `[{"sku": "A", "quantity": "1"}, 5, {"sku": "A"}]`), `lines[0].quantity must be a number (got "1"); lines[1] must be an object (got 5); lines[2].quantity is required`},
		{with(t, "labels", `{"a.b": 1, "": 2, "x y": 3, "z": 4}`), `labels[""] must be a string (got 2); labels["a.b"] must be a string (got 1); labels["x y"] must be a string (got 3); labels.z must be a string (got 4)`},
		{with(t, "shipping", `{"name": 5}`), `shipping.name must be a string (got 5)`},
		{with(t, "shipping", `"home"`), `shipping must be an object or null (got "home")`},
		{with(t, "parent", string(with(t, "parent", string(with(t, "total", "null"))))), `parent.parent.total must be a number (got null)`},
		{[]byte(`[]`), `the data must be an object (got a list)`},
		{[]byte(`"` + long + `"`), `the data must be an object (got "` + strings.Repeat("ü", 39) + `"…)`},
		{with(t, "total", `1e999999999`), `total is too large or too long a number (got 1e999999999)`},
		{with(t, "total", `-1e-999999999`), `total is too large or too long a number (got -1e-999999999)`},
		{with(t, "total", strings.Repeat("9", 5000)), `total is too large or too long a number (got ` + strings.Repeat("9", 39) + `…)`},
	} {
		err := s.Validate(order, c.data)
		violated, ok := errors.AsType[*schema.Error](err)
		if !ok {
			t.Errorf("%.300s: got %v, want %s", c.data, err, c.want)
			continue
		}
		var got []string
		for _, v := range violated.Violations {
			got = append(got, v.Error())
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%.300s:\n got %s\nwant %s", c.data, text, c.want)
		}
		if violated.Type != order || !strings.HasPrefix(err.Error(), "event shop/ORDER_PLACED: ") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestDataThatIsNotJSONIsAViolation(t *testing.T) {
	s := orders(t)
	for data, want := range map[string]string{
		"":                            "event shop/ORDER_PLACED: the data is not JSON: it is empty",
		"{":                           "event shop/ORDER_PLACED: the data is not JSON: unexpected EOF",
		right + right:                 "event shop/ORDER_PLACED: the data is not JSON: something follows the value",
		strings.Repeat("[", 1e6):      "event shop/ORDER_PLACED: the data is not JSON: ",
		deep(`{"parent":`, "5", 2000): "is nested deeper than 500",
	} {
		err := s.Validate(order, []byte(data))
		if _, ok := errors.AsType[*schema.Error](err); !ok || !strings.Contains(err.Error(), want) || len(err.Error()) > 500 {
			t.Errorf("%.20s: got %.600v", data, err)
		}
	}
}

func deep(open, inner string, n int) string {
	closing := map[byte]string{'{': "}", '[': "]"}[open[0]]
	return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
}

func TestAnErrorIsShortHoweverMuchIsWrong(t *testing.T) {
	s := orders(t)
	data := with(t, "labels", `{"`+strings.Repeat("k", 5000)+`": 1}`, "lines", "["+strings.Repeat(`{"sku": 5},`, 20000)+"5]")
	violated, ok := errors.AsType[*schema.Error](s.Validate(order, data))
	if !ok || len(violated.Violations) != 20 || violated.More < 20000 {
		t.Fatalf("%d violations and %d more", len(violated.Violations), violated.More)
	}
	if text := violated.Error(); len(text) > 2000 || !strings.Contains(text, "; lines[1].quantity is required; lines[1].sku must be a string (got 5); and ") {
		t.Errorf("the error is %s", text)
	}
}

func TestStrictValidationRefusesFieldsThatTheSchemaDoesNotHave(t *testing.T) {
	s := orders(t)
	for _, c := range []struct {
		data []byte
		want string
	}{
		{with(t, "totl", "1"), "totl is no field of the type: did you mean total or note?"},
		{with(t, "lines", `[{"sku": "A", "quanity": 1, "quantity": 1}]`), "lines[0].quanity is no field of the type: did you mean lines[0].quantity?"},
		{with(t, "shipping", `{"name": "Ada", "nmae": "Ada"}`), "shipping.nmae is no field of the type: did you mean shipping.name?"},
		{with(t, "zzzzzzzzzzzzzz", "1"), "zzzzzzzzzzzzzz is no field of the type"},
		{with(t, "parent", string(with(t, "nte", `""`))), "parent.nte is no field of the type: did you mean parent.note"},
	} {
		err := s.ValidateStrict(order, c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.data, err, c.want)
		}
		if err := s.Validate(order, c.data); err != nil {
			t.Errorf("%s: a schema is open, and got %v", c.data, err)
		}
	}
}

func TestAnUnknownTypeIsToldWithTheNearest(t *testing.T) {
	s := orders(t)
	near := events.Type{Source: "shop", Name: "ORDER_PLCAED"}
	for _, err := range []error{s.Validate(near, []byte(right)), func() error { _, err := s.Find(near.String()); return err }(), func() error { _, err := s.Detail(near); return err }()} {
		if _, ok := errors.AsType[*schema.UnknownError](err); !ok || err.Error() != `no event type "shop/ORDER_PLCAED": did you mean shop/ORDER_PLACED?` {
			t.Errorf("got %v", err)
		}
	}
	if found, err := s.Find("shop/ORDER_PLACED"); err != nil || found != order {
		t.Errorf("got %v, %v", found, err)
	}
	_, err := set(t, nil).Find("shop/ORDER_PLACED")
	if err == nil || !strings.Contains(err.Error(), "go generate") {
		t.Errorf("got %v", err)
	}
}

func TestASchemaThatRefersElsewhereIsAnErrorAndNothingIsRead(t *testing.T) {
	secret := t.TempDir() + "/secret.json"
	if err := os.WriteFile(secret, []byte(`{"type": "string"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`{"$ref": "file://` + secret + `"}`,
		`{"$ref": "http://127.0.0.1:1/schema.json"}`,
		`{"$ref": "../../../etc/passwd"}`,
		`{"$schema": "http://127.0.0.1:1/schema.json"}`,
		`{"$dynamicRef": "other.json#x"}`,
		`{"$id": "file:///etc/", "$ref": "passwd"}`,
		`{"allOf": [{"$ref": "penstock:///shop/OTHER.schema.json"}]}`,
	} {
		s := set(t, map[string]string{"shop/ORDER_PLACED": text, "shop/OTHER": `{}`})
		err := s.Validate(order, []byte(`{}`))
		if err == nil || !strings.Contains(err.Error(), "a schema may not refer to") || !strings.Contains(err.Error(), "schemas/shop/ORDER_PLACED.schema.json") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestASchemaAtFaultNamesItsFile(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `5`, `{"type": "strin"}`, `{"minimum": 1e99999999}`, `{"pattern": "("}`, `{"$ref": "#/$defs/None"}`, `{"required": [5]}`, deep(`{"items":`, "{}", 600)} {
		s := set(t, map[string]string{"shop/ORDER_PLACED": text})
		err := s.Validate(order, []byte(`{}`))
		if _, violated := errors.AsType[*schema.Error](err); err == nil || violated || !strings.HasPrefix(err.Error(), "schemas/shop/ORDER_PLACED.schema.json: ") {
			t.Errorf("%.50s: got %.300v", text, err)
		}
		_, _ = s.Fields(order) // an error or not: no panic
		_, _ = s.Detail(order)
	}
}

func TestFieldsAreInTheSchemasOrderAndSayWhatTheyMayBe(t *testing.T) {
	fields, err := orders(t).Fields(order)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fields {
		line := f.Path + ": " + f.Wanted()
		if f.Required {
			line += ", required"
		}
		if f.Open {
			line += ", any key"
		}
		if f.Description != "" {
			line += " — " + f.Description
		}
		got = append(got, line)
	}
	want, err := os.ReadFile("testdata/order.fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, "\n") + "\n"; text != string(want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestInfoIsOfTheTypeAsAWhole(t *testing.T) {
	info, err := orders(t).Info(order)
	if want := (schema.Info{Title: "OrderPlaced", Description: "OrderPlaced: a customer has placed an order. It is not paid yet.", Code: 1042}); err != nil || info != want {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestADetailIsMetadataAndData(t *testing.T) {
	s := orders(t)
	text, err := s.Detail(order)
	if err != nil {
		t.Fatal(err)
	}
	details := set(t, map[string]string{"shop/ORDER_PLACED": string(text)})
	entry, err := events.Envelope{Metadata: events.Stamp(t.Context(), raw{}).Metadata, Event: raw{}}.Entry()
	if err != nil {
		t.Fatal(err)
	}
	if err := details.Validate(order, entry.Detail); err != nil {
		t.Errorf("%s: %v", entry.Detail, err)
	}
	for data, want := range map[string]string{
		`{"metadata": {"id": 5, "correlationId": "c", "occurredAt": "2026-05-04T09:30:00Z", "tenant": 1}, "data": ` + right + `}`: `metadata.id must be a string (got 5)`,
		`{"metadata": {"id": "5", "correlationId": "c", "occurredAt": "2026-05-04T09:30:00Z"}, "data": {}}`:                       `data.at is required`,
		`{"metadata": {"id": "5", "correlationId": "c", "occurredAt": "now"}, "data": ` + string(with(t, "shipping", `{}`)) + `}`: `data.shipping.name is required; metadata.occurredAt must be a time`,
		`{}`: `data is required; metadata is required`,
	} {
		if err := details.Validate(order, []byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", data, err, want)
		}
	}
}

// raw is an event whose data is the right order.
type raw struct{}

func (raw) EventType() events.Type       { return order }
func (raw) Schema() events.Event         { return raw{} }
func (raw) MarshalJSON() ([]byte, error) { return []byte(right), nil }

func TestTheMetadataSchemaDescribesWhatEveryEventCarries(t *testing.T) {
	var metadata struct {
		Properties map[string]any `json:"properties"`
		Defs       any            `json:"$defs"`
	}
	if err := json.Unmarshal(schema.Metadata(), &metadata); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(events.Metadata{CausationID: "x", UserID: "x", OrganisationID: "x", Traceparent: "x", Code: 1, Depth: 1})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if metadata.Properties[name] == nil {
			t.Errorf("the schema has no %s", name)
		}
	}
	if len(metadata.Properties) != len(fields) || metadata.Defs != nil {
		t.Errorf("the schema has %d fields and $defs %v, and metadata %d", len(metadata.Properties), metadata.Defs, len(fields))
	}
}

func TestASetServesManyAtOnce(t *testing.T) {
	s := orders(t)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			if err := s.Validate(order, []byte(right)); err != nil {
				t.Error(err)
			}
			if err := s.ValidateStrict(order, with(t, "totl", "1")); err == nil {
				t.Error("no error")
			}
		})
	}
}

// FuzzValidate: no file and no data makes the package panic, and an error is
// never long.
func FuzzValidate(f *testing.F) {
	text, err := os.ReadFile("testdata/order.schema.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text), right)
	for _, one := range []string{`{"$ref": "#"}`, `{"items": {"$ref": "#"}}`, `{"$dynamicRef": "#x", "$dynamicAnchor": "x"}`, `{"anyOf": [{"$ref": "#"}]}`, `{"$id": "x", "$defs": {"a": {"$id": "y"}}}`,
		`{"unevaluatedProperties": false, "if": {"required": ["a"]}, "then": false, "else": {"not": {}}}`, `{"multipleOf": 0.1, "uniqueItems": true, "contains": {}, "minContains": 2}`,
		`{"contentEncoding": "base64", "contentMediaType": "application/json", "contentSchema": {"type": "string"}}`, `{"dependentRequired": {"a": ["b"]}, "propertyNames": {"maxLength": 1}}`} {
		f.Add(one, `[1, [1, {"a": "IjEi"}], 1.0]`)
		f.Add(one, `{"a": {"b": null}}`)
	}
	f.Fuzz(func(t *testing.T, text, data string) {
		s := set(t, map[string]string{"shop/ORDER_PLACED": text})
		for _, validate := range []func(events.Type, []byte) error{s.Validate, s.ValidateStrict} {
			if violated, ok := errors.AsType[*schema.Error](validate(order, []byte(data))); ok && (len(violated.Violations) == 0 || len(violated.Error()) > 20_000) {
				t.Errorf("%d violations, %.500v", len(violated.Violations), violated)
			}
		}
		_, _ = s.Fields(order)
		_, _ = s.Info(order)
		if detail, err := s.Detail(order); err == nil && !json.Valid(detail) {
			t.Errorf("the detail is %s", detail)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	s := orders(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Validate(order, []byte(right)); err != nil {
			b.Fatal(err)
		}
	}
}
