package dynamodb

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
)

// streamed is accounts with a stream.
func streamed(view StreamView) Table {
	t := accounts
	t.StreamView = view
	return t
}

// streamARN returns the ARN of the stream of accounts.
func streamARN(t testing.TB, s *Service) string {
	t.Helper()
	arn, ok := s.StreamARN("accounts")
	if !ok {
		t.Fatal("accounts has no stream")
	}
	return arn
}

// records reads what the stream of accounts has after a sequence; there must
// be something.
func records(t testing.TB, s *Service, after uint64) []StreamRecord {
	t.Helper()
	out, err := s.ReadStream(t.Context(), streamARN(t, s), after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func putAccount(t testing.TB, s *Service, attributes string) {
	t.Helper()
	must(t, s, "PutItem", `{"TableName":"accounts","Item":{`+attributes+`}}`)
}

func TestARecordHasTheShapeThatLambdaHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, closeAll := open(t, t.TempDir(), streamed(NewAndOldImages))
		defer closeAll()
		time.Sleep(time.Hour)
		putAccount(t, s, `"pk":{"S":"ann"},"n":{"N":"1"}`)
		putAccount(t, s, `"pk":{"S":"ann"},"n":{"N":"2"}`)
		got := records(t, s, 0)[1]
		arn := "arn:aws:dynamodb:eu-west-1:123456789012:table/accounts/stream/2000-01-01T00:00:00.000"
		id := string(got.JSON)[len(`{"eventID":"`):][:32]
		want := `{"eventID":"` + id + `","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1",` +
			`"dynamodb":{"ApproximateCreationDateTime":946688400,"Keys":{"pk":{"S":"ann"}},"NewImage":{"n":{"N":"2"},"pk":{"S":"ann"}},"OldImage":{"n":{"N":"1"},"pk":{"S":"ann"}},` +
			`"SequenceNumber":"000000000000000000002","SizeBytes":21,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"` + arn + `"}`
		if string(got.JSON) != want {
			t.Errorf("got  %s\nwant %s", got.JSON, want)
		}
		var event awsevents.DynamoDBEventRecord
		if err := json.Unmarshal(got.JSON, &event); err != nil {
			t.Fatal(err)
		}
		if event.Change.NewImage["n"].Number() != "2" || event.EventSourceArn != streamARN(t, s) || !got.At.Equal(time.Now()) {
			t.Errorf("the Lambda library reads %+v", event)
		}
	})
}

// shape says what of an item a record shows.
func shape(r StreamRecord) string {
	var event awsevents.DynamoDBEventRecord
	if err := json.Unmarshal(r.JSON, &event); err != nil {
		return err.Error()
	}
	out := event.EventName + " " + event.Change.Keys["pk"].String()
	if event.EventName != r.EventName {
		return "names differ: " + out + ", " + r.EventName
	}
	for _, image := range []struct {
		name string
		item map[string]awsevents.DynamoDBAttributeValue
	}{{"new", event.Change.NewImage}, {"old", event.Change.OldImage}} {
		if n, ok := image.item["n"]; ok {
			out += " " + image.name + " " + n.Number()
		}
	}
	return out
}

