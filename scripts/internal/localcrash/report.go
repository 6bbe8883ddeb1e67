package localcrash

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Report counts what a campaign saw. It may be written to by many goroutines
// until the campaign has ended.
type Report struct {
	Seed    uint64             `json:"seed"`
	Kills   map[string]int     `json:"kills"` // by when
	Kinds   map[string]*Counts `json:"kinds"`
	Refused int                `json:"refused"` // requests that should have been granted
	// Examples are some of what should not be.
	Examples []string `json:"examples,omitempty"`
	Seconds  float64  `json:"seconds"`

	mu sync.Mutex
}

// Counts are those of one kind of thing.
type Counts struct {
	Acknowledged int `json:"acknowledged"` // events, messages, changes
	CutOff       int `json:"cutOff"`       // those of which a kill left open whether they happened
	Found        int `json:"found"`        // looks at which all was as acknowledged; of events and messages, those that came
	Missing      int `json:"missing"`      // acknowledged, and not there
	Reappeared   int `json:"reappeared"`   // there after an acknowledged deletion, or before its time
	Half         int `json:"half"`         // part of what is done as a whole, or altered
	Duplicates   int `json:"duplicates"`   // deliveries of the same beyond the first, which at least once allows
}

func (c Counts) wrong() int { return c.Missing + c.Reappeared + c.Half }

// The kinds.
const (
	kindEvents       = "events"
	kindEffects      = "effects of events"
	kindTransactions = "transactions with an event"
	kindMessages     = "messages"
	kindItems        = "items"
	kindPairs        = "items in pairs"
	kindExpiring     = "items that expire"
	kindSecrets      = "secrets"
	kindMappings     = "mappings"
	kindQueues       = "queues and rules"
)

func newReport(seed uint64) *Report {
	r := &Report{Seed: seed, Kills: map[string]int{}, Kinds: map[string]*Counts{}}
	for _, kind := range []string{kindEvents, kindEffects, kindTransactions, kindMessages, kindItems, kindPairs, kindExpiring, kindSecrets, kindMappings, kindQueues} {
		r.Kinds[kind] = &Counts{}
	}
	return r
}

// count changes the counts of a kind.
func (r *Report) count(kind string, change func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.Kinds[kind])
}

// example keeps the first few.
func (r *Report) example(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.Examples) < 20 {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

func (r *Report) refused(err error) {
	r.mu.Lock()
	r.Refused++
	r.mu.Unlock()
	r.example("refused: %v", err)
}

// Err is the campaign's verdict.
func (r *Report) Err() error {
	var wrong []string
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		if c := r.Kinds[kind]; c.wrong() > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d missing, %d reappeared, %d half", kind, c.Missing, c.Reappeared, c.Half))
		}
	}
	if r.Refused > 0 {
		wrong = append(wrong, fmt.Sprintf("%d requests were refused", r.Refused))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s (seed %d):\n%s", strings.Join(wrong, "; "), r.Seed, strings.Join(r.Examples, "\n"))
}

// summary is the report so far, in a few words.
func (r *Report) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	acknowledged, wrong := 0, r.Refused
	for _, c := range r.Kinds {
		acknowledged += c.Acknowledged
		wrong += c.wrong()
	}
	return fmt.Sprintf("%d acknowledged, %d wrong", acknowledged, wrong)
}

// Header is that of Rows.
var Header = []string{"WHAT", "ACKNOWLEDGED", "CUT OFF", "FOUND", "MISSING", "REAPPEARED", "HALF", "DUPLICATES"}

// Rows is the report as a table, for people.
func (r *Report) Rows() [][]string {
	var rows [][]string
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		c := r.Kinds[kind]
		row := []string{kind}
		for _, n := range []int{c.Acknowledged, c.CutOff, c.Found, c.Missing, c.Reappeared, c.Half, c.Duplicates} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	return rows
}
