package fastjson_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/functions/handler/internal/fastjson"
)

type currency string

// level decodes itself from a text.
type level int

func (l *level) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "level-%d", l)
	return err
}

// upper decodes itself from JSON, null included.
type upper string

func (u *upper) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return fmt.Errorf("a list")
	}
	*u = upper("<" + string(data) + ">")
	return nil
}

// everything has what there is a fast path for.
type everything struct {
	Text     string             `json:"text"`
	Named    currency           `json:"named,omitempty"`
	Bool     bool               `json:"bool"`
	Int      int                `json:"int"`
	Int8     int8               `json:"int8"`
	Uint     uint               `json:"uint"`
	Uint8    uint8              `json:"uint8"`
	Float    float64            `json:"float"`
	Float32  float32            `json:"float32"`
	Time     time.Time          `json:"time"`
	Raw      json.RawMessage    `json:"raw"`
	Level    level              `json:"level"`
	Upper    upper              `json:"upper"`
	Pointer  *string            `json:"pointer"`
	When     *time.Time         `json:"when"`
	Deep     **int              `json:"deep"`
	List     []string           `json:"list"`
	Lists    [][]*int           `json:"lists"`
	Map      map[string]float64 `json:"map"`
	Maps     map[currency]*part `json:"maps"`
	Parts    []part             `json:"parts"`
	Part     part               `json:"part"`
	Self     *everything        `json:"self"`
	NoTag    string
	Dash     string `json:"-"`
	Hyphen   string `json:"a-b.c_d"`
	internal int
}

type part struct {
	Name  string            `json:"name"`
	Count *int64            `json:"count"`
	Notes map[string]string `json:"notes"`
}

// mixed has what there is none for.
type mixed struct {
	part
	Any    any     `json:"any"`
	Quoted int     `json:"quoted,string"`
	Bytes  []byte  `json:"bytes"`
	Array  [2]int  `json:"array"`
	Case   string  `json:"case"`
	CASE   float64 `json:"CASE"`
}

