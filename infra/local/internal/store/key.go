package store

import (
	"encoding/binary"
	"errors"
	"strings"
	"syscall"
)

// Key is a key made of parts, each of which sorts as its values do: build it
// with [NewKey] and the part methods, which return an extended copy.
//
//	messages := store.NewKey("sqs").String(queue).String("message")
//	first := messages.Uint(1)
type Key []byte

// NewKey begins a key in a keyspace of its own. By convention the keyspace is
// the name of the service that owns it.
func NewKey(space string) Key { return Key{}.String(space) }

// String appends a text (or any bytes) of any length. It is ended by a mark,
// so that "a" followed by "b" differs from "ab", and order is kept.
func (k Key) String(s string) Key {
	out := make(Key, len(k), len(k)+len(s)+2)
	copy(out, k)
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			break
		}
		out = append(out, s[:i]...)
		out = append(out, 0, 0xff)
		s = s[i+1:]
	}
	out = append(out, s...)
	return append(out, 0, 1)
}

// StringPrefix appends the beginning of a text: what comes out is a prefix of
// every key to which String appends a text that begins with s.
func (k Key) StringPrefix(s string) Key {
	out := k.String(s)
	return out[:len(out)-2]
}

// Uint appends a number of eight bytes.
func (k Key) Uint(n uint64) Key {
	out := make(Key, len(k), len(k)+8)
	copy(out, k)
	return binary.BigEndian.AppendUint64(out, n)
}

// LastUint reads back the number that Uint appended last.
func (k Key) LastUint() uint64 { return binary.BigEndian.Uint64(k[len(k)-8:]) }

// After is the first key that does not begin with k.
func (k Key) After() Key {
	out := append(Key(nil), k...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i] != 0xff {
			out[i]++
			return out[:i+1]
		}
	}
	return nil
}

// isLocked reports whether an error of Open means that another process holds
// the directory.
func isLocked(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "lock")
}
