package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestALogHoldsWhatWasWrittenAndBehindItZeros(t *testing.T) {
	fs := logFS{vfs.Default}
	log, next := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "next")
	f, err := fs.Create(log, logCategory)
	if err != nil {
		t.Fatal(err)
	}
	record := bytes.Repeat([]byte("record"), 50_000)
	var want []byte
	for len(want) <= 3*logGrowth {
		if _, err := f.Write(record); err != nil {
			t.Fatal(err)
		}
		want = append(want, record...)
		got := content(t, log)
		if len(got)%logGrowth != 0 || len(got) <= len(want) || len(got) > len(want)+logGrowth {
			t.Fatalf("after %d bytes the log has %d", len(want), len(got))
		}
		if !bytes.Equal(got, append(bytes.Clone(want), make([]byte, len(got)-len(want))...)) {
			t.Fatalf("after %d bytes the log holds something else", len(want))
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	before := content(t, log)
	f, err = fs.ReuseForWrite(log, next, logCategory)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("anew")); err != nil {
		t.Fatal(err)
	}
	copy(before, "anew")
	if !bytes.Equal(content(t, next), before) {
		t.Error("a log that is used anew has changed behind what was written")
	}
}

func content(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAStoreThatWasNotClosedHasWhatWasCommitted(t *testing.T) {
	dir, left := t.TempDir(), t.TempDir()
	s := open(t, dir)
	defer s.Close()
	const commits = 200 // too few for Pebble to begin a table or another log
	for i := range commits {
		b := s.NewBatch()
		b.Set(NewKey("a").Uint(uint64(i)), bytes.Repeat([]byte{byte(i)}, 300))
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil { // as a kill would leave it
		t.Fatal(err)
	}
	s = open(t, left)
	defer s.Close()
	for i := range commits {
		v, ok, err := s.Get(NewKey("a").Uint(uint64(i)))
		if err != nil || !ok || !bytes.Equal(v, bytes.Repeat([]byte{byte(i)}, 300)) {
			t.Fatalf("commit %d: got %v, %v, %v", i, v, ok, err)
		}
	}
}
