package schemas_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/catalogue"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/scripts/schemas"
)

func TestTheProjectsSchemasAreThoseOfItsEventTypes(t *testing.T) {
	stale, err := schemas.Stale(os.DirFS("../.."), catalogue.All)
	if err != nil {
		t.Fatal(err)
	}
	if len(stale) > 0 {
		t.Fatalf("stale: %v (%s mends it)", stale, schemas.Command)
	}
}

func TestWriteMakesWhatIsMissingMendsWhatIsDifferentAndRemovesWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	c := events.NewCatalogue(events.Describe[savings.Withdrawal](), events.Describe[trading.TradeAllocated]())
	withdrawal := filepath.Join(dir, "schemas", "savings", "SAVINGS_WITHDRAWAL.sample.json")
	gone := filepath.Join(dir, "schemas", "savings", "GONE.sample.json")
	mine := filepath.Join(dir, "schemas", "savings", "notes.md")
	if err := os.MkdirAll(filepath.Dir(gone), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{withdrawal, gone, mine} {
		if err := os.WriteFile(file, []byte("{}\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := schemas.Stale(os.DirFS(dir), c)
	want := []string{"schemas/savings/GONE.sample.json", "schemas/savings/SAVINGS_WITHDRAWAL.sample.json", "schemas/trading/TRADE_ALLOCATED.sample.json"}
	if err != nil || !slices.Equal(stale, want) {
		t.Fatalf("stale is %v, %v; want %v", stale, err, want)
	}
	if err := schemas.Write(dir, c); err != nil {
		t.Fatal(err)
	}
	if stale, err := schemas.Stale(os.DirFS(dir), c); err != nil || len(stale) > 0 {
		t.Fatalf("after Write: %v, %v", stale, err)
	}
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Errorf("the file of a type that is gone is still there: %v", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file that is none of the generator's was removed: %v", err)
	}
	got, err := os.ReadFile(withdrawal)
	if err != nil {
		t.Fatal(err)
	}
	const sample = `{
  "accountId": "ACC-1001",
  "transactionId": "TX-77120",
  "amount": 250,
  "currency": "EUR",
  "channel": "ATM"
}
`
	if string(got) != sample {
		t.Errorf("the sample is\n%s", got)
	}
}
