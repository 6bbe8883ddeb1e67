package awswire

import (
	"bytes"
	"context"
	"encoding/xml"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A QueryService is a service that speaks the query protocol: parameters are
// form fields, answers are XML. It is served by the same operations as AWS
// JSON, which the mux translates to and from: the form
//
//	Action=SendMessage&MessageAttribute.1.Name=Reason&MessageAttribute.1.Value.StringValue=why
//
// is to the operation SendMessage the JSON object
//
//	{"MessageAttributes": {"Reason": {"StringValue": "why"}}}
type QueryService struct {
	Namespace  string // of the XML answers
	Operations Operations
	// Numbers are the parameters that are whole numbers in JSON, Floats those
	// that are any numbers, and Booleans those that are true or false.
	Numbers, Floats, Booleans []string
	// Times are the members, of parameters and answers, that are points in time:
	// seconds since 1970 in JSON, ISO 8601 on the wire.
	Times []string
	// Maps are the maps that are written the protocol's default way, in elements
	// called "entry": by their names, what an entry calls its key and its value.
	Maps map[string][2]string
	// Lists are the lists and maps that are written element by element, each
	// under the list's own name. Any other list is written the protocol's
	// default way: its elements are all called "member".
	Lists []List
}

// List is a list or a map that the query protocol writes flat.
type List struct {
	JSON string // the member's name in JSON, like Attributes
	// Wire is the name of an element in forms and XML, like Attribute.
	// "{action}" in it stands for the operation's name.
	Wire string
	// Key and Value are what an entry of a map calls its two parts; both are
	// empty for a list.
	Key, Value string
	// Action, if set, is the one operation whose list this is; Answer says
	// that it is in its answer alone.
	Action string
	Answer bool
}

// list finds the list of which is says that it is the one.
func (s *QueryService) list(action string, is func(List) bool) (List, bool) {
	for _, l := range s.Lists {
		l.Wire = strings.ReplaceAll(l.Wire, "{action}", action)
		if (l.Action == "" || l.Action == action) && is(l) {
			return l, true
		}
	}
	return List{}, false
}

// Query registers a service that speaks the query protocol, by the service
// name in the request's credential scope.
func (m *Mux) Query(service string, q QueryService) { m.query[service] = &q }

// call answers one form with a whole XML document.
func (s *QueryService) call(ctx context.Context, form url.Values, requestID string) ([]byte, error) {
	action := form.Get("Action")
	operation, known := s.Operations[action]
	if !known {
		return nil, Errorf("InvalidAction", "operation %s is not supported by the local environment", action)
	}
	tree := node{}
	for name, values := range form {
		if name == "Action" || name == "Version" {
			continue
		}
		if len(values) != 1 {
			return nil, Errorf("MalformedQueryString", "parameter %s is given %d times", name, len(values))
		}
		if err := tree.put(strings.Split(name, "."), values[0]); err != nil {
			return nil, err
		}
	}
	parameters, err := s.object(action, tree)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	answer, err := operation(ctx, body)
	if err != nil {
		return nil, err
	}
	w := xmlWriter{service: s, action: action}
	w.open(action+"Response", s.Namespace)
	w.open(action+"Result", "")
	if err := w.members(jsontext.NewDecoder(bytes.NewReader(answer))); err != nil {
		return nil, err
	}
	w.close(action + "Result")
	w.open("ResponseMetadata", "")
	w.text("RequestId", requestID)
	w.close("ResponseMetadata")
	w.close(action + "Response")
	return w.out.Bytes(), nil
}

// node is what the dots in form fields' names make: a tree whose leaves are
// strings.
type node map[string]any // string or node

func (n node) put(path []string, value string) error {
	at := n
	for i, part := range path {
		if i == len(path)-1 {
			if _, taken := at[part]; !taken {
				at[part] = value
				return nil
			}
			break
		}
		next, ok := at[part].(node)
		if at[part] == nil {
			next, ok = node{}, true
			at[part] = next
		}
		if !ok {
			break
		}
		at = next
	}
	return Errorf("MalformedQueryString", "parameter %s contradicts another one", strings.Join(path, "."))
}

// elements returns the values of a node whose names are 1, 2, 3 and so on.
func (n node) elements(name string) ([]any, error) {
	out := make([]any, len(n))
	for index, value := range n {
		i, err := strconv.Atoi(index)
		if err != nil || i < 1 || i > len(n) {
			return nil, Errorf("MalformedQueryString", "parameter %s.%s: want elements numbered from 1 without a gap", name, index)
		}
		out[i-1] = value
	}
	return out, nil
}

// object is the JSON object that a node stands for.
func (s *QueryService) object(action string, n node) (map[string]any, error) {
	out := map[string]any{}
	for name, value := range n {
		to := name
		var err error
		if l, ok := s.list(action, func(l List) bool { return l.Wire == name && !l.Answer }); ok {
			to = l.JSON
			value, err = s.flat(action, l, value)
		} else {
			value, err = s.value(action, name, value)
		}
		if err != nil {
			return nil, err
		}
		out[to] = value
	}
	return out, nil
}

// value is the JSON value of a parameter that is not a flat list.
func (s *QueryService) value(action, name string, value any) (any, error) {
	switch v := value.(type) {
	case string:
		return s.scalar(name, v)
	case node:
		if of, ok := s.Maps[name]; ok {
			return s.flat(action, List{Wire: name + ".entry", Key: of[0], Value: of[1]}, v["entry"])
		}
		if list, ok := v["member"].(node); ok && len(v) == 1 {
			return s.flat(action, List{Wire: name + ".member"}, list)
		}
		return s.object(action, v)
	}
	return value, nil
}

// scalar is the JSON value of a parameter that is a text on the wire.
func (s *QueryService) scalar(name, text string) (any, error) {
	var value any
	var err error
	var want string
	switch name = strings.TrimSuffix(name, ".member"); {
	case slices.Contains(s.Numbers, name):
		want = "an integer"
		value, err = strconv.Atoi(text)
	case slices.Contains(s.Floats, name):
		want = "a number"
		value, err = strconv.ParseFloat(text, 64)
	case slices.Contains(s.Booleans, name):
		want = "true or false"
		value, err = strconv.ParseBool(text)
	case slices.Contains(s.Times, name):
		want = "a time like 2026-01-02T15:04:05Z"
		var at time.Time
		at, err = time.Parse(time.RFC3339, text)
		value = float64(at.UnixMilli()) / 1000
	default:
		return text, nil
	}
	if err != nil {
		return nil, Errorf("InvalidParameterValue", "Value %s for parameter %s is invalid. Reason: Must be %s", text, name, want)
	}
	return value, nil
}

// flat is the JSON array or object of a flat list's elements.
func (s *QueryService) flat(action string, l List, value any) (any, error) {
	n, ok := value.(node)
	if !ok {
		if value == "" {
			n = node{} // how an empty list is written
		} else if l.Key != "" {
			return nil, Errorf("MalformedQueryString", "parameter %s is a map: want %s.1.%s and %s.1.%s", l.Wire, l.Wire, l.Key, l.Wire, l.Value)
		} else {
			n = node{"1": value} // SQS takes a lone element without its number
		}
	}
	elements, err := n.elements(l.Wire)
	if err != nil {
		return nil, err
	}
	if l.Key == "" {
		for i, e := range elements {
			if elements[i], err = s.value(action, l.Wire, e); err != nil {
				return nil, err
			}
		}
		return elements, nil
	}
	out := map[string]any{}
	for _, e := range elements {
		entry, _ := e.(node)
		key, ok := entry[l.Key].(string)
		if !ok || len(entry) != 2 || entry[l.Value] == nil {
			return nil, Errorf("MalformedQueryString", "parameter %s: an element needs %s and %s, and nothing else", l.Wire, l.Key, l.Value)
		}
		if out[key], err = s.value(action, l.Value, entry[l.Value]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// xmlWriter writes a JSON answer as XML.
type xmlWriter struct {
	service *QueryService
	action  string
	out     bytes.Buffer
}

func (w *xmlWriter) open(name, namespace string) {
	w.out.WriteString("<" + name)
	if namespace != "" {
		w.out.WriteString(` xmlns="` + namespace + `"`)
	}
	w.out.WriteByte('>')
}

func (w *xmlWriter) close(name string) { w.out.WriteString("</" + name + ">") }

func (w *xmlWriter) text(name, value string) {
	w.open(name, "")
	_ = xml.EscapeText(&w.out, []byte(value)) // a buffer takes everything
	w.close(name)
}

// each calls element for every element of the array or object that comes
// next; key is empty for an array's.
func each(d *jsontext.Decoder, element func(key string) error) error {
	start, err := d.ReadToken()
	if err != nil {
		return err
	}
	object := start.Kind() == '{'
	for d.PeekKind() != '}' && d.PeekKind() != ']' {
		key := ""
		if object {
			token, err := d.ReadToken()
			if err != nil {
				return err
			}
			key = token.String()
		}
		if err := element(key); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}

// members writes the members of the object that comes next.
func (w *xmlWriter) members(d *jsontext.Decoder) error {
	return each(d, func(name string) error {
		if l, ok := w.service.list(w.action, func(l List) bool { return l.JSON == name }); ok && d.PeekKind() != 'n' {
			return each(d, func(key string) error {
				if l.Key == "" {
					return w.value(d, l.JSON, l.Wire)
				}
				w.open(l.Wire, "")
				w.text(l.Key, key)
				err := w.value(d, l.Value, l.Value)
				w.close(l.Wire)
				return err
			})
		}
		return w.value(d, name, name)
	})
}

// value writes the value that comes next as an element; null is left out. of is
// the member that it is, or is an element of.
func (w *xmlWriter) value(d *jsontext.Decoder, of, name string) error {
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '{':
		w.open(name, "")
		var err error
		if entry, ok := w.service.Maps[of]; ok {
			err = each(d, func(key string) error {
				w.open("entry", "")
				w.text(entry[0], key)
				err := w.value(d, entry[1], entry[1])
				w.close("entry")
				return err
			})
		} else {
			err = w.members(d)
		}
		w.close(name)
		return err
	case '[':
		w.open(name, "")
		err := each(d, func(string) error { return w.value(d, name, "member") })
		w.close(name)
		return err
	}
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	text := token.String()
	if token.Kind() == '0' && slices.Contains(w.service.Times, of) {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		text = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	w.text(name, text)
	return nil
}
