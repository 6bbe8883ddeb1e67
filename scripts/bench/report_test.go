package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func printed(t *testing.T, format string, results ...result) (out, notes string) {
	t.Helper()
	var o, n bytes.Buffer
	r := report{}
	r.begin()
	r.add(results...)
	if err := r.print(&o, &n, format); err != nil {
		t.Fatal(err)
	}
	return o.String(), n.String()
}

var (
	compared = result{Name: "relay", Value: 300, Unit: "1/s", Goal: "ratio ≥ 2"}.against("a loop", 200)
	alone    = result{Name: "size", Value: 7, Unit: "MB"}
)

func TestJSONIsOneResultALine(t *testing.T) {
	out, notes := printed(t, "json", compared, alone)
	want := `{"name":"relay","value":300,"unit":"1/s","peer":"a loop","peerValue":200,"ratio":1.5}
{"name":"size","value":7,"unit":"MB","peer":null,"peerValue":null,"ratio":null}
`
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if !strings.Contains(notes, "cores") {
		t.Errorf("the machine is not told: %q", notes)
	}
}

func TestTheTableShowsThePeerTheRatioAndTheMachine(t *testing.T) {
	out, _ := printed(t, "table", compared, alone)
	for _, want := range []string{"relay", "300", "200", "1.50", "a loop", "ratio ≥ 2", "cores"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

func TestAFigureHasThreeDigits(t *testing.T) {
	for value, want := range map[float64]string{0: "0.00", 0.0123: "0.0123", 0.95: "0.950", 1.2345: "1.23", 12.345: "12.3", 123.45: "123", 12345.6: "12346"} {
		if got := figure(value); got != want {
			t.Errorf("%v is written %s, want %s", value, got, want)
		}
	}
}
