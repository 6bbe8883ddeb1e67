package tail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func TestSourcesAndTypesMakeAPattern(t *testing.T) {
	for _, c := range []struct {
		sources, types []string
		want           string
	}{
		{nil, nil, `{"source":[{"prefix":""}]}`},
		{[]string{"savings"}, nil, `{"source":["savings"]}`},
		{[]string{"savings", "trading", "savings"}, nil, `{"source":["savings","trading"]}`},
		{nil, []string{"FEE_CHARGED"}, `{"detail-type":["FEE_CHARGED"]}`},
		{nil, []string{"savings/FEE_CHARGED"}, `{"source":["savings"],"detail-type":["FEE_CHARGED"]}`},
		{nil, []string{"savings/A", "savings/B", "savings/A"}, `{"source":["savings"],"detail-type":["A","B"]}`},
		{nil, []string{"savings/A", "trading/B"}, `{"$or":[{"source":["savings"],"detail-type":["A"]},{"source":["trading"],"detail-type":["B"]}]}`},
		{nil, []string{"savings/A", "B"}, `{"$or":[{"source":["savings"],"detail-type":["A"]},{"detail-type":["B"]}]}`},
		{[]string{"savings"}, []string{"A", "savings/B"}, `{"$or":[{"source":["savings"],"detail-type":["B"]},{"source":["savings"],"detail-type":["A"]}]}`},
		{[]string{"savings", "trading"}, []string{"savings/A"}, `{"source":["savings"],"detail-type":["A"]}`},
		{[]string{"a<b"}, []string{"NAME/WITH/SLASH"}, ``},
		{[]string{"a<b"}, []string{"a<b/EC2 State-change"}, `{"source":["a<b"],"detail-type":["EC2 State-change"]}`},
	} {
		got, err := Filter{Sources: c.sources, Types: c.types}.EventPattern(nil)
		if c.want == "" {
			if err == nil {
				t.Errorf("%v %v: no error, but %s", c.sources, c.types, got)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%v %v: got %s, %v\nwant %s", c.sources, c.types, got, err, c.want)
			continue
		}
		if _, err := pattern.Parse([]byte(got)); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestThePatternOfEverythingMatchesEveryEvent(t *testing.T) {
	p, err := pattern.Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range sampleEvents(t) {
		if ok, err := p.Match(e.JSON); !ok || err != nil {
			t.Errorf("%s: %v %v", e.JSON, ok, err)
		}
	}
}

func TestAPatternIsTypedOrReadFromAFileOrFromStandardInput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pattern.json")
	if err := os.WriteFile(file, []byte("{\n  \"source\": [\"savings\"]\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{`{"source": ["savings"]}`, "  {\"source\": [\"savings\"]}", file, "@" + file, "-"} {
		got, err := Filter{Pattern: given}.EventPattern(strings.NewReader(`{"source":["savings"]}`))
		if err != nil || got != `{"source":["savings"]}` {
			t.Errorf("%s: %s, %v", given, got, err)
		}
	}
}

func TestWhatCannotBeAPatternIsAMisuseThatSaysWhy(t *testing.T) {
	for want, f := range map[string]Filter{
		"--pattern: event pattern: source":                {Pattern: `{"source": "savings"}`},
		"no such file":                                    {Pattern: "@none.json"},
		"begins with a brace":                             {Pattern: "source=savings"},
		"--pattern says all there is to match":            {Pattern: `{"source":["a"]}`, Sources: []string{"b"}},
		"--type trading/X is not of --source savings":     {Sources: []string{"savings"}, Types: []string{"trading/X"}},
		`--type "/X": want NAME or source/NAME`:           {Types: []string{"/X"}},
		"take a name, not an empty text":                  {Types: []string{""}},
		"has 2515 characters, and EventBridge takes 2048": {Sources: []string{strings.Repeat("x", 2500)}},
	} {
		_, err := f.EventPattern(nil)
		var misuse cli.Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant a misuse: %s", err, want)
		}
	}
}
