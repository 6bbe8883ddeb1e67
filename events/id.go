package events

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// newUUID returns a fresh UUIDv7: sorted by time, unique without coordination.
func newUUID() string { return uuid.Must(uuid.NewV7()).String() }

// DeriveID returns the UUIDv7 of an event made from a source that may deliver
// again (a stream, a trigger, a handler). The same arguments give the same id:
// the time of the source, and as random bits a SHA-256 of the source's id, the
// event's type and its index among the events of that type made of the source.
// The time is used to the millisecond.
func DeriveID(at time.Time, source string, t Type, index int) string {
	h := sha256.New()
	for _, part := range []string{source, t.Source, t.Name} {
		// The length before each part keeps "a"+"bc" apart from "ab"+"c".
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(index)))
	var id uuid.UUID
	copy(id[:], h.Sum(nil))
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}
