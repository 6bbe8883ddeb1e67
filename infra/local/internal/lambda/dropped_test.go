package lambda

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const droppedARN = "arn:aws:sqs:us-east-1:000000000000:dropped"

// dropTest has records dropped of a stream whose first batch always fails, and
// returns what its destination is told, and what is logged by then.
func dropTest(t *testing.T, spec Mapping, deny func(*oneRole), keys ...string) (told []string, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		s, q, role, f := newFakeStream(), newFakeQueue(), &oneRole{}, &fakeFunction{began: time.Now()}
		f.answer = func(call) (*Result, error) {
			return &Result{RequestID: fmt.Sprint("request ", len(f.calls)), FunctionError: unhandled, Payload: []byte(`{}`)}, nil
		}
		l := newLambda(t, func(c *Config) {
			c.Streams, c.Queues, c.Roles, c.Logger = s, q, role, slog.New(slog.NewTextHandler(&said, nil))
		})
		l.invoke = f.invoke
		spec.OnFailure = droppedARN
		onStream(t, l, spec)
		if deny != nil {
			deny(role)
		}
		s.put(0, keys...)
		pass(10 * time.Minute)
		if n := s.trimmedTo(); n != uint64(len(keys)) {
			t.Errorf("trimmed to %d: what is dropped is done with", n)
		}
		for _, m := range q.messages {
			told = append(told, m.Body)
		}
		log = said.String()
	})
	return told, log
}

func TestADestinationIsToldWhereDroppedRecordsAre(t *testing.T) {
	once := 1
	for name, c := range map[string]struct {
		spec      Mapping
		condition string
		invoked   func(int) bool
	}{
		"by attempts": {Mapping{MaximumRetryAttempts: &once}, "RetryAttemptsExhausted", func(n int) bool { return n == 2 }},
		"by age":      {Mapping{MaximumRecordAge: time.Minute}, "RecordAgeExceeded", func(n int) bool { return n > 2 }},
	} {
		told, _ := dropTest(t, c.spec, nil, "a", "b", "c")
		if len(told) != 1 {
			t.Fatalf("%s: told %q, want one message", name, told)
		}
		var got struct {
			RequestContext struct {
				RequestID, FunctionArn, Condition string
				ApproximateInvokeCount            int
			}
			ResponseContext    struct{ FunctionError string }
			Version            string
			Timestamp          time.Time
			DDBStreamBatchInfo struct {
				ShardID, StartSequenceNumber, EndSequenceNumber, StreamArn      string
				ApproximateArrivalOfFirstRecord, ApproximateArrivalOfLastRecord time.Time
				BatchSize                                                       int
			}
		}
		if err := json.Unmarshal([]byte(told[0]), &got); err != nil {
			t.Fatal(err)
		}
		r, b := got.RequestContext, got.DDBStreamBatchInfo
		if r.Condition != c.condition || !c.invoked(r.ApproximateInvokeCount) || r.RequestID != fmt.Sprint("request ", r.ApproximateInvokeCount) ||
			r.FunctionArn != "arn:aws:lambda:us-east-1:000000000000:function:f" || got.ResponseContext.FunctionError != unhandled || got.Version != "1.0" {
			t.Errorf("%s: told %s", name, told[0])
		}
		if b.StartSequenceNumber != "000000000000000000001" || b.EndSequenceNumber != "000000000000000000003" || b.BatchSize != 3 || b.StreamArn != streamARN ||
			b.ShardID == "" || b.ApproximateArrivalOfFirstRecord.IsZero() || b.ApproximateArrivalOfLastRecord.IsZero() {
			t.Errorf("%s: told of %s", name, told[0])
		}
	}
}

func TestRecordsThatNobodyMayBeToldOfAreDroppedAndLogged(t *testing.T) {
	none := 0
	told, log := dropTest(t, Mapping{MaximumRetryAttempts: &none}, func(r *oneRole) { r.deny("sqs:SendMessage") }, "a")
	if len(told) != 0 || strings.Count(log, "nobody is told of records that were dropped") != 1 || !strings.Contains(log, "not authorized to perform: sqs:SendMessage") {
		t.Errorf("told %q, logged %s", told, log)
	}
}

func TestADestinationIsRefusedThatIsNoQueueOrMayNotBeSentTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		role := &oneRole{}
		l := newLambda(t, func(c *Config) { c.Streams, c.Queues, c.Roles = newFakeStream(), newFakeQueue(), role })
		if err := l.CreateFunction(t.Context(), Function{Name: "f", Program: program}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			source, destination, deny, want string
		}{
			{streamARN, "arn:aws:sns:us-east-1:000000000000:t", "", "anything but an SQS queue is not supported by the local environment"},
			{streamARN, droppedARN, "sqs:SendMessage", "does not have permissions to call SendMessage on " + droppedARN},
			{queueARN, droppedARN, "", "DestinationConfig are for streams"},
		} {
			role.deny(c.deny)
			spec := Mapping{Function: "f", SourceARN: c.source, OnFailure: c.destination}
			if c.source == streamARN {
				spec.StartingPosition = "LATEST"
			}
			if _, err := l.CreateMapping(t.Context(), spec); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s to %s: %v, want %s", c.source, c.destination, err, c.want)
			}
		}
	})
}
