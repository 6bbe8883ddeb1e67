package handler

import (
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// plainLines writes the lines of logAlways as slog.JSONHandler would, at a fifth
// of the time: there is one for every event. It is for the logger that a function
// begins with, and for values that stand for themselves in JSON.
type plainLines struct {
	out   io.Writer
	attrs []slog.Attr // of all lines
}

// lineBuffers hold lines that are being made.
var lineBuffers = sync.Pool{New: func() any { return new([]byte) }}

// write writes a line, or reports false if it is one for slog. It may be called
// on nil.
func (p *plainLines) write(level slog.Level, message string, attrs []slog.Attr) bool {
	if p == nil {
		return false
	}
	buffer := lineBuffers.Get().(*[]byte)
	defer lineBuffers.Put(buffer)
	line := append((*buffer)[:0], `{"time":"`...)
	line = time.Now().AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","level":"`...)
	line = append(line, level.String()...)
	line = append(line, '"')
	line, ok := appendPlain(line, slog.MessageKey, slog.StringValue(message))
	for _, list := range [][]slog.Attr{p.attrs, attrs} {
		for i := 0; i < len(list) && ok; i++ {
			line, ok = appendPlain(line, list[i].Key, list[i].Value)
		}
	}
	*buffer = append(line, "}\n"...)
	if ok {
		_, _ = p.out.Write(*buffer) // as slog.Logger does: there is nowhere to say that one cannot log
	}
	return ok
}

// appendPlain appends a member, or reports false.
func appendPlain(line []byte, key string, v slog.Value) ([]byte, bool) {
	line = append(line, `,"`...)
	line = append(line, key...)
	line = append(line, `":`...)
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(line, v.Int64(), 10), true
	case slog.KindFloat64:
		f := v.Float64()
		return strconv.AppendFloat(line, f, 'f', -1, 64), f == 0 || f >= 1e-6 && f < 1e21
	case slog.KindString:
		s := v.String()
		for i := range len(s) {
			if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
				return line, false
			}
		}
		line = append(line, '"')
		line = append(line, s...)
		return append(line, '"'), true
	}
	return line, false
}

// wholeWrites lets one Write through at a time.
type wholeWrites struct {
	mu sync.Mutex
	w  io.Writer
}

func (w *wholeWrites) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}
