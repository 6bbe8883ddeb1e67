package handler

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"regexp"
	"testing"
	"time"
)

// FuzzPlainLines: a line is the same whether slog writes it or not.
func FuzzPlainLines(f *testing.F) {
	f.Add("outcome", "withdrawal-fee/withdrawals/1", "id", 1, 0.001, 0)
	f.Add("<a href='&'>", `"\`, "é\u2028\x7f\xff\x00", math.MinInt, 1e21, 4)
	f.Add("", "", "", -1, 1e-7, 8)
	f.Add("", "", "", -1, -0.5, -4)
	at := regexp.MustCompile(`"time":"[^"]*"`)
	f.Fuzz(func(t *testing.T, message, first, second string, number int, float float64, level int) {
		attrs := []slog.Attr{slog.String("first", first), slog.Int("number", number), slog.Float64("float", float)}
		all := []slog.Attr{slog.String("second", second)}
		var plain, slogs bytes.Buffer
		if !(&plainLines{&plain, all}).write(slog.Level(level), message, attrs) {
			if plain.Len() > 0 {
				t.Fatalf("wrote %s and left it to slog", &plain)
			}
			return
		}
		line := slog.NewRecord(time.Now(), slog.Level(level), message, 0)
		line.AddAttrs(attrs...)
		if err := slog.NewJSONHandler(&slogs, &slog.HandlerOptions{Level: slog.Level(math.MinInt)}).WithAttrs(all).Handle(t.Context(), line); err != nil {
			t.Fatal(err)
		}
		if got, want := at.ReplaceAllString(plain.String(), ""), at.ReplaceAllString(slogs.String(), ""); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var time struct{ Time time.Time }
		if err := json.Unmarshal(plain.Bytes(), &time); err != nil {
			t.Error(err)
		}
	})
}
