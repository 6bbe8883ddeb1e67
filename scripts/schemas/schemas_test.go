package schemas_test

import (
	"bytes"
	"maps"
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
	mineToo := filepath.Join(dir, "schemas", "savings", "mine.d.ts")
	goneToo := filepath.Join(dir, "schemas", "shop", "shop.go")
	for _, file := range []string{withdrawal, gone, mine, mineToo} {
		write(t, file, []byte("{}\n"))
	}
	write(t, goneToo, []byte("// Code generated from the event types by go generate; DO NOT EDIT.\n\npackage shop\n"))
	stale, err := schemas.Stale(os.DirFS(dir), c)
	want := []string{
		"schemas/README.md", "schemas/asyncapi.yaml",
		"schemas/savings/GONE.sample.json",
		"schemas/savings/SAVINGS_WITHDRAWAL.d.ts", "schemas/savings/SAVINGS_WITHDRAWAL.sample.json", "schemas/savings/SAVINGS_WITHDRAWAL.schema.json",
		"schemas/savings/savings.go", "schemas/schemas.go", "schemas/shop/shop.go",
		"schemas/trading/TRADE_ALLOCATED.d.ts", "schemas/trading/TRADE_ALLOCATED.sample.json", "schemas/trading/TRADE_ALLOCATED.schema.json",
		"schemas/trading/trading.go",
	}
	if err != nil || !slices.Equal(stale, want) {
		t.Fatalf("stale is %v, %v; want %v", stale, err, want)
	}
	if err := schemas.Write(dir, c); err != nil {
		t.Fatal(err)
	}
	if stale, err := schemas.Stale(os.DirFS(dir), c); err != nil || len(stale) > 0 {
		t.Fatalf("after Write: %v, %v", stale, err)
	}
	for _, file := range []string{gone, filepath.Dir(goneToo)} {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("what a type that is gone had is still there: %s, %v", file, err)
		}
	}
	for _, file := range []string{mine, mineToo} {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("a file that is none of the generator's was removed: %v", err)
		}
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

func TestTheSameCatalogueGivesTheSameBytes(t *testing.T) {
	root := os.DirFS("../..")
	first, err := schemas.Files(root, catalogue.All)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := schemas.Files(root, catalogue.All)
		if err != nil || !maps.EqualFunc(first, again, bytes.Equal) {
			t.Fatalf("the files differ (%v)", err)
		}
	}
	if first["events/schema/metadata.schema.json"] == nil {
		t.Error("Penstock's own metadata is not described")
	}
}
