package cli

import (
	"strconv"
	"strings"
	"time"
)

// ParseTime reads what a person gave a flag for a time: a duration back from now,
// such as 30s, 10m, 2h or 7d; a time of RFC 3339; or a date, which is its first
// moment in UTC. What is no time, or still to come, is a [Misuse].
func ParseTime(flag, text string, now time.Time) (time.Time, error) {
	if d, ok := duration(text); ok {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	switch {
	case err != nil:
		return time.Time{}, Misusef("%s %q: want a duration such as 10m, or a time such as 2026-03-02T09:00:00Z or 2026-03-02", flag, text)
	case at.After(now):
		return time.Time{}, Misusef("%s %s is still to come", flag, text)
	}
	return at, nil
}

// duration reads a duration that is not negative; of days, too.
func duration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
