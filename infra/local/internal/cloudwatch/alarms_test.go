package cloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// acted is what alarms have done: a stand-in for what they act on.
type acted struct {
	list []string // "function|topic|event: the document's state"
	docs []string
	fail error // what the next action answers
}

func (a *acted) add(kind, state, document string) error {
	if err := a.fail; err != nil {
		return err
	}
	a.list = append(a.list, kind+" "+state)
	a.docs = append(a.docs, document)
	return nil
}

func (a *acted) Invoke(functionARN, alarmARN string, event []byte) error {
	var e struct{ AlarmData alarmData }
	if err := json.Unmarshal(event, &e); err != nil {
		return err
	}
	return a.add(functionARN[strings.LastIndex(functionARN, ":")+1:], e.AlarmData.State.Value, string(event))
}

func (a *acted) Publish(topicARN, alarmARN string, n Notification) error {
	var m awsevents.CloudWatchAlarmSNSPayload
	if err := json.Unmarshal([]byte(n.Message), &m); err != nil {
		return err
	}
	return a.add(topicARN[strings.LastIndex(topicARN, ":")+1:], m.NewStateValue, n.Subject+"\n"+n.Email+"\n"+n.Message)
}

func (a *acted) Put(detailType string, resources []string, detail []byte) error {
	var d alarmData
	if err := json.Unmarshal(detail, &d); err != nil {
		return err
	}
	return a.add(detailType, d.State.Value, string(detail))
}

// since returns what was done since it was last asked.
func (a *acted) since() string {
	out := strings.Join(a.list, "; ")
	a.list = nil
	return out
}

const (
	breakerARN = "arn:aws:lambda:us-east-1:000000000000:function:breaker"
	peopleARN  = "arn:aws:sns:us-east-1:000000000000:people"
)

// failures is an alarm on 2 of 3 minutes in which more than half of at least 10
// events failed.
func failures() AlarmConfig {
	two, half, no := 2, 50.0, false
	of := func(id, name string) Query {
		return Query{Id: id, ReturnData: &no, MetricStat: &MetricStat{Period: 60, Stat: "Sum",
			Metric: Metric{"AWS/Lambda", name, []Dimension{{"EventSourceMappingUUID", "1"}}}}}
	}
	return AlarmConfig{
		AlarmName: "failures", AlarmDescription: "what to do", AlarmActions: []string{breakerARN, peopleARN}, OKActions: []string{peopleARN},
		Metrics: []Query{of("failed", "FailedInvokeEventCount"), of("invoked", "InvokedEventCount"),
			{Id: "percent", Label: "failed events", Expression: "IF(FILL(invoked, 0) >= 10, 100 * failed / invoked, 0)"}},
		EvaluationPeriods: 3, DatapointsToAlarm: &two, Threshold: &half, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
	}
}

// minuteOfEvents records a minute of a mapping, and lets it pass.
func minuteOfEvents(r *metric.Registry, invoked, failed int) {
	id := metric.Dimension{Name: "EventSourceMappingUUID", Value: "1"}
	r.Series("AWS/Lambda", "InvokedEventCount", metric.Count, id).AddN(1, invoked)
	r.Series("AWS/Lambda", "FailedInvokeEventCount", metric.Count, id).AddN(1, failed)
	time.Sleep(time.Minute)
	synctest.Wait()
}

func expectActed(t *testing.T, when string, a *acted, want string) {
	t.Helper()
	if got := a.since(); got != want {
		t.Errorf("%s: done is %q, want %q", when, got, want)
	}
}

func expectState(t *testing.T, when string, s *Service, want string) {
	t.Helper()
	a, err := s.find("failures")
	if err != nil {
		t.Fatal(err)
	}
	if a.State.Value != want {
		t.Errorf("%s: the alarm is %s (%s), want %s", when, a.State.Value, a.State.Reason, want)
	}
}

