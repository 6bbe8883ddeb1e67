package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// result is one line of a report. A result without a peer has null for Peer,
// PeerValue and Ratio.
type result struct {
	Name      string   `json:"name"`
	Value     float64  `json:"value"`
	Unit      string   `json:"unit"`
	Peer      *string  `json:"peer"`
	PeerValue *float64 `json:"peerValue"`
	Ratio     *float64 `json:"ratio"` // Value / PeerValue
	Goal      string   `json:"-"`     // what was set out for, for people to compare
}

// against returns the result with a peer's value beside it.
func (r result) against(peer string, value float64) result {
	ratio := r.Value / value
	r.Peer, r.PeerValue, r.Ratio = &peer, &value, &ratio
	return r
}

// report collects results, and says on what they were taken.
type report struct {
	results []result
	started time.Time
	load    float64 // the machine's load before the first measurement; negative if unknown
}

func (r *report) begin() { r.started, r.load = time.Now(), load() }

func (r *report) add(results ...result) { r.results = append(r.results, results...) }

// print writes the results to out. JSON lines are for programs, so that the
// machine is told to notes.
func (r *report) print(out, notes io.Writer, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(out)
		for _, one := range r.results {
			if err := encoder.Encode(one); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(notes, r.machine())
		return err
	}
	if len(r.results) == 0 {
		return nil
	}
	var rows [][]string
	for _, one := range r.results {
		row := []string{one.Name, figure(one.Value), one.Unit, "-", "-", "-", one.Goal}
		if one.Peer != nil {
			row[3], row[4], row[5] = figure(*one.PeerValue), figure(*one.Ratio), *one.Peer
		}
		rows = append(rows, row)
	}
	if err := cli.Table(out, []string{"NAME", "OURS", "UNIT", "PEER", "RATIO", "THE PEER", "GOAL"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", r.machine())
	return err
}

// machine says on what the results were taken, and how long it took.
func (r *report) machine() string {
	busy := "load unknown"
	if r.load >= 0 {
		busy = fmt.Sprintf("load %.2f before", r.load)
		if r.load > float64(runtime.NumCPU())/4 {
			busy += ": busy, so the figures are rough"
		}
	}
	return fmt.Sprintf("%s; %d cores; %s (%s/%s); %s; %s; %s", processor(), runtime.NumCPU(), system(), runtime.GOOS, runtime.GOARCH,
		runtime.Version(), busy, time.Since(r.started).Round(time.Second))
}

// figure writes a number with three digits that mean something.
func figure(v float64) string {
	digits := 2
	if v != 0 {
		digits = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	return strconv.FormatFloat(v, 'f', min(digits, 4), 64)
}

// processor names the machine's processor, as far as it tells.
func processor() string {
	return cmp.Or(valueOf("/proc/cpuinfo", "model name", ":"), "a processor that does not tell its name")
}

// system names the machine's system, as far as it tells.
func system() string {
	return cmp.Or(strings.Trim(valueOf("/etc/os-release", "PRETTY_NAME", "="), `"`), runtime.GOOS)
}

// valueOf reads the first value of a key in a file of keys and values.
func valueOf(file, key, separator string) string {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// load is how many processes were running over the last minute, negative if the
// machine does not tell; a busy machine measures nothing well.
func load() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(data), " ")
	value, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return value
}
