package dynamodb

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// transaction is a request of three puts of 1 KB items, two of them guarded,
// as an outbox session sends it.
func transaction(i int) []byte {
	put := func(kind, condition string) string {
		attributes := ""
		for a := range 6 {
			attributes += fmt.Sprintf(`,"attribute%d":{"S":%q}`, a, strings.Repeat("x", 60))
		}
		return fmt.Sprintf(`{"Put":{"TableName":"accounts","Item":{"pk":{"S":"%s-%08d"},"amount":{"N":"12.5"},"detail":{"S":%q}%s}%s}}`,
			kind, i, strings.Repeat(`{"data":1}`, 50), attributes, condition)
	}
	guard := `,"ConditionExpression":"attribute_not_exists(pk)"`
	return fmt.Appendf(nil, `{"ClientRequestToken":"%036d","TransactItems":[%s,%s,%s]}`, i, put("mark", guard), put("fee", guard), put("event", ""))
}

// BenchmarkTransactWriteItems measures what a transaction costs up to the
// point where its batch would be committed (prepare), and as a whole, with 32
// under way for every processor (commit); the second includes what the store
// does in the background, and the making of the request.
func BenchmarkTransactWriteItems(b *testing.B) {
	b.Run("prepare", func(b *testing.B) {
		s, _ := open(b, b.TempDir(), streamed(NewImage))
		body := transaction(1)
		b.ReportAllocs()
		before := cpu(b)
		defer func() { b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op") }()
		for b.Loop() {
			var in struct {
				TransactItems      []transactItem
				ClientRequestToken *string
				metered
			}
			if err := awswire.Decode(body, &in); err != nil {
				b.Fatal(err)
			}
			changes := make([]*change, len(in.TransactItems))
			for i := range in.TransactItems {
				var err error
				if changes[i], err = in.TransactItems[i].change(b.Context(), s, i+1); err != nil {
					b.Fatal(err)
				}
				if err := changes[i].place(); err != nil {
					b.Fatal(err)
				}
			}
			token := newToken(*in.ClientRequestToken, changes)
			unlock := s.lock(changes, token.lockKey())
			if repeat, err := s.isRepeat(token); repeat || err != nil {
				b.Fatal(repeat, err)
			}
			for _, c := range changes {
				if err := c.evaluate(s); err != nil {
					b.Fatal(err)
				}
			}
			batch := s.store.NewBatch()
			for _, c := range changes {
				c.write(batch, time.Now())
			}
			s.saveToken(token, batch)
			batch.Discard()
			for _, c := range changes {
				c.end()
			}
			unlock()
		}
	})
	b.Run("commit", func(b *testing.B) {
		s, _ := open(b, b.TempDir(), streamed(NewImage))
		transact := s.Operations()["TransactWriteItems"]
		var number atomic.Int64
		b.SetParallelism(32)
		b.ReportAllocs()
		before := cpu(b)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := transact(b.Context(), transaction(int(number.Add(1)))); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	})
}

// cpu is how much processor time the process has used.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
