package cli_test

import (
	"errors"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func TestATimeIsADurationBackATimeOrADate(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct{ text, want string }{
		{"10m", "2026-03-04T04:56:07Z"},
		{"7d", "2026-02-25T05:06:07Z"},
		{"0s", "2026-03-04T05:06:07Z"},
		{"2026-03-02T09:00:00+01:00", "2026-03-02T08:00:00Z"},
		{"2026-03-02", "2026-03-02T00:00:00Z"},
		{"2026-03-04T05:06:08Z", ""},
		{"2026-03-05", ""},
		{"-1h", ""}, {"-1d", ""}, {"1.5d", ""}, {"99999d", ""}, {"yesterday", ""}, {"", ""},
	} {
		at, err := cli.ParseTime("--from", c.text, now)
		var misuse cli.Misuse
		switch {
		case c.want == "" && !errors.As(err, &misuse):
			t.Errorf("%q is %v, want a misuse", c.text, at)
		case c.want != "" && (err != nil || at.UTC().Format(time.RFC3339) != c.want):
			t.Errorf("%q is %v (%v), want %s", c.text, at, err, c.want)
		}
	}
}
