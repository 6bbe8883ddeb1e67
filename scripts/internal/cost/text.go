package cost

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var mix []string
	for _, s := range r.Mix {
		mix = append(mix, s.Name+" "+percent(s.Share))
	}
	fmt.Fprintf(w, "%s events of the local run's mix: %s\n(%s events from %s to %s)\n", figure(r.Events), strings.Join(mix, ", "),
		figure(r.Published), r.Since.UTC().Format("2006-01-02 15:04:05"), r.Until.UTC().Format("15:04:05 UTC"))
	fmt.Fprintf(w, "List prices of %s, %s.\n\n", r.PricesIn, r.PricesOf)

	fmt.Fprintln(w, "SERVICE\tPRICE\tSHARE\tFOR")
	for _, l := range r.Services {
		var units []string
		for _, u := range l.Units {
			units = append(units, figure(u.Quantity)+" "+plural(string(u.Unit)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Name, dollars(l.Dollars), percent(l.Share), strings.Join(units, ", "))
	}
	fmt.Fprintf(w, "total\t%s\n\n", dollars(r.Total))

	fmt.Fprintln(w, "OF WHICH\tPRICE\tSHARE\tMOSTLY")
	for _, l := range r.Subscriptions {
		most := l.Units[0]
		for _, u := range l.Units {
			if u.Dollars > most.Dollars {
				most = u
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s, %s\n", l.Name, dollars(l.Dollars), percent(l.Share), plural(string(most.Unit)), dollars(most.Dollars))
	}

	if len(r.Levers) > 0 {
		fmt.Fprint(w, "\nBATCHES OF\tIN THE RUN\tRECKONED")
		for _, p := range r.Levers[0].Prices {
			fmt.Fprintf(w, "\t%s", figure(p.Batch))
		}
		fmt.Fprintln(w)
		for _, l := range r.Levers {
			fmt.Fprintf(w, "%s\t%s\t%s", l.Subscription, figure(l.Measured), figure(l.Reckoned))
			for _, p := range l.Prices {
				fmt.Fprintf(w, "\t%s", dollars(p.Dollars))
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, "(to receive, delete and invoke 1,000,000 of its events, by the size of batches)")
	}

	if len(r.Quotas) > 0 {
		fmt.Fprint(w, "\nQUOTA\tIS\tBINDS AT")
		if r.Rate > 0 {
			fmt.Fprintf(w, "\tUSED AT %s/s", figure(r.Rate))
		}
		fmt.Fprintln(w, "\tWAY OUT")
		for _, q := range r.Quotas[:min(shownQuotas, len(r.Quotas))] {
			fmt.Fprintf(w, "%s\t%s\t%s events/s", q.Name, figure(q.Limit), figure(q.BindsAt))
			if r.Rate > 0 {
				fmt.Fprintf(w, "\t%s", percent(q.Used))
			}
			fmt.Fprintf(w, "\t%s\n", q.WayOut)
		}
	}

	fmt.Fprintf(w, "\nBY THE MONTH\tPRICE\tIN %s\n", strings.ToUpper(r.Environment))
	for _, m := range r.Monthly {
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.Name, dollars(m.Dollars), figure(m.Quantity))
	}
	fmt.Fprintln(w)
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	return w.Flush()
}

// shownQuotas is how many of the quotas people are shown.
const shownQuotas = 6

func plural(unit string) string { return unit + "s" }

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + "%" }

// dollars has cents, and of less two digits that say something.
func dollars(d float64) string {
	if d == 0 || math.Abs(d) >= 0.01 {
		return fmt.Sprintf("$%.2f", d)
	}
	return "$" + strconv.FormatFloat(d, 'f', 1-int(math.Floor(math.Log10(math.Abs(d)))), 64)
}

// figure writes a number with three digits at least, and its thousands apart.
func figure(n float64) string {
	if n < 100 && n != math.Trunc(n) {
		return strconv.FormatFloat(n, 'g', 3, 64)
	}
	text := strconv.FormatFloat(math.Round(n), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
