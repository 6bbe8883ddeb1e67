package dynamodb

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestExpiredItemsAreDeletedByTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := streamed(NewAndOldImages)
		table.TTLAttribute = "expires"
		s, closeAll := open(t, t.TempDir(), table)
		defer closeAll()
		in := func(d time.Duration) string { return fmt.Sprintf(`"expires":{"N":"%d"}`, time.Now().Add(d).Unix()) }
		putAccount(t, s, `"pk":{"S":"soon"},"n":{"N":"1"},`+in(time.Hour))
		putAccount(t, s, `"pk":{"S":"later"},`+in(10*time.Hour))
		putAccount(t, s, `"pk":{"S":"fraction"},`+strings.Replace(in(time.Hour), `"}`, `.5"}`, 1))
		putAccount(t, s, `"pk":{"S":"never"}`)
		putAccount(t, s, `"pk":{"S":"text"},"expires":{"S":"1"}`)
		putAccount(t, s, `"pk":{"S":"huge"},"expires":{"N":"1e100"}`)
		putAccount(t, s, `"pk":{"S":"six years ago"},`+in(-6*365*24*time.Hour))
		putAccount(t, s, `"pk":{"S":"four years ago"},`+in(-4*365*24*time.Hour))
		there := func() string {
			synctest.Wait()
			var out []string
			for _, pk := range []string{"soon", "later", "fraction", "never", "text", "huge", "six years ago", "four years ago"} {
				if must(t, s, "GetItem", `{"TableName":"accounts","Key":{"pk":{"S":"`+pk+`"}}}`) != "{}" {
					out = append(out, pk)
				}
			}
			return strings.Join(out, ", ")
		}
		time.Sleep(sweepInterval)
		if got := there(); got != "soon, later, fraction, never, text, huge, six years ago" {
			t.Errorf("at first there are %s", got)
		}
		time.Sleep(time.Hour)
		if got := there(); got != "later, never, text, huge, six years ago" {
			t.Errorf("after an hour there are %s", got)
		}
		var deleted []string
		for _, r := range records(t, s, 0) {
			const principal = `"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}`
			if r.EventName == "REMOVE" {
				deleted = append(deleted, shape(r))
			}
			if (r.EventName == "REMOVE") != strings.Contains(string(r.JSON), principal) {
				t.Errorf("who did it is wrong in %s", r.JSON)
			}
		}
		if got := strings.Join(deleted, ", "); got != "REMOVE four years ago, REMOVE fraction, REMOVE soon old 1" {
			t.Errorf("the stream shows %s", got)
		}
	})
}

func TestManyItemsExpireInOneSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := accounts
		table.TTLAttribute = "expires"
		s, closeAll := open(t, t.TempDir(), table)
		defer closeAll()
		for i := range 250 {
			putAccount(t, s, fmt.Sprintf(`"pk":{"S":"%d"},"expires":{"N":"%d"}`, i, time.Now().Unix()))
		}
		time.Sleep(sweepInterval)
		synctest.Wait()
		if got := must(t, s, "Scan", `{"TableName":"accounts","Select":"COUNT"}`); got != `{"Count":0,"ScannedCount":0}` {
			t.Errorf("left are %s", got)
		}
	})
}

// An item that is given a longer life while the sweep looks at it stays.
func TestAnExtendedItemIsNotDeleted(t *testing.T) {
	table := accounts
	table.TTLAttribute = "expires"
	s, _ := open(t, t.TempDir(), table)
	soon, later := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	putAccount(t, s, fmt.Sprintf(`"pk":{"S":"a"},"expires":{"N":"%d"}`, soon))
	tab := s.tables["accounts"]
	key, err := tab.keyOf(mustMap(t, `{"pk":{"S":"a"}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := &change{verb: expire, table: tab, item: mustMap(t, `{"pk":{"S":"a"}}`), key: key} // as the sweep found it
	putAccount(t, s, fmt.Sprintf(`"pk":{"S":"a"},"expires":{"N":"%d"}`, later))
	if err := c.evaluate(s); err != nil {
		t.Fatal(err)
	}
	if err := s.commit([]*change{c}, nil); err != nil {
		t.Fatal(err)
	}
	if got := must(t, s, "GetItem", `{"TableName":"accounts","Key":{"pk":{"S":"a"}}}`); got == "{}" {
		t.Error("the item is gone")
	}
}
