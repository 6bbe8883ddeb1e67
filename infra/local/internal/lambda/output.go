package lambda

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// output carries what a program prints, and what Lambda says about it, to the
// function's log group. Both go through one pipe, so that the lines stand in
// the order in which they came about: the END of an invocation behind
// everything that the program printed before it answered.
type output struct {
	logs          LogWriter
	group, stream string
	reader        *os.File

	mu      sync.Mutex
	writer  *os.File    // nil once closed
	awaited string      // see sayLast
	reached chan []byte // takes the tail when awaited was read; of size 1

	tail []byte // the end of what was read, at least maxTail if there is as much
}

// maxTail is how much of the log an invocation returns when it is asked to
// ("Invoke", LogType).
const maxTail = 4 << 10

// mark stands before a line of Lambda's own, so that it begins a new line even
// if the program has not finished its last one.
const mark = 0

// maxLine is the longest line kept in one piece; longer ones are split.
const maxLine = 256 << 10

func newOutput(logs LogWriter, group, stream string) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &output{logs: logs, group: group, stream: stream, reader: r, writer: w}, nil
}

// say writes a line of Lambda's own.
func (o *output) say(format string, args ...any) {
	line := fmt.Appendf([]byte{mark}, format+"\n", args...)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writer != nil {
		_, _ = o.writer.Write(line)
	}
}

// sayStart says that an invocation begins.
func (o *output) sayStart(requestID string) {
	o.say("START RequestId: %s Version: $LATEST", requestID)
}

// sayLast says the last line of an invocation, waits until everything up to it
// was read, and returns the end of the invocation's log.
func (o *output) sayLast(requestID, line string) []byte {
	reached := make(chan []byte, 1)
	o.mu.Lock()
	o.awaited, o.reached = line+"\n", reached
	o.mu.Unlock()
	o.say("%s", line)
	tail := <-reached
	if i := bytes.LastIndex(tail, []byte("START RequestId: "+requestID)); i > 0 {
		tail = tail[i:]
	}
	return tail[max(0, len(tail)-maxTail):]
}

// keep adds a line to the tail.
func (o *output) keep(line []byte) {
	if o.tail = append(o.tail, line...); len(o.tail) > 8*maxTail {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-maxTail:]...)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reached != nil && string(line) == o.awaited {
		o.reached <- bytes.Clone(o.tail)
		o.reached = nil
	}
}

// close ends the output, once what was written has been read.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.writer.Close()
	o.writer = nil
}

// read appends the lines to the log group until the output is closed and no
// process holds the pipe any more.
func (o *output) read() {
	defer o.reader.Close()
	var line []byte
	emit := func() {
		if len(line) > 0 {
			// As on AWS, the event ends with the line end.
			line = append(line, '\n')
			o.logs.Append(o.group, o.stream, string(line))
			o.keep(line)
			line = line[:0]
		}
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := o.reader.Read(buf)
		rest := buf[:n]
		for len(rest) > 0 {
			end := bytes.IndexAny(rest, "\n\x00")
			if end < 0 {
				break
			}
			line = append(line, rest[:end]...)
			rest = rest[end+1:]
			emit()
		}
		if line = append(line, rest...); len(line) >= maxLine {
			emit()
		}
		if err != nil {
			emit()
			return
		}
	}
}
