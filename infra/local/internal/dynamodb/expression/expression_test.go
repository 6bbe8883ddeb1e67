package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

var update = flag.Bool("update", false, "write the results that testdata is to hold")

// evaluators answer a golden case of the file they are named after.
var evaluators = map[string]func(s *Scope, text string, item attribute.Map) (string, error){
	"condition": func(s *Scope, text string, item attribute.Map) (string, error) {
		c, err := s.Condition("ConditionExpression", text)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(c.Holds(item)), nil
	},
	"keycondition": func(s *Scope, text string, _ attribute.Map) (string, error) {
		c, err := s.KeyCondition(text, "pk", "sk")
		if err != nil {
			return "", err
		}
		out := "pk = " + c.Partition.Text
		if c.Sort != nil {
			out += ", sk " + c.Sort.Operator
			for _, v := range c.Sort.Values {
				out += " " + v.Text
			}
		}
		return out, nil
	},
	"projection": func(s *Scope, text string, item attribute.Map) (string, error) {
		p, err := s.Projection(text)
		if err != nil {
			return "", err
		}
		return string(p.Of(item).AppendJSON(nil)), nil
	},
	"update": func(s *Scope, text string, item attribute.Map) (string, error) {
		u, err := s.Update(text)
		if err != nil {
			return "", err
		}
		before := string(item.AppendJSON(nil))
		after, err := u.Apply(item, true)
		if string(item.AppendJSON(nil)) != before {
			return "", errors.New("the old item was changed")
		}
		if err != nil {
			return "", err
		}
		return changed(item, after), nil
	},
}

// changed lists what differs between two items.
func changed(before, after attribute.Map) string {
	var out []string
	for _, f := range after {
		if old := before.Get(f.Name); old == nil || !old.Equal(f.Value) {
			json := attribute.Map{f}.AppendJSON(nil)
			out = append(out, string(json[1:len(json)-1]))
		}
	}
	for _, f := range before {
		if after.Get(f.Name) == nil {
			out = append(out, "no "+f.Name)
		}
	}
	if out == nil {
		return "unchanged"
	}
	return strings.Join(out, ", ")
}

