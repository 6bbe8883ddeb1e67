// Command recorder is a function that does nothing but note when each event
// was handled. The suite "local" deploys it into projects of its own.
package main

import (
	"context"
	"encoding/binary"
	"log"
	"os"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
)

// numbered is the event as the suite publishes it.
type numbered struct {
	Number uint64 `json:"number"`
}

func (numbered) EventType() events.Type { return events.Type{Source: "bench", Name: "NUMBERED"} }
func (n numbered) Schema() events.Event { return numbered{1} }

func main() {
	file, err := os.OpenFile(os.Getenv("BENCH_RECORDS"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		log.Fatal(err)
	}
	handler.Start(handler.Batch(recorder{file}.record))
}

type recorder struct{ file *os.File }

// record writes 16 bytes for each event: its number, and the time. One write is
// whole, whoever else writes at the time.
func (r recorder) record(_ context.Context, batch []*handler.Message[numbered]) error {
	at := uint64(time.Now().UnixNano())
	out := make([]byte, 0, 16*len(batch))
	for _, m := range batch {
		out = binary.LittleEndian.AppendUint64(out, m.Event.Number)
		out = binary.LittleEndian.AppendUint64(out, at)
	}
	_, err := r.file.Write(out)
	return err
}