var seeds = []string{
	`{"text":"a","named":"EUR","bool":true,"int":-12,"int8":127,"uint":7,"uint8":255,"float":1.5e3,"float32":0.1,"time":"2026-01-02T03:04:05.678Z","raw":{"a":[1, 2]},"level":"level-3","upper":7,"pointer":"p","when":"2026-01-02T03:04:05+01:00","deep":5,"list":["a","b","c","d","e"],"lists":[[1,null],[],null],"map":{"a":1,"a":2,"\u0062":3},"maps":{"EUR":{"name":"n","count":3},"USD":null},"parts":[{"name":"x","notes":{"k":"v"}},{}],"part":{"name":"y"},"self":{"text":"b","self":null},"NoTag":"n","Dash":"d","-":"e","a-b.c_d":"h","internal":3}`,
	` { "text" : "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00" , "unknown" : [ { "x" : -0.0e+1 } , null , "\ud800" ] } ` + "\n",
	`{"text":null,"named":null,"bool":null,"int":null,"uint":null,"float":null,"time":null,"raw":null,"level":null,"upper":null,"pointer":null,"deep":null,"list":null,"map":null,"parts":null,"part":null,"self":null}`,
	`{"text":"\ud800"}`, `{"text":"\ud83dx"}`, `{"text":"\ud83d\u0041"}`, "{\"text\":\"\xff\"}", "{\"text\":\"é\"}", "{\"\xff\":1}", "{\"text\":\"\x01\"}",
	`{"TEXT":"folded"}`, `{"text":"a","TEXT":"b"}`, `{"Text":"b","text":"a"}`, `{"tex\u0074":"escaped"}`, `{"ſelf":{}}`,
	`{"list":["a","b"],"list":[null]}`, `{"part":{"name":"a"},"part":{"count":1}}`, `{"text":"a","text":null}`, `{"map":{"a":1},"map":{"b":2}}`,
	`{"int":1.0}`, `{"int":1e2}`, `{"int":9223372036854775808}`, `{"int8":128}`, `{"uint":-1}`, `{"uint":-0}`, `{"int":-0}`, `{"float":-0}`, `{"float":1e999}`, `{"float32":1e39}`, `{"float":123456789012345678901234567890}`, `{"int":01}`, `{"int":"1"}`, `{"float":.5}`, `{"float":1.}`, `{"float":+1}`, `{"float":1e}`, `{"float":-}`, `{"float":0x1}`, `{"float":NaN}`, `{"float":1_0}`,
	`{"time":"yesterday"}`, `{"time":"2026-01-02T03:04:05\u005a"}`, `{"level":3}`, `{"level":"x"}`, `{"level":"level\u002d9"}`, `{"upper":[1]}`, `{"upper":{"a" : 1}}`,
	`{"raw": [1 , 2] }`, `{"raw":}`, `{"raw":tru}`, `{"bool":truex}`, `{"bool":"true"}`,
	``, ` `, `null`, `nul`, `nullx`, `true`, `1`, `"a"`, `[]`, `{`, `}`, `{}`, `{}{}`, `{} x`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{'a':1}`, `{"list":[,]}`, `{"list":["a",]}`, `{"list":["a" "b"]}`, `{"list":{}}`, `{"map":[]}`, `{"part":[]}`, `{"text":"\x"}`, `{"text":"\u12"}`, `{"text":"\u12g4"}`, `{"text":"`, `{"text":"\`, `{"text":"\u`, "\ufeff{}",
	`{"name":"embedded","any":[1],"quoted":"3","bytes":"AAEC","array":[1,2,3],"case":"a","CASE":2,"Case":"b"}`,
}

func TestDecodesWhatEncodingJSONDoes(t *testing.T) {
	for _, seed := range seeds {
		same(t, seed)
	}
}

func TestWhatWasDecodedIsNoPartOfTheBytes(t *testing.T) {
	long := strings.Repeat(" ", 5000)
	for _, seed := range seeds {
		same(t, long+seed)
		same(t, seed+long)
	}
	text := fmt.Sprintf(`{"text":"%s","list":["short","%s"],"map":{"key":1},"raw":[1]}`, strings.Repeat("x", 5000), strings.Repeat("y", 200))
	same(t, text)
}

func FuzzDecode(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { same(t, text) })
}

// same checks that a text is the same to both, for types of every kind.
func same(t *testing.T, text string) {
	t.Helper()
	sameAs[everything](t, text)
	sameAs[mixed](t, text)
	sameAs[part](t, text)
	sameAs[map[string]map[string]part](t, text)
	sameAs[[]*everything](t, text)
	sameAs[*part](t, text)
	sameAs[string](t, text)
	sameAs[float32](t, text)
	sameAs[any](t, text)
	sameAs[json.RawMessage](t, text)
}

func sameAs[T any](t *testing.T, text string) {
	t.Helper()
	var want, got T
	wantErr := json.Unmarshal([]byte(text), &want)
	data := []byte(text)
	gotErr := fastjson.Unmarshal(data, &got)
	for i := range data {
		data[i] = '!' // it is the caller's
	}
	if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		t.Errorf("%T of %q: the error is %v, want %v", want, text, gotErr, wantErr)
	}
	var again T
	if err := fastjson.UnmarshalString(text, &again); fmt.Sprint(err) != fmt.Sprint(gotErr) || !reflect.DeepEqual(again, got) {
		t.Errorf("%T of %q: the string gives %+v, %v; the bytes %+v, %v", want, text, again, err, got, gotErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%T of %q:\n got %+v\nwant %+v", want, text, got, want)
	}
	// DeepEqual has no eye for the sign of zero.
	if g, ok := any(got).(everything); ok {
		if w := any(want).(everything); math.Signbit(g.Float) != math.Signbit(w.Float) {
			t.Errorf("%q: the sign of zero differs", text)
		}
	}
}
