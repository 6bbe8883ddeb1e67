package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/penstock-dev/penstock/events/savings"
)

// Samples makes n withdrawals from up to a thousand accounts; the same seed
// makes the same ones.
func Samples(n int, seed uint64) []savings.Withdrawal {
	r := rand.New(rand.NewPCG(seed, 0))
	channels := []savings.Channel{savings.ChannelATM, savings.ChannelBranch, savings.ChannelTransfer}
	out := make([]savings.Withdrawal, n)
	for i := range out {
		out[i] = savings.SampleWithdrawal(func(w *savings.Withdrawal) {
			w.AccountID = fmt.Sprintf("ACC-%04d", r.IntN(1000))
			w.TransactionID = fmt.Sprintf("TX-%d-%07d", seed, i)
			w.Amount = float64(1+r.IntN(200_000)) / 100
			w.Channel = channels[r.IntN(len(channels))]
		})
	}
	return out
}

// maxLine bounds a line of input: an event takes less than a megabyte.
const maxLine = 1 << 20

// shownFaults is how many bad lines one error names.
const shownFaults = 10

// Read reads withdrawals, one JSON object of event data a line; blank lines are
// skipped. If any line cannot be used the error names each by its number, and
// nothing is returned.
func Read(in io.Reader) ([]savings.Withdrawal, error) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	var out []savings.Withdrawal
	var faults []error
	line := 0
	for scanner.Scan() {
		line++
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		w, err := parse(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		out = append(out, w)
	}
	if err := scanner.Err(); err != nil {
		faults = append(faults, fmt.Errorf("line %d: %w", line+1, err))
	}
	if more := len(faults) - shownFaults; more > 0 {
		faults = append(faults[:shownFaults], fmt.Errorf("and %d more lines", more))
	}
	if len(faults) == 0 && len(out) == 0 {
		return nil, errors.New("the input holds no withdrawal: want one JSON object a line")
	}
	return out, errors.Join(faults...)
}

func parse(text []byte) (savings.Withdrawal, error) {
	var w savings.Withdrawal
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return w, fmt.Errorf("not the data of a %s: %w", w.EventType(), err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return w, errors.New("more than one JSON value")
	}
	var missing []string
	for name, value := range map[string]string{"accountId": w.AccountID, "currency": w.Currency} {
		if value == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return w, fmt.Errorf("%s must not be empty", strings.Join(missing, " and "))
	}
	if w.Amount <= 0 {
		return w, fmt.Errorf("amount must be positive (got %v)", w.Amount)
	}
	return w, nil
}
