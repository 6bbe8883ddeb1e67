package eventbridge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Functions is what the service needs of Lambda.
type Functions interface {
	// Invoke invokes a function asynchronously, on behalf of a rule.
	Invoke(functionARN, ruleARN string, event []byte) error
}

// schedule says when a rule runs.
type schedule interface {
	// next is the first time after t; the zero time if there is none.
	next(t time.Time) time.Time
}

// parseSchedule reads a schedule expression ("Setting a schedule pattern for
// scheduled rules (legacy) in Amazon EventBridge"): rate(value unit) or
// cron(minutes hours day-of-month month day-of-week year), in UTC.
func parseSchedule(expression string) (schedule, error) {
	kind, rest, _ := strings.Cut(expression, "(")
	body, closed := strings.CutSuffix(rest, ")")
	switch {
	case closed && kind == "rate":
		return parseRate(body)
	case closed && kind == "cron":
		return parseCron(body)
	}
	return nil, fmt.Errorf("schedule %q: want rate(value unit) or cron(minutes hours day-of-month month day-of-week year)", expression)
}

// CheckSchedule returns what is wrong with a schedule expression.
func CheckSchedule(expression string) error {
	_, err := parseSchedule(expression)
	return err
}

// rate is every so often, counted from when the rule was made.
type rate time.Duration

func (r rate) next(t time.Time) time.Time { return t.Add(time.Duration(r)) }

func parseRate(body string) (schedule, error) {
	value, unit, _ := strings.Cut(body, " ")
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("schedule rate(%s): the value is a positive number", body)
	}
	units := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	singular, plural := strings.CutSuffix(unit, "s")
	length, known := units[singular]
	if !known || plural != (n > 1) {
		return nil, fmt.Errorf("schedule rate(%s): the unit is minute, hour or day for 1, and minutes, hours or days for more", body)
	}
	return rate(time.Duration(n) * length), nil
}

// cron holds, for each field, which values it has.
type cron struct {
	minutes, hours, days, months, weekdays, years []bool
}

const firstYear, lastYear = 1970, 2199

var (
	monthNames   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdayNames = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

func parseCron(body string) (schedule, error) {
	fail := func(format string, args ...any) (schedule, error) {
		return nil, fmt.Errorf("schedule cron(%s): %s", body, fmt.Sprintf(format, args...))
	}
	fields := strings.Fields(body)
	if len(fields) != 6 {
		return fail("want 6 fields (got %d)", len(fields))
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return fail("one of day-of-month and day-of-week is ?, and the other is not")
	}
	c := &cron{}
	for i, f := range []struct {
		name        string
		into        *[]bool
		first, last int
		names       []string // of first, first+1, …
	}{
		{"minutes", &c.minutes, 0, 59, nil},
		{"hours", &c.hours, 0, 23, nil},
		{"day-of-month", &c.days, 1, 31, nil},
		{"month", &c.months, 1, 12, monthNames},
		{"day-of-week", &c.weekdays, 1, 7, weekdayNames},
		{"year", &c.years, firstYear, lastYear, nil},
	} {
		var err error
		if *f.into, err = parseCronField(fields[i], f.first, f.last, f.names); err != nil {
			return fail("%s: %v", f.name, err)
		}
	}
	return c, nil
}

// parseCronField reads a list of values, ranges and steps.
func parseCronField(text string, first, last int, names []string) ([]bool, error) {
	set := make([]bool, last+1)
	value := func(text string) (int, error) {
		if i := slices.Index(names, strings.ToUpper(text)); i >= 0 {
			return first + i, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < first || n > last {
			return 0, fmt.Errorf("%q is not supported by the local environment: want %d to %d, and of wildcards , - * ? /", text, first, last)
		}
		return n, nil
	}
	for _, part := range strings.Split(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		from, to, step := first, last, 1
		var err error
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return nil, fmt.Errorf("%q: the step is a positive number", part)
			}
		}
		if span != "*" && span != "?" {
			low, high, ranged := strings.Cut(span, "-")
			if from, err = value(low); err != nil {
				return nil, err
			}
			switch {
			case ranged:
				if to, err = value(high); err != nil {
					return nil, err
				}
			case !stepped:
				to = from
			}
		}
		for n := from; n <= to; n += step {
			set[n] = true
		}
	}
	return set, nil
}

// next goes forward by the largest unit that does not fit.
func (c *cron) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Minute).Add(time.Minute)
	for t.Year() <= lastYear {
		year, month, day := t.Date()
		switch {
		case !c.years[year]:
			t = time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC)
		case !c.months[month]:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.days[day] || !c.weekdays[1+int(t.Weekday())]:
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case !c.hours[t.Hour()]:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.minutes[t.Minute()]:
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

// arm starts the clock of a rule with a schedule, and stops that of the rule
// that it replaces, if any; one with the same schedule goes on as it was. The
// caller holds mu.
func (s *Service) arm(r, replaced *rule) {
	if replaced != nil && replaced.timer != nil {
		replaced.timer.Stop()
	}
	if r == nil || r.schedule == nil || s.closed {
		return
	}
	if replaced != nil && replaced.Schedule == r.Schedule {
		r.due = replaced.due
	}
	if r.due.IsZero() {
		if r.due = r.schedule.next(time.Now()); r.due.IsZero() {
			return // its last time is past
		}
	}
	r.timer = time.AfterFunc(time.Until(r.due), func() { s.run(r) })
}

// run sends a rule's event to its targets, and starts the clock again.
func (s *Service) run(r *rule) {
	s.mu.Lock()
	b, ok := s.buses[r.Bus]
	if s.closed || !ok || b.rules[r.Name] != r {
		s.mu.Unlock()
		return
	}
	at := r.due
	r.due = time.Time{}
	s.arm(r, nil)
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	if r.Disabled {
		return
	}
	if err := s.deliverSchedule(r, at); err != nil {
		s.config.Logger.Error("a schedule's event could not be delivered", "rule", r.Name, "error", err)
	}
}

// deliverSchedule sends the event of a schedule ("Creating a rule that runs on
// a schedule (legacy) in Amazon EventBridge").
func (s *Service) deliverSchedule(r *rule, at time.Time) error {
	body, err := s.eventJSON(event{
		ID: uuid.NewString(), DetailType: "Scheduled Event", Source: "aws.events",
		Time: timestamp(at), Resources: []string{r.arn}, Detail: []byte("{}"),
	})
	if err != nil {
		return err
	}
	s.figures.rule(r.arn).triggered.Add(1)
	_, err = s.deliver(r.deliveries(string(body), ""))
	return err
}

// checkSchedule checks what the schedule of a rule demands of it.
func (r *Rule) checkSchedule() (schedule, error) {
	if r.Schedule == "" {
		return nil, nil
	}
	if r.Bus != defaultBus {
		return nil, awswire.Errorf("ValidationException", "rule %q: ScheduleExpression is supported only on the default event bus (got %s)", r.Name, r.Bus)
	}
	parsed, err := parseSchedule(r.Schedule)
	if err != nil {
		return nil, awswire.Errorf("ValidationException", "Parameter ScheduleExpression is not valid: %v", err)
	}
	return parsed, nil
}

// Close stops the schedules, retries and replays. It returns when nothing of
// them is being delivered.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	if s.expiry != nil {
		s.expiry.Stop()
	}
	for _, timer := range s.retries.timers {
		timer.Stop()
	}
	for _, b := range s.buses {
		for _, r := range b.rules {
			s.arm(nil, r)
		}
	}
	s.mu.Unlock()
	s.running.Wait()
}
