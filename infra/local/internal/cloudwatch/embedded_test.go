package cloudwatch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLinesInTheEmbeddedFormatBecomeMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newService(t, openStore(t), Config{})
		defer end()
		start := time.Now()
		at := start.Add(-time.Minute).UnixMilli()
		for _, line := range []string{
			fmt.Sprintf(`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":"Penstock","Dimensions":[["app","function"],["app"],[]],"Metrics":[{"Name":"handled","Unit":"Count"},{"Name":"age","Unit":"Seconds"}]}]},"app":"shop","function":"fee","requestId":"1","handled":3,"age":[0.5,2,2]}`, at),
			`{"msg":"a line that tells of _aws","nested":{"_aws":1}}`,
			`not JSON, with "_aws"`,
		} {
			s.Embedded("/aws/lambda/fee", line)
		}
		app, function := Dimension{"app", "shop"}, Dimension{"function", "fee"}
		for _, c := range []struct {
			name       string
			dimensions []Dimension
			sum, max   float64
		}{
			{"handled", []Dimension{app, function}, 3, 3}, {"handled", []Dimension{app}, 3, 3}, {"handled", nil, 3, 3},
			{"age", []Dimension{function, app}, 4.5, 2},
		} {
			m, err := (Metric{"Penstock", c.name, c.dimensions}).metric("")
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.data.points(m, start.Add(-time.Hour), start, s.data.states())
			if err != nil || len(got) != 1 || got[0].values.Sum != c.sum || got[0].values.Max != c.max || !got[0].at.Equal(start.Add(-time.Minute)) {
				t.Errorf("%s of %v: %+v, %v", c.name, c.dimensions, got, err)
			}
		}
		if listed := s.data.list(start); len(listed) != 6 {
			t.Errorf("listed: %v", listed)
		}
	})
}

func TestWhatIsWrongWithAnEmbeddedLineIsTold(t *testing.T) {
	now := time.Now()
	aws := func(timestamp int64, directive string) string {
		return fmt.Sprintf(`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{%s}]},"d":"x","n":1,"t":"text","many":[%s1]}`, timestamp, directive, strings.Repeat("1,", 100))
	}
	metrics := func(name string) string {
		return `"Namespace":"N","Dimensions":[["d"]],"Metrics":[{"Name":"` + name + `"}]`
	}
	for want, line := range map[string]string{
		"Timestamp is missing":         `{"_aws":{}}`,
		"within the last two weeks":    aws(now.Add(-15*24*time.Hour).UnixMilli(), metrics("n")),
		"Namespace is missing":         aws(now.UnixMilli(), `"Dimensions":[[]],"Metrics":[]`),
		"metric t has no number":       aws(now.UnixMilli(), metrics("t")),
		"metric nobody has no number":  aws(now.UnixMilli(), metrics("nobody")),
		"100 values at most (got 101)": aws(now.UnixMilli(), metrics("many")),
		"dimension n has no text":      aws(now.UnixMilli(), `"Namespace":"N","Dimensions":[["n"]],"Metrics":[{"Name":"n"}]`),
		`unit "Apples"`:                aws(now.UnixMilli(), `"Namespace":"N","Dimensions":[["d"]],"Metrics":[{"Name":"n","Unit":"Apples"}]`),
		"a directive has 100 metrics at most (got 101)": aws(now.UnixMilli(), `"Namespace":"N","Dimensions":[["d"]],"Metrics":[`+
			strings.TrimSuffix(strings.Repeat(`{"Name":"n"},`, 101), ",")+`]`),
	} {
		if got, err := parseEmbedded(line, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", want, got, err)
		}
	}
}

func FuzzParseEmbedded(f *testing.F) {
	f.Add(`{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["d"]],"Metrics":[{"Name":"n","Unit":"Count"}]}]},"d":"x","n":[1,2]}`)
	f.Fuzz(func(t *testing.T, line string) {
		_, _ = parseEmbedded(line, time.UnixMilli(1))
	})
}

func BenchmarkALineThatIsNotEmbedded(b *testing.B) {
	s := &Service{}
	line := `{"time":"2026-11-21T11:42:45.968Z","level":"INFO","msg":"outcome","eventKey":"` + strings.Repeat("x", 300) + `","attempt":1,"outcome":"handled"}`
	b.ReportAllocs()
	for b.Loop() {
		s.Embedded("g", line)
	}
}
