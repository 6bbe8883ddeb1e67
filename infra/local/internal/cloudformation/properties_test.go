package cloudformation_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
)

type everything struct {
	Text     string
	Flag     bool
	Count    int
	Small    int8
	Ratio    float64
	List     []string
	Map      map[string]int
	Nested   struct{ Text string }
	Optional *int
	Pointers []*struct {
		Name string `json:"name,omitempty"`
	}
	Document json.RawMessage
	Any      any
	ignored  string
}

func decode(t *testing.T, properties string) (everything, error) {
	t.Helper()
	r := cloudformation.Resource{Stack: "shop", LogicalID: "X", Type: "T"}
	decoder := json.NewDecoder(strings.NewReader(properties))
	decoder.UseNumber()
	if err := decoder.Decode(&r.Properties); err != nil {
		t.Fatal(err)
	}
	var got everything
	return got, r.DecodeProperties(&got)
}

func TestPropertiesAreDecodedAsCloudFormationConvertsThem(t *testing.T) {
	seven := 7
	for properties, want := range map[string]everything{
		`{}`:                            {},
		`{"Text": "a", "Flag": true}`:   {Text: "a", Flag: true},
		`{"Text": 3.0e2}`:               {Text: "3.0e2"},
		`{"Text": false}`:               {Text: "false"},
		`{"Flag": "true"}`:              {Flag: true},
		`{"Flag": "False"}`:             {},
		`{"Count": "300"}`:              {Count: 300},
		`{"Count": -1, "Ratio": "0.5"}`: {Count: -1, Ratio: 0.5},
		`{"Optional": 7}`:               {Optional: &seven},
		`{"List": ["a", 1, true]}`:      {List: []string{"a", "1", "true"}},
		`{"List": []}`:                  {List: []string{}},
		`{"Map": {"a": "1"}}`:           {Map: map[string]int{"a": 1}},
		`{"Nested": {"Text": "a"}}`:     {Nested: struct{ Text string }{"a"}},
		`{"Document": {"n": [{"numeric": [">", 1.0]}]}}`: {Document: json.RawMessage(`{"n":[{"numeric":[">",1.0]}]}`)},
		`{"Any": {"a": [1]}}`:                            {Any: map[string]any{"a": []any{json.Number("1")}}},
		`{"Pointers": [{"name": "a"}]}`: {Pointers: []*struct {
			Name string `json:"name,omitempty"`
		}{{Name: "a"}}},
	} {
		got, err := decode(t, properties)
		if err != nil {
			t.Errorf("%s: %v", properties, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", properties, got, want)
		}
	}
}

func TestPropertiesThatDoNotFitAreAllNamed(t *testing.T) {
	for properties, want := range map[string][]string{
		`{"Foo": 1, "text": "a", "ignored": "a"}`: {
			"Foo is not supported by the local environment",
			"ignored is not supported by the local environment",
			"text is not supported by the local environment",
		},
		`{"Nested": {"Foo": 1}}`:        {"Nested.Foo is not supported by the local environment"},
		`{"Pointers": [{"Name": "a"}]}`: {"Pointers[0].Name is not supported by the local environment"},
		`{"Text": {}}`:                  {"Text must be a string, not an object"},
		`{"Flag": "yes"}`:               {`Flag must be true or false, not the string "yes"`},
		`{"Count": 1.5, "Small": 300}`:  {"Count must be a whole number of 64 bits, not the number 1.5", "Small must be a whole number of 8 bits, not the number 300"},
		`{"Count": true}`:               {"Count must be a whole number of 64 bits, not true"},
		`{"Ratio": "half"}`:             {`Ratio must be a number, not the string "half"`},
		`{"List": "a"}`:                 {`List must be a list, not the string "a"`},
		`{"List": [["a"]]}`:             {"List[0] must be a string, not a list"},
		`{"Map": [1], "Nested": "a"}`:   {"Map must be an object, not a list", `Nested must be an object, not the string "a"`},
		`{"Map": {"a": "b"}}`:           {`Map.a must be a whole number of 64 bits, not the string "b"`},
	} {
		var lines []string
		for _, line := range want {
			lines = append(lines, `T "X" (stack shop): property `+line)
		}
		_, err := decode(t, properties)
		if got, want := fmt.Sprint(err), strings.Join(lines, "\n"); got != want {
			t.Errorf("%s: got error:\n%s\nwant error:\n%s", properties, got, want)
		}
	}
}