func TestAnAlarmActsWhenItsStateChangesAndOnlyThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry metric.Registry
		done := &acted{}
		st := openStore(t)
		config := Config{Metrics: &registry, Functions: done, Topics: done, Events: done}
		s, end := newService(t, st, config)
		if err := s.PutAlarm(failures()); err != nil {
			t.Fatal(err)
		}
		expectState(t, "made", s, stateInsufficient)
		minuteOfEvents(&registry, 0, 0)
		expectState(t, "evaluated", s, stateOK)
		expectActed(t, "evaluated", done, "CloudWatch Alarm State Change OK; people OK")

		minuteOfEvents(&registry, 100, 60)
		expectActed(t, "after a bad minute", done, "")
		minuteOfEvents(&registry, 9, 9)
		expectActed(t, "after too few events to tell", done, "")
		minuteOfEvents(&registry, 10, 6)
		expectState(t, "after two bad minutes of three", s, stateAlarm)
		expectActed(t, "after two bad minutes of three", done, "CloudWatch Alarm State Change ALARM; breaker ALARM; people ALARM")
		minuteOfEvents(&registry, 10, 6)
		expectActed(t, "still bad", done, "")
		end()

		s, end = newService(t, st, config)
		defer end()
		expectState(t, "after a restart", s, stateAlarm)
		minuteOfEvents(&registry, 0, 0)
		expectActed(t, "after a restart", done, "")
		if err := s.setState("failures", AlarmState{Value: stateOK, Reason: "enabled by hand", UpdatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		expectActed(t, "set by hand", done, "CloudWatch Alarm State Change OK; people OK")
		minuteOfEvents(&registry, 0, 0)
		expectActed(t, "with one bad minute in the last three", done, "")
	})
}

func TestWhatAnAlarmHasToDoIsTriedUntilItIsDoneOrRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry metric.Registry
		done := &acted{fail: errors.New("the store is full")}
		st := openStore(t)
		config := Config{Metrics: &registry, Functions: done, Topics: done, Events: done}
		s, end := newService(t, st, config)
		if err := s.PutAlarm(failures()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		end()
		expectActed(t, "while it fails", done, "")
		done.fail = nil
		s, end = newService(t, st, config)
		defer end()
		synctest.Wait()
		expectActed(t, "after a restart", done, "CloudWatch Alarm State Change OK; people OK")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expectActed(t, "later", done, "")

		done.fail = awswire.Errorf("AccessDeniedException", "no permission")
		if err := s.setState("failures", AlarmState{Value: stateAlarm, Reason: "a test", UpdatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		done.fail = nil
		items, err := s.history("failures", func(i historyItem) bool { return i.HistoryItemType == "Action" })
		if err != nil || len(items) != 3 || items[2].HistorySummary != "Successfully executed action "+peopleARN || items[0].HistorySummary != "Failed to execute action "+peopleARN || !strings.Contains(items[0].HistoryData, "no permission") {
			t.Errorf("history: %+v, %v", items, err)
		}
		minuteOfEvents(&registry, 0, 0) // back to OK, by evaluation
		expectActed(t, "after a refusal", done, "CloudWatch Alarm State Change OK; people OK")
	})
}

func TestDisabledActionsAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := &acted{}
		s, end := newService(t, openStore(t), Config{Functions: done, Topics: done, Events: done})
		defer end()
		if err := s.PutAlarm(failures()); err != nil {
			t.Fatal(err)
		}
		if err := s.setEnabled("failures", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		expectActed(t, "disabled", done, "CloudWatch Alarm State Change OK")
	})
}

func TestAnUpdateLeavesTheStateAndADeletionTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := newService(t, openStore(t), Config{})
		defer end()
		config := failures()
		put := func() {
			t.Helper()
			if err := s.PutAlarm(config); err != nil {
				t.Fatal(err)
			}
		}
		put()
		time.Sleep(time.Minute)
		synctest.Wait()
		config.AlarmDescription = "something else"
		put()
		put() // the same: nothing changes
		expectState(t, "updated", s, stateOK)
		for range 2 {
			if err := s.DeleteAlarm("failures"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.find("failures"); err == nil {
			t.Error("it is still there")
		}
		items, err := s.history("failures", func(historyItem) bool { return true })
		var got []string
		for _, i := range slices.Backward(items) {
			got = append(got, i.HistorySummary)
		}
		want := `Alarm "failures" created; Alarm updated from INSUFFICIENT_DATA to OK; Alarm "failures" updated; Alarm "failures" deleted`
		if err != nil || strings.ReplaceAll(strings.Join(got, "; "), "Successfully executed action "+peopleARN+"; ", "") != want {
			t.Errorf("history: %q, %v", got, err)
		}
	})
}

func TestPeriodsSlideWithTheMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry metric.Registry
		s, end := newService(t, openStore(t), Config{Metrics: &registry})
		defer end()
		nine := 9.0
		if err := s.PutAlarm(AlarmConfig{AlarmName: "failures", Metric: Metric{Namespace: "AWS/Lambda", MetricName: "InvokedEventCount", Dimensions: []Dimension{{"EventSourceMappingUUID", "1"}}},
			Statistic: "Sum", Period: 300, EvaluationPeriods: 1, Threshold: &nine, ComparisonOperator: "GreaterThanThreshold"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		expectState(t, "without data", s, stateInsufficient)
		minuteOfEvents(&registry, 5, 0)
		expectState(t, "after 5", s, stateOK)
		minuteOfEvents(&registry, 5, 0) // a minute of another five by the clock
		expectState(t, "after 10 in two minutes", s, stateAlarm)
	})
}

