package secretstest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

func TestAPlantedValueIsFoundWhateverItIsWrappedIn(t *testing.T) {
	value := secretstest.Value("token")
	quoted, err := json.Marshal(map[string]string{"token": `"` + value + `"`})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := map[string]string{
		"as it is":   "calling with " + value + " now",
		"in JSON":    string(quoted),
		"in Go":      fmt.Sprintf("%q", value+"\n"),
		"in a URL":   "https://example.com/?token=" + url.QueryEscape(value),
		"cut short":  value[:len(value)-3],
		"at the end": strings.Repeat("x", 1<<20) + value,
	}
	for before := range 3 {
		wrapped[fmt.Sprintf("in base64 after %d bytes", before)] = base64.URLEncoding.EncodeToString([]byte(strings.Repeat("x", before) + value))
	}
	for what, text := range wrapped {
		lines, err := secretstest.Search(strings.NewReader("first\n" + text + "\nlast\n" + text))
		if err != nil || !slices.Equal(lines, []int{2, 4}) {
			t.Errorf("%s: found in lines %v (%v)", what, lines, err)
		}
	}
	lines, err := secretstest.Search(strings.NewReader("a token\nof the top\n"))
	if err != nil || lines != nil || secretstest.IsValue("token") || !secretstest.IsValue(value) {
		t.Errorf("found where there is none: %v (%v)", lines, err)
	}
}

func TestASignedTokenIsFoundAndARedactedOneIsNot(t *testing.T) {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	token := part(`{"alg":"EdDSA"}`) + "." + part(`{"sub":"ann"}`) + "." + part(strings.Repeat("s", 64))
	for text, want := range map[string]int{
		"Authorization: Bearer " + token: 1, `{"_function_session":"` + token + `"}`: 1,
		`{"seed":"` + strings.Repeat("A7", 22) + `"}`: 1, `\"seed\": \"` + strings.Repeat("A7", 22): 1, `{"seed":"1"}`: 0,
		"whsec_" + strings.Repeat("aB3/", 11): 1, "whsec_…": 0, "Bearer eyJ…": 0, token[:30] + "…": 0, "eyJ.eyJ.x": 0,
	} {
		if lines, err := secretstest.Search(strings.NewReader(text)); err != nil || len(lines) != want {
			t.Errorf("%s: %v (%v)", text, lines, err)
		}
	}
}

// judged is a test that tells its faults instead of failing.
type judged struct {
	testing.TB
	faults   []string
	cleanups []func()
}

func (j *judged) Helper()           {}
func (j *judged) Cleanup(fn func()) { j.cleanups = append(j.cleanups, fn) }
func (j *judged) Error(args ...any) { j.faults = append(j.faults, fmt.Sprint(args...)) }
func (j *judged) Errorf(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

func TestALogThatHoldsAValueFailsTheTestAndTheMessageDoesNotHoldIt(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "logs", "f"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "logs", "f", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j := &judged{TB: t}
	secretstest.SearchAtEnd(j, filepath.Join(dir, "logs"), filepath.Join(dir, "none"))
	end := j.cleanups[0]
	end()
	write("0", "all is well\n")
	end()
	if len(j.faults) > 0 {
		t.Fatalf("faults where there are none: %q", j.faults)
	}
	write("1", "\nthe token is "+secretstest.Value("token")+"\n")
	end()
	if len(j.faults) != 1 || !strings.HasSuffix(j.faults[0], filepath.Join("logs", "f", "1")+":2") || secretstest.IsValue(j.faults[0]) {
		t.Errorf("%d faults", len(j.faults))
	}
}