// TestGoldenExpressions reads files of testdata: a head that says what item
// there is and what placeholders stand for, then cases: an expression, a
// dashed line, and its result or DynamoDB's error. A case is given those
// placeholders of the head that it mentions.
func TestGoldenExpressions(t *testing.T) {
	for name, evaluate := range evaluators {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txt")
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(string(data), "\n\n")
			given := map[string]string{}
			for line := range strings.SplitSeq(head, "\n") {
				key, value, _ := strings.Cut(line, " ")
				given[key] = value
			}
			item := parseMap(t, given["item"])
			values := parseMap(t, given["values"])
			var names map[string]string
			if err := json.Unmarshal([]byte(given["names"]), &names); err != nil {
				t.Fatal(err)
			}
			out := bytes.NewBufferString(head + "\n\n")
			for one := range strings.SplitSeq(strings.TrimSpace(rest), "\n\n") {
				text, want, _ := strings.Cut(one, "\n---\n")
				text = strings.TrimSuffix(text, "\n---")
				scope := &Scope{names: map[string]string{}}
				for key, value := range names {
					if strings.Contains(text, key) {
						scope.names[key] = value
					}
				}
				for _, f := range values {
					if strings.Contains(text, f.Name) {
						scope.values = append(scope.values, f)
					}
				}
				got, err := evaluate(scope, text, item)
				if err != nil {
					var refused *awswire.Error
					if !errors.As(err, &refused) || refused.Code != "ValidationException" {
						t.Fatalf("%s: not a ValidationException: %v", text, err)
					}
					got = refused.Message
				}
				fmt.Fprintf(out, "%s\n---\n%s\n\n", text, got)
				if got != want && !*update {
					t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
				}
			}
			if *update {
				if err := os.WriteFile(file, append(bytes.TrimSpace(out.Bytes()), '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func parseMap(t testing.TB, text string) attribute.Map {
	t.Helper()
	if text == "" {
		return nil
	}
	m, err := attribute.ParseMap([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPlaceholdersMustBeWellFormedAndUsed(t *testing.T) {
	for _, c := range []struct {
		name   string
		names  map[string]string
		values string
		text   string
		want   string
	}{
		{"all used", map[string]string{"#a": "a"}, `{":v":{"N":"1"}}`, "#a = :v", ""},
		{"used where evaluation never comes", map[string]string{"#a": "pk", "#b": "b"}, `{":v":{"S":"p"}}`, "attribute_exists(#a) OR #b = :v", ""},
		{"none given", nil, "", "attribute_exists(a)", ""},
		{"a name too many", map[string]string{"#a": "a", "#c": "c", "#b": "b"}, "", "attribute_exists(#a)", "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b, #c}"},
		{"a value too many", nil, `{":v":{"N":"1"},":w":{"N":"2"}}`, "a = :v", "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"},
		{"names without an expression", map[string]string{"#a": "a"}, "", "", "ExpressionAttributeNames can only be specified when using expressions"},
		{"values without an expression", nil, `{":v":{"N":"1"}}`, "", "ExpressionAttributeValues can only be specified when using expressions"},
		{"no names", map[string]string{}, "", "attribute_exists(a)", "ExpressionAttributeNames must not be empty"},
		{"no values", nil, "{}", "attribute_exists(a)", "ExpressionAttributeValues must not be empty"},
		{"a name without #", map[string]string{"a": "a"}, "", "attribute_exists(a)", `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{"a value with a hyphen", nil, `{":a-b":{"N":"1"}}`, "attribute_exists(a)", `ExpressionAttributeValues contains invalid key: Syntax error; key: ":a-b"`},
		{"an empty name", map[string]string{"#a": ""}, "", "attribute_exists(#a)", "ExpressionAttributeNames contains invalid value for key #a: an attribute's name has 1 to 65535 bytes (got 0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			scope, err := NewScope(c.names, parseMap(t, c.values))
			if err == nil && c.text != "" {
				_, err = scope.Condition("ConditionExpression", c.text)
			}
			if err == nil {
				err = scope.Unused()
			}
			got := ""
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "ValidationException: ")
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestExpressionsHaveLimits(t *testing.T) {
	scope := &Scope{values: parseMap(t, `{":v":{"N":"1"}}`)}
	for _, c := range []struct{ name, text, want string }{
		{"4096 bytes", "a" + strings.Repeat(" ", 4090) + "= :v", ""},
		{"4097 bytes", "a" + strings.Repeat(" ", 4092) + "= :v", "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"},
		{"299 operators", "a<b" + strings.Repeat(" or (a<b", 149) + strings.Repeat(")", 149), ""},
		{"301 operators", "a<b" + strings.Repeat(" or a<b", 150), "Invalid ConditionExpression: The expression contains too many operators; operator count: 301"},
		{"IN with 100 operands", "a IN (b" + strings.Repeat(",b", 98) + ")", ""},
		{"IN with 101 operands", "a IN (b" + strings.Repeat(",b", 99) + ")", "Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101"},
		{"deep parentheses", strings.Repeat("(", 2000) + "a<b" + strings.Repeat(")", 2000), "Invalid ConditionExpression: The expression has redundant parentheses;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if _, err := scope.Condition("ConditionExpression", c.text); err != nil {
				got = strings.TrimPrefix(err.Error(), "ValidationException: ")
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAnUpdateThatOnlyRemovesMakesNoItem(t *testing.T) {
	key := parseMap(t, `{"pk":{"S":"p"}}`)
	scope := &Scope{values: parseMap(t, `{":n":{"N":"1"},":s":{"SS":["a"]}}`)}
	for _, c := range []struct {
		text    string
		creates bool
		want    string
	}{
		{"REMOVE a, b.c, d[0] DELETE e :s", false, `{"pk":{"S":"p"}}`},
		{"ADD n :n REMOVE a", true, `{"n":{"N":"1"},"pk":{"S":"p"}}`},
		{"SET n = :n", true, `{"n":{"N":"1"},"pk":{"S":"p"}}`},
	} {
		u, err := scope.Update(c.text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.Apply(key, false)
		if err != nil || u.Creates() != c.creates || string(got.AppendJSON(nil)) != c.want {
			t.Errorf("%s: got %s, %v, creates %v; want %s, creates %v", c.text, got.AppendJSON(nil), err, u.Creates(), c.want, c.creates)
		}
	}
	u, err := scope.Update("SET a.b = :n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Apply(key, false); err == nil {
		t.Error("a part of an attribute was set in an item that does not exist")
	}
}

func TestTheCacheOfTextsIsBounded(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			scope := &Scope{}
			for i := range maxCached {
				if _, err := scope.Condition("ConditionExpression", fmt.Sprintf("attribute_exists(a%dx%d)", g, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(cache.texts); n == 0 || n > maxCached {
		t.Errorf("%d texts are cached, want 1 to %d", n, maxCached)
	}
}

// FuzzExpressions looks for texts that a parser cannot cope with, and for
// conditions and updates that cannot cope with an item.
func FuzzExpressions(f *testing.F) {
	for name := range evaluators {
		data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			f.Fatal(err)
		}
		for one := range strings.SplitSeq(string(data), "\n\n") {
			text, _, _ := strings.Cut(one, "\n---")
			f.Add(text)
		}
	}
	values := parseMap(f, `{":a":{"S":"a"},":l":{"L":[{"N":"1"}]},":m":{"M":{}},":n":{"N":"1"},":s":{"SS":["a"]}}`)
	item := parseMap(f, `{"a":{"S":"a"},"l":{"L":[{"N":"1"},{"M":{"k":{"N":"2"}}}]},"m":{"M":{"x":{"N":"7"}}},"n":{"N":"5"},"pk":{"S":"p"},"s":{"SS":["a"]}}`)
	names := map[string]string{"#a": "a", "#l": "l", "#n": "n"}
	f.Fuzz(func(t *testing.T, text string) {
		for name, evaluate := range evaluators {
			if _, err := evaluate(&Scope{names: names, values: values}, text, item); err != nil {
				var refused *awswire.Error
				if !errors.As(err, &refused) {
					t.Errorf("%s %q: %v", name, text, err)
				}
			}
		}
	})
}
