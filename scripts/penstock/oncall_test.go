package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

// onCall plays the session of the README's section "The day of a person on call",
// and holds what is printed there against what is printed here. Of withdrawal-fee,
// somebody has deleted the secret: 12 withdrawals are in the DLQ, the breaker has
// stopped the subscription, and 9 more have come since.
func (e *dlqEnvironment) onCall(t *testing.T) {
	mail, session := recordedSession(t)
	e.runs(t, "printf %s "+secretstest.Value("token")+" | penstock secrets create core-api-token && penstock secrets delete core-api-token -y")
	e.runs(t, "penstock events publish SAVINGS_WITHDRAWAL --count 12")
	eventually(t, "all are in the DLQ", func() bool { return e.depth(t, ofDLQ) == 12 })
	// CloudWatch would do this after three minutes.
	alarm := "penstock-local-withdrawal-fee-withdrawals/breaker"
	if _, err := cloudwatch.NewFromConfig(e.cfg).SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{
		AlarmName: &alarm, StateValue: types.StateValueAlarm, StateReason: aws.String("three minutes have passed"),
	}); err != nil {
		t.Fatal(err)
	}
	const stopped = "Stopped: " + dlqSubscription + " in local"
	eventually(t, "whoever is on call is told", func() bool { return e.mail(stopped) != "" })
	if got := stopped + "\n\n" + e.mail(stopped); !matches(lines(mail), lines(got), map[string]string{}) {
		t.Errorf("the README has the email\n%s\nand it says\n%s", mail, got)
	}
	e.runs(t, "penstock events publish SAVINGS_WITHDRAWAL --count 9")

	ids := map[string]string{} // of events: those of the README, and those of now
	for _, step := range session {
		command := step.command
		for was, is := range ids {
			command = strings.ReplaceAll(command, was, is)
		}
		var got string
		ok := func() bool {
			got = e.runs(t, command)
			return matches(step.output, lines(got), ids)
		}
		// What is only looked at may take its time.
		for deadline := time.Now().Add(time.Minute); !ok(); {
			if !looks.MatchString(command) || time.Now().After(deadline) {
				t.Fatalf("%s\nprints\n%s\nand the README has\n%s", command, got, strings.Join(step.output, "\n"))
			}
		}
		t.Logf("$ %s\n%s", command, got)
	}
	eventually(t, "all have their fees, those that were given up and those that waited", func() bool { return len(fees(t, e.cfg)) == 12+9 })
}

// looks are the commands that change nothing.
var looks = regexp.MustCompile(`^penstock (trace|\w+ (list|show|get)) ?`)

// runs runs a line of a shell in the environment's project, which must not fail,
// and is what it prints.
func (e *dlqEnvironment) runs(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = e.project
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+e.endpoint)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// mail is the message of an email with a subject, which the environment has shown.
func (e *dlqEnvironment) mail(subject string) string {
	for line := range strings.Lines(e.log.String()) {
		var shown struct{ Subject, Message string }
		if json.Unmarshal([]byte(line), &shown) == nil && shown.Subject == subject {
			return shown.Message
		}
	}
	return ""
}

// recordedStep is a command of a recorded session, and what it printed.
type recordedStep struct {
	command string
	output  []string
}

// recordedSession reads the section of the README: an email, and a session.
func recordedSession(t *testing.T) (mail string, session []recordedStep) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(projectRoot(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n### The day of a person on call\n")
	blocks := strings.Split(section, "\n```\n")
	if !found || len(blocks) < 4 {
		t.Fatal("README.md has no such section with an email and a session")
	}
	for line := range strings.Lines(blocks[3]) {
		line = strings.TrimSuffix(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			session = append(session, recordedStep{command: command})
			continue
		}
		if len(session) == 0 {
			t.Fatalf("the session begins with %q, which is no command", line)
		}
		last := &session[len(session)-1]
		last.output = append(last.output, line)
	}
	return blocks[1], session
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// matches reports whether what is printed is what was recorded, whatever the time
// is. A line … stands for any lines, and one that ends with it for any end. The ids
// are noted, those of the record with those of now.
func matches(recorded, printed []string, ids map[string]string) bool {
	if len(recorded) == 0 {
		return len(printed) == 0 || len(printed) == 1 && printed[0] == ""
	}
	if strings.TrimSpace(recorded[0]) == "…" {
		for i := range len(printed) + 1 {
			if matches(recorded[1:], printed[i:], ids) {
				return true
			}
		}
		return false
	}
	if len(printed) == 0 {
		return false
	}
	was, is := timeless(recorded[0]), timeless(printed[0])
	if start, cut := strings.CutSuffix(was, "…"); cut {
		was, is = start, is[:min(len(is), len(start))]
	}
	wasIDs, isIDs := anyID.FindAllString(was, -1), anyID.FindAllString(is, -1)
	if anyID.ReplaceAllString(was, "ID") != anyID.ReplaceAllString(is, "ID") || !matches(recorded[1:], printed[1:], ids) {
		return false
	}
	for i, id := range wasIDs {
		ids[id] = isIDs[i]
	}
	return true
}

var (
	anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	// What differs from run to run: times, durations, how many receives failed, and how wide a column is.
	anyTime   = regexp.MustCompile(`\d{4}-\d\d-\d\d([T ][\d:.]+(Z| UTC))?|\b\d\d:\d\d:\d\d(\.\d+)?\b|\b(\d+m)?\d+(\.\d+)?( ms|ms|s|µs)\b|\b\d+m\d+s\b|\d+ events failed`)
	anySpaces = regexp.MustCompile(` {2,}`)
)

func timeless(line string) string {
	return strings.TrimSpace(anySpaces.ReplaceAllString(anyTime.ReplaceAllString(line, "TIME"), " "))
}