// TestDocumentsAreThoseOfCloudWatch holds the documents to the examples of
// "Invoke a Lambda function from an alarm" and "Alarm events and EventBridge",
// and to the payload type of aws-lambda-go.
func TestDocumentsAreThoseOfCloudWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry metric.Registry
		done := &acted{}
		s, end := newService(t, openStore(t), Config{Metrics: &registry, Functions: done, Topics: done, Events: done})
		defer end()
		twelve := 12.0
		if err := s.PutAlarm(AlarmConfig{AlarmName: "lambda_error_alarm", AlarmDescription: "look at the log",
			Metric: Metric{"filter_demo", "errors", []Dimension{{"Function", "f"}}}, Statistic: "Sum", Period: 60, EvaluationPeriods: 1,
			Threshold: &twelve, ComparisonOperator: "GreaterThanThreshold", AlarmActions: []string{breakerARN, peopleARN}}); err != nil {
			t.Fatal(err)
		}
		errs := registry.Series("filter_demo", "errors", metric.Count, metric.Dimension{Name: "Function", Value: "f"})
		errs.AddN(1, 5)
		time.Sleep(time.Minute)
		synctest.Wait()
		errs.AddN(1, 1051)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(done.docs) != 4 {
			t.Fatalf("%d documents: %q", len(done.docs), done.list)
		}
		const (
			okReason    = `"Threshold Crossed: 1 out of the last 1 datapoints [5.0 (01/01/00 00:00:00)] was not greater than the threshold (12.0) (minimum 1 datapoint for ALARM -\u003e OK transition)."`
			alarmReason = `"Threshold Crossed: 1 out of the last 1 datapoints [1051.0 (01/01/00 00:01:00)] was greater than the threshold (12.0) (minimum 1 datapoint for OK -\u003e ALARM transition)."`
		)
		data := func(minute int, value string) string {
			text, _ := json.Marshal(fmt.Sprintf(`{"version":"1.0","queryDate":"2000-01-01T00:0%d:00.000+0000","startDate":"2000-01-01T00:0%d:00.000+0000","statistic":"Sum","period":60,"recentDatapoints":[%s],"threshold":12.0,"evaluatedDatapoints":[{"timestamp":"2000-01-01T00:0%d:00.000+0000","sampleCount":%s,"value":%s}]}`,
				minute+1, minute, value, minute, value, value))
			return string(text)
		}
		detail := `"alarmName":"lambda_error_alarm",` +
			`"state":{"value":"ALARM","reason":` + alarmReason + `,"reasonData":` + data(1, "1051.0") + `,"timestamp":"2000-01-01T00:02:00.000+0000"},` +
			`"previousState":{"value":"OK","reason":` + okReason + `,"reasonData":` + data(0, "5.0") + `,"timestamp":"2000-01-01T00:01:00.000+0000"},` +
			`"configuration":{"description":"look at the log","metrics":[{"id":"m1","metricStat":{"metric":{"namespace":"filter_demo","name":"errors","dimensions":{"Function":"f"}},"period":60,"stat":"Sum"},"returnData":true}]}`
		if got, want := done.docs[1], "{"+detail+"}"; got != want {
			t.Errorf("the event's detail is\n%s\nwant\n%s", got, want)
		}
		if got, want := done.docs[2], `{"source":"aws.cloudwatch","alarmArn":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:lambda_error_alarm","accountId":"000000000000","time":"2000-01-01T00:02:00.000+0000","region":"us-east-1","alarmData":{`+detail+`}}`; got != want {
			t.Errorf("the function gets\n%s\nwant\n%s", got, want)
		}
		email := strings.NewReplacer(`\u003e`, ">").Replace(alarmReason)
		want := `ALARM: "lambda_error_alarm" in US East (N. Virginia)` + "\n" +
			`Your Amazon CloudWatch alarm "lambda_error_alarm" in the US East (N. Virginia) region has entered the ALARM state, because ` + email + `. look at the log` + "\n" +
			`{"AlarmName":"lambda_error_alarm","AlarmDescription":"look at the log","AWSAccountId":"000000000000","AlarmConfigurationUpdatedTimestamp":"2000-01-01T00:00:00.000+0000",` +
			`"NewStateValue":"ALARM","NewStateReason":` + alarmReason + `,"StateChangeTime":"2000-01-01T00:02:00.000+0000","Region":"US East (N. Virginia)",` +
			`"AlarmArn":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:lambda_error_alarm","OldStateValue":"OK","OKActions":[],"AlarmActions":["` + breakerARN + `","` + peopleARN + `"],"InsufficientDataActions":[],` +
			`"Trigger":{"MetricName":"errors","Namespace":"filter_demo","StatisticType":"Statistic","Statistic":"SUM","Unit":null,"Dimensions":[{"value":"f","name":"Function"}],"Period":60,"EvaluationPeriods":1,"DatapointsToAlarm":1,` +
			`"ComparisonOperator":"GreaterThanThreshold","Threshold":12.0,"TreatMissingData":"missing","EvaluateLowSampleCountPercentile":""}}`
		if got := done.docs[3]; got != want {
			t.Errorf("people get\n%s\nwant\n%s", got, want)
		}
	})
}

