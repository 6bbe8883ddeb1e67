package manifest_test

import (
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// relays makes a function that receives and publishes, as "receives > publishes".
func relays(name, flow string) manifest.Function {
	f := manifest.Function{Name: name}
	in, out, _ := strings.Cut(flow, ">")
	for i, event := range strings.Fields(in) {
		f.Subscriptions = append(f.Subscriptions, manifest.Subscription{Name: string(rune('a' + i)), Event: event})
	}
	f.Publishes = strings.Fields(out)
	return f
}

func TestALoopOfEventsIsRefusedUnlessAFunctionInItAllowsIt(t *testing.T) {
	allowed := func(f manifest.Function) manifest.Function {
		f.AllowLoop = true
		return f
	}
	for _, c := range []struct {
		what      string
		functions []manifest.Function
		want      []string // none: no fault
	}{
		{"a chain", []manifest.Function{relays("a", "s/A > s/B"), relays("b", "s/B > s/C"), relays("c", "s/C >")}, nil},
		{"two ways to one end", []manifest.Function{relays("a", "s/A > s/B s/C"), relays("b", "s/B > s/D"), relays("c", "s/C > s/D"), relays("d", "s/D >")}, nil},
		{"itself", []manifest.Function{relays("a", "s/A > s/A")}, []string{`a → s/A → a: break it, or, if it has an end, say "allowLoop": true in functions/a/function.json`}},
		{"itself, allowed", []manifest.Function{allowed(relays("a", "s/A > s/A"))}, nil},
		{"two", []manifest.Function{relays("a", "s/A > s/B"), relays("b", "s/B > s/A")}, []string{"a → s/B → b → s/A → a"}},
		{"two, one allows it", []manifest.Function{relays("a", "s/A > s/B"), allowed(relays("b", "s/B > s/A"))}, nil},
		{"three behind a way in", []manifest.Function{relays("in", "s/X > s/A"), relays("a", "s/A > s/B"), relays("b", "s/B > s/C"), relays("c", "s/C > s/A")},
			[]string{"a → s/B → b → s/C → c → s/A → a"}},
		{"two loops through one function", []manifest.Function{relays("a", "s/A > s/B s/C"), relays("b", "s/B > s/A"), relays("c", "s/C > s/A")},
			[]string{"a → s/B → b → s/A → a", "a → s/C → c → s/A → a"}},
		{"an allowed loop hides no other", []manifest.Function{relays("a", "s/A > s/B"), allowed(relays("b", "s/B > s/A")), relays("c", "s/C > s/C")}, []string{"c → s/C → c"}},
		{"the same event twice", []manifest.Function{relays("a", "s/A s/A > s/A")}, []string{"a → s/A → a"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := manifest.CheckLoops(c.functions)
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range c.want {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}
