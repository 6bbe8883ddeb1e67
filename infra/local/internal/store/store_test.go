package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCommittedWritesSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := s.NewBatch()
	b.Set(NewKey("a").Uint(1), []byte("one"))
	b.Set(NewKey("a").Uint(2), []byte("two"))
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	s.NewBatch().Discard()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	v, ok, err := s.Get(NewKey("a").Uint(2))
	if err != nil || !ok || string(v) != "two" {
		t.Fatalf("got %q, %v, %v", v, ok, err)
	}
	if _, ok, _ := s.Get(NewKey("a").Uint(3)); ok {
		t.Fatal("found a key that was never written")
	}
}

func TestScanYieldsARangeInOrderAndInReverse(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	b := s.NewBatch()
	for i := range 5 {
		b.Set(NewKey("a").Uint(uint64(i)), fmt.Append(nil, i))
	}
	b.Set(NewKey("b").Uint(0), []byte("other keyspace"))
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    Range
		want string
	}{
		{"prefix", Prefix(NewKey("a")), "0 1 2 3 4"},
		{"from", Range{From: NewKey("a").Uint(3), To: NewKey("a").After()}, "3 4"},
		{"reverse", Range{From: NewKey("a"), To: NewKey("a").After(), Reverse: true}, "4 3 2 1 0"},
	} {
		var got []string
		for e, err := range s.Scan(c.r) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.Value))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
}

func TestASecondProcessIsToldThatTheDirectoryIsInUse(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	_, err := Open(dir)
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("got %v", err)
	}
}

func TestKeysSortAsTheirPartsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff}))
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		m, n := rapid.Uint64().Draw(t, "m"), rapid.Uint64().Draw(t, "n")
		want := strings.Compare(a, b)
		if want == 0 {
			want = compare(m, n)
		}
		x, y := NewKey("s").String(a).Uint(m), NewKey("s").String(b).Uint(n)
		if got := bytes.Compare(x, y); got != want {
			t.Fatalf("%q %d against %q %d: got %d, want %d", a, m, b, n, got, want)
		}
		if x.LastUint() != m {
			t.Fatalf("LastUint %d, want %d", x.LastUint(), m)
		}
	})
}

func compare(m, n uint64) int {
	switch {
	case m < n:
		return -1
	case m > n:
		return 1
	}
	return 0
}
