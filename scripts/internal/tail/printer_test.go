package tail

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what is printed to testdata")

func sampleEvents(t *testing.T) []Event {
	t.Helper()
	lines, err := os.ReadFile("testdata/events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var out []Event
	for line := range strings.Lines(string(lines)) {
		e, err := Decode([]byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, e)
	}
	return out
}

func TestEventsArePrintedForPeople(t *testing.T) {
	for name, p := range map[string]*Printer{
		"plain":        {},
		"color":        {Color: true},
		"verbose":      {Verbose: true},
		"narrow":       {Width: func() int { return 72 }},
		"narrow-color": {Width: func() int { return 72 }, Color: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p.Out, p.Zone = &out, time.FixedZone("", 2*60*60)
			for _, e := range sampleEvents(t) {
				if err := p.Show(e); err != nil {
					t.Fatal(err)
				}
			}
			golden := "testdata/" + name + ".txt"
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("printed (run with -update if that is right)\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

func TestNothingThatAnEventHoldsReachesTheTerminalAsAControl(t *testing.T) {
	evil := `{"id":"1","source":"a\u001b[2J","detail-type":"b\u0007","time":"2026-01-02T03:04:05Z","detail":` +
		`{"metadata":{"id":"x\u001b]0;y","occurredAt":"2026-01-02T03:04:05Z"},"data":{"k\u001b[1m":"v\u001b[31m","c1":"` + "\u009b" + `31m","bidi":"` + "\u202e" + `"}}}`
	e, err := Decode([]byte(evil))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := Printer{Out: &out, Verbose: true}
	if err := p.Show(e); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u009b\u202e") {
		t.Fatalf("%q", out.String())
	}
}

func TestJSONIsOneEventALineAndWholeAsItCame(t *testing.T) {
	e, err := Decode([]byte("{\"id\": \"1\",\n \"source\": \"a&b\", \"detail-type\": \"T\", \"detail\": {\"n\": 1.50}, \"time\": \"2026-01-02T03:04:05Z\"}"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := JSONLines(&out)(e); err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"1","source":"a&b","detail-type":"T","detail":{"n":1.50},"time":"2026-01-02T03:04:05Z"}` + "\n"; out.String() != want {
		t.Fatalf("%s", out.String())
	}
}

func TestAMessageThatIsNoEventIsAnError(t *testing.T) {
	for _, body := range []string{``, `hello`, `[]`, `{}`, `{"id":"1"}`} {
		if _, err := Decode([]byte(body)); err == nil {
			t.Errorf("%q was read as an event", body)
		}
	}
}