func TestAnUnsoundAlarmIsRefusedByName(t *testing.T) {
	s, end := newService(t, openStore(t), Config{})
	defer end()
	zero, yes := 0, true
	for want, edit := range map[string]func(*AlarmConfig){
		"AlarmName":                             func(c *AlarmConfig) { c.AlarmName = "" },
		"EvaluationPeriods: want 1":             func(c *AlarmConfig) { c.EvaluationPeriods = 0; c.DatapointsToAlarm = nil },
		"DatapointsToAlarm: want 1 to":          func(c *AlarmConfig) { c.DatapointsToAlarm = &zero },
		"Threshold is required":                 func(c *AlarmConfig) { c.Threshold = nil },
		`ComparisonOperator "LessThanLower`:     func(c *AlarmConfig) { c.ComparisonOperator = "LessThanLowerThreshold" },
		"TreatMissingData: want":                func(c *AlarmConfig) { c.TreatMissingData = "maybe" },
		"action arn:aws:swf":                    func(c *AlarmConfig) { c.AlarmActions = []string{"arn:aws:swf:x"} },
		"5 at most (got 6)":                     func(c *AlarmConfig) { c.OKActions = slices.Repeat([]string{peopleARN}, 6) },
		"exactly one of MetricName and Metrics": func(c *AlarmConfig) { c.Metrics = nil },
		"one query has ReturnData true":         func(c *AlarmConfig) { c.Metrics[0].ReturnData = &yes },
		"with Metrics, none of Namespace":       func(c *AlarmConfig) { c.Period = 60 },
		"exactly one of Statistic and Extended": func(c *AlarmConfig) { c.Metrics, c.Metric = nil, Metric{Namespace: "n", MetricName: "m"} },
		`Statistic: want SampleCount`: func(c *AlarmConfig) {
			c.Metrics, c.Metric, c.Statistic = nil, Metric{Namespace: "n", MetricName: "m"}, "p99"
		},
		"Period: 10 is not supported":            func(c *AlarmConfig) { c.Metrics[0].MetricStat.Period = 10 },
		"periods that differ":                    func(c *AlarmConfig) { c.Metrics[0].MetricStat.Period = 120 },
		"want at most a day":                     func(c *AlarmConfig) { c.EvaluationPeriods = 1441 },
		"nothing in the query has the id nobody": func(c *AlarmConfig) { c.Metrics[2].Expression = "nobody * 2" },
		"depends on its own result":              func(c *AlarmConfig) { c.Metrics[2].Expression = "percent * 2" },
		"gives a number":                         func(c *AlarmConfig) { c.Metrics[2].Expression = "SUM(failed)" },
		"two queries have the id invoked":        func(c *AlarmConfig) { c.Metrics[0].Id = "invoked" },
		`query id "Failed"`:                      func(c *AlarmConfig) { c.Metrics[0].Id = "Failed" },
		"dynamic labels":                         func(c *AlarmConfig) { c.Metrics[2].Label = "${LAST}" },
		"Metrics Insights":                       func(c *AlarmConfig) { c.Metrics[2].Expression = "SELECT MAX(x) FROM y" },
		"exactly one of MetricStat":              func(c *AlarmConfig) { c.Metrics[2].Expression = "" },
		`statistic "tm99"`:                       func(c *AlarmConfig) { c.Metrics[0].MetricStat.Stat = "tm99" },
		`unit "Apples"`:                          func(c *AlarmConfig) { c.Metrics[0].MetricStat.Unit = "Apples" },
		"is given twice": func(c *AlarmConfig) {
			c.Metrics[0].MetricStat.Metric.Dimensions = []Dimension{{"a", "b"}, {"a", "c"}}
		},
	} {
		config := failures()
		edit(&config)
		err := s.PutAlarm(config)
		if refused := (*awswire.Error)(nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
