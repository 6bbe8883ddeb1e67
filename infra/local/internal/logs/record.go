package logs

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// record is one line of a group. In a file it is
//
//	<time in ms> <bytes of stream> <bytes of message> <stream> <message>\n
//
// so that a person can read and grep the files, and a record that was cut off
// by a crash is told from a whole one.
type record struct {
	position int64 // where it begins in the group's sequence
	next     int64 // where the record after it begins
	ms       int64
	stream   []byte // valid until the next record is read
	message  []byte // likewise
}

func appendRecord(dst []byte, ms int64, stream, message string) []byte {
	dst = strconv.AppendInt(dst, ms, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(len(stream)), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(len(message)), 10)
	dst = append(dst, ' ')
	dst = append(dst, stream...)
	dst = append(dst, ' ')
	dst = append(dst, message...)
	return append(dst, '\n')
}

// maxRecord bounds what a length in a damaged file may ask for; a log event
// has at most 1 MB ("CloudWatch Logs quotas", event size).
const maxRecord = 4 << 20

// errDamaged means that no whole record follows.
var errDamaged = errors.New("no whole record")

// recordReader reads the records of one file.
type recordReader struct {
	r        *bufio.Reader
	position int64
	buf      []byte
}

func newRecordReader(r io.Reader, position int64) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(r, 64<<10), position: position}
}

// next returns the next record, io.EOF behind the last, or errDamaged.
func (r *recordReader) next() (record, error) {
	var numbers [3]int64
	size := int64(0)
	for i := range numbers {
		field, err := r.r.ReadSlice(' ')
		if err == io.EOF && i == 0 && len(field) == 0 {
			return record{}, io.EOF
		}
		if err != nil {
			return record{}, errDamaged
		}
		size += int64(len(field))
		if numbers[i], err = strconv.ParseInt(string(field[:len(field)-1]), 10, 64); err != nil || numbers[i] < 0 {
			return record{}, errDamaged
		}
	}
	stream, message := numbers[1], numbers[2]
	if stream > maxRecord || message > maxRecord {
		return record{}, errDamaged
	}
	rest := int(stream + message + 2)
	if cap(r.buf) < rest {
		r.buf = make([]byte, rest)
	}
	r.buf = r.buf[:rest]
	if _, err := io.ReadFull(r.r, r.buf); err != nil || r.buf[stream] != ' ' || r.buf[rest-1] != '\n' {
		return record{}, errDamaged
	}
	out := record{
		position: r.position,
		next:     r.position + size + int64(rest),
		ms:       numbers[0],
		stream:   r.buf[:stream],
		message:  r.buf[stream+1 : rest-1],
	}
	r.position = out.next
	return out, nil
}

// interned avoids a new string for every record of a stream.
type interned struct{ last string }

func (i *interned) string(b []byte) string {
	if i.last != string(b) {
		i.last = string(b)
	}
	return i.last
}
