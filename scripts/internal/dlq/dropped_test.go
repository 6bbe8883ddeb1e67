package dlq_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

// drop drops what a filter picks of a DLQ of n events, and returns the file.
func drop(t *testing.T, f *fakeSQS, q *dlq.Queue, filter dlq.Filter) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "folder", "dropped.jsonl")
	keep, err := dlq.NewKeepFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.onDelete = func(ids []string) {
		kept, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(kept), `"messageId":"`+ids[0]+`"`) {
			t.Errorf("%s is deleted before it is kept: %v", ids[0], err)
		}
	}
	d := dlq.Drop{Keep: keep, Picker: dlq.Picker{Filter: filter}}
	if _, err := q.Walk(t.Context(), dlq.Walk{Chunk: 100, Patient: true}, d.Visit); err != nil {
		t.Fatal(err)
	}
	if err := keep.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsDroppedIsKeptFirstAndCanBeBroughtBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 120)
		f.queues["dlq"][7].MessageAttributes["bytes"] = types.MessageAttributeValue{DataType: aws.String("Binary.x"), BinaryValue: []byte{0, 1}}
		path := drop(t, f, q, dlq.Filter{})
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || len(f.bodies("dlq")) != 0 {
			t.Fatal(info.Mode(), err, len(f.bodies("dlq")))
		}
		restore := func(most int) (moved, before int) {
			file, err := dlq.OpenRestoring(path, false, "dlq")
			if err != nil {
				t.Fatal(err)
			}
			r := &dlq.Redrive{API: f, To: "queue", MaxRedrives: 3}
			for range most {
				batch, err := file.Next(50)
				if err != nil {
					t.Fatal(err)
				}
				if len(batch) == 0 {
					break
				}
				done, err := r.Visit(t.Context(), batch)
				if err := errors.Join(err, file.Done(done)); err != nil {
					t.Fatal(err)
				}
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			return r.Moved, file.Before
		}
		if moved, before := restore(1); moved != 50 || before != 0 { // and it is killed
			t.Errorf("moved %d, and %d before", moved, before)
		}
		if moved, before := restore(100); moved != 70 || before != 50 {
			t.Errorf("moved %d, and %d before", moved, before)
		}
		if moved, before := restore(100); moved != 0 || before != 120 {
			t.Errorf("moved %d, and %d before", moved, before)
		}
		i := slices.IndexFunc(f.queues["queue"], func(m *fakeMessage) bool { return *m.Body == event("e-7", 7) })
		if len(f.queues["queue"]) != 120 || i < 0 {
			t.Fatalf("%d came back", len(f.queues["queue"]))
		}
		got := f.queues["queue"][i].MessageAttributes
		if string(got["bytes"].BinaryValue) != "\x00\x01" || *got["bytes"].DataType != "Binary.x" || *got[queue.Redrives].StringValue != "1" {
			t.Errorf("it came back with %v", got)
		}
	})
}

func TestOnlyWhatIsPickedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 5)
		path := drop(t, f, q, dlq.Filter{IDs: []string{"e-3"}})
		kept, err := os.ReadFile(path)
		if err != nil || strings.Count(string(kept), "\n") != 1 || len(f.visible("dlq")) != 4 {
			t.Errorf("kept %s, %v; %v stay", kept, err, f.visible("dlq"))
		}
		if _, err := dlq.NewKeepFile(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a file that is there: %v", err)
		}
		if _, err := os.Stat(drop(t, f, open(t, f), dlq.Filter{IDs: []string{"none"}})); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file for nothing: %v", err)
		}
	})
}

func TestAFileOfSomethingElseIsNotBroughtBack(t *testing.T) {
	for text, want := range map[string]string{
		"{\"x\":": "line 1: unexpected end of JSON input: it is no message that `penstock dlq drop` has kept",
		"{}\n":    "line 1: it is no message that",
		`{"messageId":"m","body":"b","dlq":"other"}`: "line 1: the message was dropped of other, which is another subscription's",
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := dlq.OpenRestoring(path, true, "dlq")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dlq.Restored(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a dry run leaves a note: %v", err)
		}
	}
}
