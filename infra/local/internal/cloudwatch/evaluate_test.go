package cloudwatch

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestMissingDataIsTreatedAsThePageSays runs the tables of "Configuring how
// CloudWatch alarms treat missing data" (testdata/missing-data.txt).
func TestMissingDataIsTreatedAsThePageSays(t *testing.T) {
	cases, err := os.ReadFile("testdata/missing-data.txt")
	if err != nil {
		t.Fatal(err)
	}
	const retained = "the state as it was"
	threshold, ran := 0.5, 0
	var m, n int
	for line := range strings.Lines(string(cases)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if head, ok := strings.CutPrefix(fields[0], "M of N: "); ok {
			m, n = int(head[0]-'0'), int(head[len(head)-1]-'0')
			continue
		}
		if len(fields) != 5 || n == 0 {
			continue // a comment
		}
		points := strings.Fields(fields[0])
		for i, treat := range []string{"missing", "ignore", "breaching", "notBreaching"} {
			a := &Alarm{AlarmConfig: AlarmConfig{EvaluationPeriods: n, DatapointsToAlarm: &m, Threshold: &threshold, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: treat}}
			a.State.Value = retained
			var samples []sample
			for i := range points {
				p := points[len(points)-1-i]
				samples = append(samples, sample{at: time.Unix(int64(-60*i), 0), value: map[string]float64{"X": 1, "0": 0}[p], missing: p == "-"})
			}
			want := map[string]string{"OK": stateOK, "ALARM": stateAlarm, "INSUFFICIENT_DATA": stateInsufficient, "retain": retained}[strings.TrimSpace(fields[1+i])]
			if got := a.evaluate(samples); got.state != want {
				t.Errorf("%d of %d, %s, %s: %s (%s), want %s", m, n, fields[0], treat, got.state, got.reason, want)
			}
			ran++
		}
	}
	if ran < 60 {
		t.Errorf("%d cases were found", ran)
	}
}

func TestReasonsAreInTheWordsOfCloudWatch(t *testing.T) {
	two, threshold := 2, 12.0
	at := time.Date(2024, 7, 16, 13, 13, 0, 0, time.UTC)
	point := func(minutes int, value float64) sample {
		return sample{at: at.Add(time.Duration(minutes) * time.Minute), value: value}
	}
	none := sample{missing: true}
	for _, c := range []struct {
		n       int
		m       *int
		treat   string
		samples []sample
		want    string
	}{
		{1, nil, "", []sample{point(0, 1051)}, "Threshold Crossed: 1 out of the last 1 datapoints [1051.0 (16/07/24 13:13:00)] was greater than the threshold (12.0) (minimum 1 datapoint for OK -> ALARM transition)."},
		{1, nil, "", []sample{point(0, 0.25)}, "Threshold Crossed: 1 out of the last 1 datapoints [0.25 (16/07/24 13:13:00)] was not greater than the threshold (12.0) (minimum 1 datapoint for ALARM -> OK transition)."},
		{3, &two, "", []sample{point(2, 20), point(1, 1), point(0, 30)}, "Threshold Crossed: 2 out of the last 3 datapoints [20.0 (16/07/24 13:15:00), 30.0 (16/07/24 13:13:00)] were greater than the threshold (12.0) (minimum 2 datapoints for OK -> ALARM transition)."},
		{2, nil, "notBreaching", []sample{none, none}, "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [NonBreaching]."},
		{1, nil, "missing", []sample{none}, "Insufficient Data: 1 datapoint was unknown."},
	} {
		a := &Alarm{AlarmConfig: AlarmConfig{EvaluationPeriods: c.n, DatapointsToAlarm: c.m, Threshold: &threshold, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: c.treat}}
		if got := a.evaluate(c.samples).reason; got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestAnAlarmComparesAsItsOperatorSays(t *testing.T) {
	threshold := 5.0
	for operator, want := range map[string]string{ // of 4, 5 and 6
		"GreaterThanThreshold": "OK OK ALARM", "GreaterThanOrEqualToThreshold": "OK ALARM ALARM",
		"LessThanThreshold": "ALARM OK OK", "LessThanOrEqualToThreshold": "ALARM ALARM OK",
	} {
		a := &Alarm{AlarmConfig: AlarmConfig{EvaluationPeriods: 1, Threshold: &threshold, ComparisonOperator: operator}}
		var got []string
		for _, x := range []float64{4, 5, 6} {
			got = append(got, a.evaluate([]sample{{value: x}}).state)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", operator, got, want)
		}
	}
}
