package meter_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/meter"
)

func open(t *testing.T, dir string) *meter.Meter {
	t.Helper()
	m, err := meter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func read(t *testing.T, dir string) *meter.Usage {
	t.Helper()
	u, err := meter.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAMeterGoesOnWhereItsFileEnds(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		m := open(t, dir)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				m.Add(meter.QueueRequest, "orders", 2)
				m.AddBy(meter.TableWrite, "ledger", "fees", 0.5)
				m.Batch("fees", "orders", 256, 10, 3)
			})
		}
		wg.Wait()
		m.CustomMetrics(func() int { return 5 })
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	u := read(t, dir)
	if n := u.Quantity(meter.QueueRequest); n != 32 || len(u.Counts) != 2 {
		t.Errorf("%v requests in %+v", n, u.Counts)
	}
	if want := (meter.Count{Unit: meter.TableWrite, Resource: "ledger", By: "fees", Quantity: 8}); u.Counts[0] != want {
		t.Errorf("got %+v, want %+v", u.Counts[0], want)
	}
	if want := (meter.Batches{Function: "fees", Source: "orders", MemoryMB: 256, Invocations: 16, Records: 160, BilledMs: 48, RecordsSq: 1600, RecordsMs: 480}); len(u.Batches) != 1 || u.Batches[0] != want {
		t.Errorf("got %+v, want %+v", u.Batches, want)
	}
	if u.CustomMetrics != 5 || u.Until.Before(u.Since) {
		t.Errorf("got %+v", u)
	}

	if err := meter.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := meter.Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed, and then: %v", err)
	}
	if err := meter.Remove(dir); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
}

func TestWhatAKillLosesIsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		m := open(t, dir)
		m.Add(meter.FunctionRequest, "fees", 1)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if n := read(t, dir).Quantity(meter.FunctionRequest); n != 1 {
			t.Errorf("the file knows of %v invocations", n)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFileThatIsNotTheMetersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "usage.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := meter.Open(dir); err == nil {
		t.Error("a broken file is taken")
	}
}

func TestPayloadsAreBilledBy64KB(t *testing.T) {
	for bytes, want := range map[int]float64{0: 1, 1: 1, 64 << 10: 1, 64<<10 + 1: 2, 1 << 20: 16} {
		if got := meter.Chunks(bytes); got != want {
			t.Errorf("%d bytes: %v, want %v", bytes, got, want)
		}
	}
}

func TestANilMeterCountsNothing(t *testing.T) {
	var m *meter.Meter
	m.Add(meter.Email, "people", 1)
	m.Batch("fees", "orders", 256, 1, 1)
}