func TestEveryChangeIsInTheStreamOnce(t *testing.T) {
	for view, want := range map[StreamView]string{
		KeysOnly:        "INSERT ann, MODIFY ann, MODIFY ann, REMOVE ann, INSERT bob, INSERT carol, INSERT dan, MODIFY bob",
		NewImage:        "INSERT ann new 1, MODIFY ann new 2, MODIFY ann new 3, REMOVE ann, INSERT bob new 1, INSERT carol new 1, INSERT dan new 1, MODIFY bob new 2",
		OldImage:        "INSERT ann, MODIFY ann old 1, MODIFY ann old 2, REMOVE ann old 3, INSERT bob, INSERT carol, INSERT dan, MODIFY bob old 1",
		NewAndOldImages: "INSERT ann new 1, MODIFY ann new 2 old 1, MODIFY ann new 3 old 2, REMOVE ann old 3, INSERT bob new 1, INSERT carol new 1, INSERT dan new 1, MODIFY bob new 2 old 1",
	} {
		t.Run(string(view), func(t *testing.T) {
			s, _ := open(t, t.TempDir(), streamed(view))
			add := func(pk string) string {
				return `{"TableName":"accounts","Key":{"pk":{"S":"` + pk + `"}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"1"}}}`
			}
			putOne := func(pk string) string {
				return `{"TableName":"accounts","Item":{"pk":{"S":"` + pk + `"},"n":{"N":"1"}}}`
			}
			key := func(pk string) string { return `{"TableName":"accounts","Key":{"pk":{"S":"` + pk + `"}}}` }
			must(t, s, "PutItem", putOne("ann"))
			must(t, s, "PutItem", putOne("ann")) // changes nothing
			must(t, s, "UpdateItem", add("ann"))
			must(t, s, "UpdateItem", add("ann"))
			must(t, s, "UpdateItem", `{"TableName":"accounts","Key":{"pk":{"S":"ann"}},"UpdateExpression":"SET n = n"}`)   // changes nothing
			must(t, s, "UpdateItem", `{"TableName":"accounts","Key":{"pk":{"S":"nobody"}},"UpdateExpression":"REMOVE n"}`) // makes nothing
			must(t, s, "DeleteItem", key("ann"))
			must(t, s, "DeleteItem", key("ann")) // deletes nothing
			must(t, s, "TransactWriteItems", `{"TransactItems":[{"Put":`+putOne("bob")+`},{"Put":`+putOne("carol")+`},{"Delete":`+key("nobody")+`}]}`)
			must(t, s, "BatchWriteItem", `{"RequestItems":{"accounts":[{"PutRequest":{"Item":{"pk":{"S":"dan"},"n":{"N":"1"}}}}]}}`)
			if _, err := call(t, s, "TransactWriteItems", `{"TransactItems":[{"Update":`+add("bob")+`},{"ConditionCheck":{"TableName":"accounts","Key":{"pk":{"S":"ann"}},"ConditionExpression":"attribute_exists(pk)"}}]}`); err == nil {
				t.Fatal("the transaction was not cancelled")
			}
			must(t, s, "UpdateItem", add("bob"))
			var got []string
			for _, r := range records(t, s, 0) {
				got = append(got, shape(r))
			}
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestAReaderWaitsForTheNextRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, closeAll := open(t, t.TempDir(), streamed(NewImage))
		defer closeAll()
		arn := streamARN(t, s)
		putAccount(t, s, `"pk":{"S":"a"}`)
		first := records(t, s, 0)[0]

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.ReadStream(ctx, arn, first.Sequence, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing to read: got %v", err)
		}

		result := make(chan string)
		go func() {
			got, err := s.ReadStream(t.Context(), arn, first.Sequence, 10)
			if err != nil {
				result <- err.Error()
				return
			}
			result <- fmt.Sprint(len(got), " ", shape(got[0]))
		}()
		synctest.Wait()
		putAccount(t, s, `"pk":{"S":"b"}`)
		if got := <-result; got != "1 INSERT b" {
			t.Errorf("got %s", got)
		}
	})
}

func TestAReaderGetsAtMostWhatItAskedFor(t *testing.T) {
	s, _ := open(t, t.TempDir(), streamed(NewImage))
	for i := range 5 {
		putAccount(t, s, fmt.Sprintf(`"pk":{"S":"%d"}`, i))
	}
	var pages []int
	after := uint64(0)
	for range 3 {
		got, err := s.ReadStream(t.Context(), streamARN(t, s), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(got))
		after = got[len(got)-1].Sequence
	}
	if fmt.Sprint(pages) != "[2 2 1]" {
		t.Errorf("pages of %v", pages)
	}
}

// A commit that is slow holds readers back before its record, though later
// ones are durable already.
func TestAReaderNeverSkipsARecordInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, closeAll := open(t, t.TempDir(), streamed(NewImage))
		defer closeAll()
		st := s.tables["accounts"].stream
		putAccount(t, s, `"pk":{"S":"a"}`)
		slow := st.begin()
		putAccount(t, s, `"pk":{"S":"c"}`)
		putAccount(t, s, `"pk":{"S":"d"}`)
		var got []string
		seen := uint64(0)
		read := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			out, err := s.ReadStream(ctx, st.arn, seen, 10)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			for _, r := range out {
				got = append(got, shape(r))
				seen = r.Sequence
			}
		}
		read()
		read()
		if g := strings.Join(got, ", "); g != "INSERT a" {
			t.Errorf("while a commit is under way a reader sees %s", g)
		}
		st.end(slow) // as if it had failed: there is no record
		read()
		if g := strings.Join(got, ", "); g != "INSERT a, INSERT c, INSERT d" {
			t.Errorf("afterwards a reader has seen %s", g)
		}
	})
}

