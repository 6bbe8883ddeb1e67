package cli

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// program is a small one: shop [orders [list | show ID]] [ship].
func program() (*cobra.Command, *Flags) {
	var flags Flags
	done := func(*cobra.Command, []string) error { return nil }
	root := &cobra.Command{Use: "shop"}
	flags.Add(root)
	orders := &cobra.Command{Use: "orders", Short: "Orders"}
	list := &cobra.Command{Use: "list", Args: cobra.NoArgs, RunE: done}
	list.Flags().Int("limit", 0, "")
	orders.AddCommand(list, &cobra.Command{Use: "show ID", Args: cobra.ExactArgs(1), RunE: done})
	root.AddCommand(orders, &cobra.Command{Use: "ship", Hidden: true, RunE: done})
	prepare(root)
	root.SetOut(io.Discard)
	return root, &flags
}

func TestAMistakeIsAMisuseThatOffersTheNearest(t *testing.T) {
	for line, want := range map[string]string{
		"ordres":                 `unknown command "ordres" for "shop": did you mean orders? (see ` + "`shop --help`)",
		"zzzzzzzzzz":             `unknown command "zzzzzzzzzz" for "shop" (see ` + "`shop --help`)",
		"orders lits":            `unknown command "lits" for "shop orders": did you mean list?`,
		"orders show":            "accepts 1 arg(s), received 0: want `shop orders show ID` (see `shop orders show --help`)",
		"orders list now":        `unknown command "now" for "shop orders list" (see`,
		"orders list --limt 3":   `unknown flag: --limt: did you mean --limit? (see ` + "`shop orders list --help`)",
		"orders list --ouptut x": `did you mean --output?`,
		"orders list -z":         `unknown shorthand flag: 'z' in -z (see`,
		"orders list --limit x":  `invalid argument "x" for "--limit" flag`,
		"orders list -o xml":     `--output "xml": want table or json`,
		"help ordres":            `did you mean orders?`,
		"help orders lits":       `did you mean list?`,
		"completion bsh":         `did you mean bash`,
	} {
		root, _ := program()
		root.SetArgs(strings.Fields(line))
		err := root.Execute()
		var misuse Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), want) {
			t.Errorf("shop %s: %v; want a misuse that says %s", line, err, want)
		}
	}
}

func TestAGroupAloneAndHelpTellOfTheCommands(t *testing.T) {
	for _, line := range []string{"", "orders", "help orders", "orders --help", "help"} {
		root, _ := program()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(strings.Fields(line))
		if err := root.Execute(); err != nil || !strings.Contains(out.String(), "Usage:") {
			t.Errorf("shop %s: %v, %s", line, err, out.String())
		}
	}
}

func TestNoColorIsTheVariableOrTheFlag(t *testing.T) {
	for _, c := range []struct {
		variable string
		args     []string
		want     bool
	}{
		{"", nil, false}, {"1", nil, true}, {"", []string{"--no-color"}, true}, {"1", []string{"--no-color=false"}, false},
	} {
		t.Setenv("NO_COLOR", c.variable)
		root, flags := program()
		root.SetArgs(append([]string{"orders", "list"}, c.args...))
		if err := root.Execute(); err != nil || flags.NoColor != c.want {
			t.Errorf("NO_COLOR=%q %v: %v, %v", c.variable, c.args, flags.NoColor, err)
		}
		if flags.Color(&bytes.Buffer{}) {
			t.Error("colours for what is no terminal")
		}
	}
}

func TestNearestNames(t *testing.T) {
	known := []string{"withdrawal-fee", "trade-allocated", "outbox-relay"}
	for name, want := range map[string][]string{
		"withdrawl-fee":  {"withdrawal-fee"},
		"Withdrawal-Fee": {"withdrawal-fee"},
		"relay":          {"outbox-relay"},
		"xyz":            nil,
	} {
		if got := Nearest(name, known); !slices.Equal(got, want) {
			t.Errorf("Nearest(%s) = %v, want %v", name, got, want)
		}
	}
	if err := Unknown("function", "xyz", known); !strings.Contains(err.Error(), "there are withdrawal-fee, trade-allocated, outbox-relay") {
		t.Error(err)
	}
	if err := Unknown("function", "xyz", nil); !strings.Contains(err.Error(), "there are none") {
		t.Error(err)
	}
}

func TestExitStatusTellsWhatKindOfEndItWas(t *testing.T) {
	for _, c := range []struct {
		err     error
		status  int
		printed string
	}{
		{nil, ExitDone, ""},
		{errors.New("broke"), ExitFailed, "shop: broke\n"},
		{ErrTold, ExitFailed, ""},
		{Misusef("what?"), ExitMisuse, "shop: what?\n"},
		{errors.Join(errors.New("a"), Misusef("b")), ExitMisuse, "shop: a\nb\n"},
		{Refusedf("no"), ExitRefused, "shop: no\n"},
	} {
		var stderr strings.Builder
		if got := Exit(&stderr, "shop", c.err); got != c.status || stderr.String() != c.printed {
			t.Errorf("%v: status %d, printed %q", c.err, got, stderr.String())
		}
	}
}

func TestConfirmRefusesWithoutATerminal(t *testing.T) {
	var refused Refused
	err := Confirm(t.Context(), strings.NewReader("y\n"), io.Discard, false, "Delete it?")
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "say -y to go on") {
		t.Error(err)
	}
	if err := Confirm(t.Context(), strings.NewReader(""), io.Discard, true, "Delete it?"); err != nil {
		t.Error(err)
	}
}
