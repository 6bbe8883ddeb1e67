package cost

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a flag: events a second, written 500 or 500/s. 0 stands for none.
type Rate float64

// String implements [pflag.Value].
func (r *Rate) String() string {
	if *r == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*r), 'f', -1, 64) + "/s"
}

// Set implements [pflag.Value].
func (r *Rate) Set(text string) error {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return fmt.Errorf("want events a second, above 0, such as 500 or 500/s")
	}
	*r = Rate(n)
	return nil
}

// Type implements [pflag.Value].
func (r *Rate) Type() string { return "rate" }