func TestConcurrentWritersAreReadCompletelyAndInOrderPerItem(t *testing.T) {
	const writers, writes = 8, 40
	s, _ := open(t, t.TempDir(), streamed(NewImage))
	arn := streamARN(t, s)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 1; i <= writes; i++ {
				putAccount(t, s, fmt.Sprintf(`"pk":{"S":"w%d"},"n":{"N":"%d"}`, w, i))
			}
		})
	}
	last := map[string]int{}
	after, count := uint64(0), 0
	for count < writers*writes {
		got, err := s.ReadStream(t.Context(), arn, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			var name, pk, image string
			var n int
			if _, err := fmt.Sscan(shape(r), &name, &pk, &image, &n); err != nil {
				t.Fatal(shape(r), err)
			}
			if r.Sequence <= after || n != last[r.Key]+1 {
				t.Fatalf("sequence %d after %d: %s is at %d after %d", r.Sequence, after, pk, n, last[r.Key])
			}
			after, last[r.Key] = r.Sequence, n
			count++
		}
	}
	wg.Wait()
	if len(last) != writers {
		t.Errorf("the records have %d keys, want %d", len(last), writers)
	}
}

func TestATrimmedStreamContinuesItsSequenceAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s, closeAll := open(t, dir, streamed(NewImage))
	arn := streamARN(t, s)
	for i := range 3 {
		putAccount(t, s, fmt.Sprintf(`"pk":{"S":"%d"}`, i))
	}
	if err := s.TrimStream(t.Context(), arn, 2); err != nil {
		t.Fatal(err)
	}
	if got := records(t, s, 0); len(got) != 1 || shape(got[0]) != "INSERT 2" {
		t.Errorf("after trimming: %v", got)
	}
	if err := s.TrimStream(t.Context(), arn, 1<<60); err != nil {
		t.Fatal(err)
	}
	closeAll()
	s, _ = open(t, dir)
	if got := streamARN(t, s); got != arn {
		t.Errorf("after a restart the stream is %s, it was %s", got, arn)
	}
	if got, err := s.LatestRecord(arn); err != nil || got != 3 {
		t.Errorf("after a restart the latest record is %d (%v), want 3", got, err)
	}
	putAccount(t, s, `"pk":{"S":"new"}`)
	if got := records(t, s, 3); got[0].Sequence != 4 || shape(got[0]) != "INSERT new" {
		t.Errorf("after a restart the sequence is %d: %s", got[0].Sequence, shape(got[0]))
	}
}

func TestRecordsAreGoneAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, closeAll := open(t, t.TempDir(), streamed(NewImage))
		defer closeAll()
		putAccount(t, s, `"pk":{"S":"a"}`)
		time.Sleep(20 * time.Hour)
		putAccount(t, s, `"pk":{"S":"b"}`)
		if got := records(t, s, 0); len(got) != 2 {
			t.Errorf("before a day there are %d records", len(got))
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if got := records(t, s, 0); len(got) != 1 || shape(got[0]) != "INSERT b" {
			t.Errorf("after a day there are %v", got)
		}
	})
}

func TestAnotherViewIsAnotherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, closeAll := open(t, t.TempDir(), streamed(NewImage))
		defer closeAll()
		old := streamARN(t, s)
		putAccount(t, s, `"pk":{"S":"a"}`)
		waiting := make(chan error)
		go func() {
			_, err := s.ReadStream(t.Context(), old, 1, 10)
			waiting <- err
		}()
		time.Sleep(time.Second)
		with := streamed(NewImage)
		with.TTLAttribute = "expires"
		if err := s.CreateTable(t.Context(), with); err != nil || streamARN(t, s) != old {
			t.Errorf("an expiry attribute: %v, the stream became %s", err, streamARN(t, s))
		}
		if err := s.CreateTable(t.Context(), streamed(KeysOnly)); err != nil {
			t.Fatal(err)
		}
		expect(t, <-waiting, "", "ResourceNotFoundException: Requested resource not found: Stream: "+old)
		if got := streamARN(t, s); got == old {
			t.Errorf("the stream is still %s", got)
		}
		putAccount(t, s, `"pk":{"S":"b"}`)
		if got := records(t, s, 0); len(got) != 1 || shape(got[0]) != "INSERT b" {
			t.Errorf("the new stream has %v", got)
		}
		if err := s.CreateTable(t.Context(), accounts); err != nil {
			t.Fatal(err)
		}
		if arn, ok := s.StreamARN("accounts"); ok {
			t.Errorf("without a stream there is %s", arn)
		}
		_, err := s.ReadStream(t.Context(), old, 0, 10)
		expect(t, err, "", "ResourceNotFoundException: Requested resource not found: Stream: "+old)
	})
}

// What was acknowledged before a kill -9 is there after it, with its stream
// records, and nothing else is.
func TestAKilledProcessLosesNothingThatItAcknowledged(t *testing.T) {
	if dir := os.Getenv("DYNAMODB_TEST_DIR"); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestAKilledProcessLosesNothingThatItAcknowledged$")
		child.Env = append(os.Environ(), "DYNAMODB_TEST_DIR="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if id, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
				acknowledged[id] = true
			}
			if n == 300 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait()
	}
	s, _ := open(t, dir)
	if len(acknowledged) < 900 {
		t.Fatalf("only %d writes were acknowledged", len(acknowledged))
	}
	inStream := map[string]string{}
	for _, r := range readAll(t, s) {
		var name, pk string
		if _, err := fmt.Sscan(shape(r), &name, &pk); err != nil {
			t.Fatal(err)
		}
		inStream[pk] = name
	}
	stored := strings.Count(must(t, s, "Scan", `{"TableName":"accounts"}`), `"pk"`)
	if stored != len(inStream) {
		t.Errorf("%d items are stored and %d are in the stream", stored, len(inStream))
	}
	for id := range acknowledged {
		for _, half := range []string{"a", "b"} {
			if got := must(t, s, "GetItem", `{"TableName":"accounts","Key":{"pk":{"S":"`+id+half+`"}}}`); got == "{}" {
				t.Errorf("item %s%s was acknowledged and is gone", id, half)
			}
			if inStream[id+half] != "INSERT" {
				t.Errorf("item %s%s was acknowledged and is not in the stream", id, half)
			}
		}
	}
}

// readAll reads the whole stream of accounts.
func readAll(t *testing.T, s *Service) (all []StreamRecord) {
	last := s.tables["accounts"].stream.last
	for after := uint64(0); after < last; {
		got := records(t, s, after)
		all = append(all, got...)
		after = got[len(got)-1].Sequence
	}
	return all
}

// writeUntilKilled writes pairs of items, in transactions, from eight
// goroutines, and says which were acknowledged.
func writeUntilKilled(t *testing.T, dir string) {
	s, _ := open(t, dir, streamed(NewImage))
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d-", os.Getpid(), w, i)
				put := func(half string) string {
					return `{"Put":{"TableName":"accounts","Item":{"pk":{"S":"` + id + half + `"}},"ConditionExpression":"attribute_not_exists(pk)"}}`
				}
				must(t, s, "TransactWriteItems", `{"TransactItems":[`+put("a")+`,`+put("b")+`],"ClientRequestToken":"`+id+`"}`)
				fmt.Println("acknowledged " + id)
			}
		}()
	}
	select {} // until killed
}
