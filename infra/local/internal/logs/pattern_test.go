package logs

import (
	"strings"
	"testing"
)

func TestFilterPatterns(t *testing.T) {
	const line = `{"id":"0199-a","level":"INFO","n":5,"record":{"type":"savings/FEE","ok":true},"text":"it \"works\""}`
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{``, true},
		{`INFO`, true},
		{`INFO savings`, true},
		{`INFO ERROR`, false},
		{`info`, false},
		{`"0199-a"`, true},
		{`"savings/FEE" INFO "ok"`, true},
		{`"\"id\":\"0199-a\""`, true},
		{`"0199-b"`, false},
		{`{ $.id = "0199-a" }`, true},
		{`{$.id="0199-a"&&$.n=5}`, true},
		{`{ $.n = 5.0 }`, true},
		{`{ $.n = "5" }`, false},
		{`{ $.n = 6 }`, false},
		{`{ $.level = INFO }`, true},
		{`{ $.record.type = "savings/FEE" && $.level = "INFO" }`, true},
		{`{ $.record.type = "savings/FEE" && $.level = "ERROR" }`, false},
		{`{ $.text = "it \"works\"" }`, true},
		{`{ $.record.type.deeper = "x" }`, false},
		{`{ $.missing = "x" }`, false},
	} {
		match, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		} else if got := match([]byte(line)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.pattern, got, c.want)
		}
	}
	match, err := parsePattern(`{ $.id = "x" }`)
	if err != nil || match([]byte("plain text")) {
		t.Error("a line that is not JSON matches no JSON pattern")
	}
}

func TestFilterPatternsBeyondTheSupportedAreNamed(t *testing.T) {
	for pattern, want := range map[string]string{
		`?ERROR ?WARN`:              `?ERROR`,
		`-INFO`:                     `-INFO`,
		`%regex%`:                   `%regex%`,
		`[ip, user]`:                `[ip,`,
		`0199-a`:                    `double quotes`,
		`"unclosed`:                 `"unclosed`,
		`{ $.a = "x" `:              `no closing }`,
		`{ $.a != "x" }`:            `$.a != "x"`,
		`{ $.a = "x" || $.b = 1 }`:  `|| $.b = 1`,
		`{ ($.a = "x") }`:           `($.a = "x")`,
		`{ $.a = "x*" }`:            `*`,
		`{ $.a = * }`:               `*`,
		`{ $.a[0] = "x" }`:          `$.a[0]`,
		`{ $.a IS TRUE }`:           `$.a IS TRUE`,
		`{ $.a = "x" && NOT EXISTS`: `no closing }`,
	} {
		if _, err := parsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error that names %s", pattern, err, want)
		}
	}
}
