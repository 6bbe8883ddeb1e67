package sqs

import "github.com/penstock-dev/penstock/infra/local/meter"

// What AWS bills are requests, by 64 KB of their messages ("Amazon SQS
// pricing"). Every operation on a queue that exists is one, and counted where its
// queue is found ([Service.byURL]); what carries messages adds what is beyond 64
// KB. To create and to list queues is not counted: there is none to count it for.

// charge counts a request about a queue, whose messages have so many bytes
// together.
func (q *queue) charge(bytes int) {
	q.service.config.Meter.Add(meter.QueueRequest, q.name, meter.Chunks(bytes))
}

// chargeBeyond counts what a request that is counted has beyond 64 KB.
func (q *queue) chargeBeyond(bytes int) {
	if more := meter.Chunks(bytes) - 1; more > 0 {
		q.service.config.Meter.Add(meter.QueueRequest, q.name, more)
	}
}

// perRequest is how many messages one request receives, or deletes.
const perRequest = 10

// chargePolls counts the requests in which Lambda's pollers receive messages.
func (q *queue) chargePolls(got []Received) {
	if len(got) == 0 {
		q.service.config.Meter.Add(meter.EmptyPoll, q.name, 1)
		return
	}
	for len(got) > 0 {
		n := min(perRequest, len(got))
		q.charge(size(got[:n]))
		got = got[n:]
	}
}

// size is how many bytes messages have.
func size(received []Received) int {
	bytes := 0
	for _, r := range received {
		bytes += r.size()
	}
	return bytes
}

// chargeDeletes counts the requests in which Lambda's pollers delete messages.
func (q *queue) chargeDeletes(messages int) {
	for ; messages > 0; messages -= perRequest {
		q.charge(0)
	}
}
