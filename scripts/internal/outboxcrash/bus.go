package outboxcrash

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// bus is an EventBridge bus with faults, and a memory: it keeps what it was
// sent and what it accepted. It is an http.Handler that speaks PutEvents, and
// it is safe for concurrent use.
//
// With an upstream, which is the local environment, it stands before all of its
// services: it hands on what it lets through, and remembers as accepted what
// the environment has acknowledged.
type bus struct {
	beat chan struct{} // has a value when PutEvents was called

	mu       sync.Mutex
	random   *rand.Rand
	calm     bool                // no faults
	outage   time.Time           // until when every call fails
	upstream string              // the URL to hand on to; "" where none runs at the moment
	behind   bool                // whether there is an upstream at all
	receipts map[string]*receipt // by event id
	faults   map[string]int      // those that were made, by name
}

// receipt is what the bus knows of an event.
type receipt struct {
	accepted int    // how often the bus took it
	sum      string // of its detail
	differs  bool   // it came with another detail once
	refused  bool   // the bus will never take it
}

func newBus(seed uint64) *bus {
	return &bus{
		beat: make(chan struct{}, 1), random: rand.New(rand.NewPCG(seed, 1)),
		receipts: map[string]*receipt{}, faults: map[string]int{},
	}
}

// refusedMark in an event's detail makes the bus refuse it for good, always.
const refusedMark = "REFUSED-FOR-GOOD"

// The faults.
const (
	none       = ""
	throttled  = "call throttled"
	failing    = "call failed (HTTP 500)"
	cut        = "connection cut before"
	partial    = "entries failed"
	lostAnswer = "answer lost"
	slow       = "answer late"
	outage     = "call in an outage"
)

// An outage begins with a call, one in a hundred, and ends within maxOutage:
// longer than a publisher's own attempts.
const (
	outagePercent = 1
	maxOutage     = 3 * time.Second
)

// chances are the faults of a PutEvents call, in percent.
var chances = []struct {
	fault   string
	percent int
}{{throttled, 5}, {failing, 5}, {cut, 4}, {partial, 15}, {lostAnswer, 6}, {slow, 25}}

// draw decides on the fault of a call, and on how long it takes.
func (b *bus) draw(operation string) (fault string, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calm {
		return none, 0
	}
	switch operation {
	case "AWSEvents.PutEvents":
		if b.random.IntN(100) < outagePercent {
			b.outage = time.Now().Add(time.Duration(b.random.Int64N(int64(maxOutage))))
		}
		if time.Now().Before(b.outage) {
			fault = outage
			break
		}
		n := b.random.IntN(100)
		for _, c := range chances {
			if n -= c.percent; n < 0 {
				fault = c.fault
				break
			}
		}
	case "DynamoDB_20120810.TransactWriteItems", "DynamoDB_20120810.BatchWriteItem", "DynamoDB_20120810.UpdateItem":
		if b.random.IntN(100) < 4 {
			fault = lostAnswer
		}
	}
	if fault == slow || fault == lostAnswer {
		delay = time.Duration(b.random.Int64N(int64(40 * time.Millisecond)))
	}
	if fault != none {
		b.faults[fault]++
	}
	return fault, delay
}

// entry is an entry of PutEvents, and what becomes of it.
type entry struct {
	raw    json.RawMessage
	result json.RawMessage // nil: to be handed on
	id     string
	detail string
}

func (e *entry) refused() bool { return strings.Contains(e.detail, refusedMark) }

func failed(code string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"ErrorCode":%q,"ErrorMessage":"the campaign's"}`, code))
}

// ServeHTTP implements http.Handler.
func (b *bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	operation := r.Header.Get("X-Amz-Target")
	fault, delay := b.draw(operation)
	status, answer := 0, []byte(nil)
	if operation == "AWSEvents.PutEvents" {
		status, answer = b.putEvents(r, body, fault)
		select {
		case b.beat <- struct{}{}:
		default:
		}
	} else {
		status, answer = b.handOn(r, body)
	}
	if delay > 0 {
		time.Sleep(delay)
	}
	if status == 0 || fault == lostAnswer {
		panic(http.ErrAbortHandler) // cuts the connection
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// putEvents is a PutEvents call; status 0 is no answer.
func (b *bus) putEvents(r *http.Request, body []byte, fault string) (status int, answer []byte) {
	entries, err := parse(body)
	if err != nil {
		return http.StatusBadRequest, apiError("ValidationException", err.Error())
	}
	b.note(entries, false)
	switch fault {
	case throttled:
		return http.StatusBadRequest, apiError("ThrottlingException", "Rate exceeded")
	case failing, outage:
		return http.StatusInternalServerError, apiError("InternalException", "the campaign's")
	case cut:
		return 0, nil
	case partial:
		b.failSome(entries)
	}
	var through []*entry
	for _, e := range entries {
		if e.refused() {
			e.result = failed("InvalidArgument")
		}
		if e.result == nil {
			through = append(through, e)
		}
	}
	if status, answer := b.accept(r, through); status != http.StatusOK {
		return status, answer
	}
	b.note(through, true)
	results, failures := make([]json.RawMessage, len(entries)), 0
	for i, e := range entries {
		results[i] = e.result
		if bytes.Contains(e.result, []byte(`"ErrorCode"`)) {
			failures++
		}
	}
	answer, err = json.Marshal(map[string]any{"Entries": results, "FailedEntryCount": failures})
	if err != nil {
		return http.StatusInternalServerError, apiError("InternalException", err.Error())
	}
	return http.StatusOK, answer
}

// parse reads a call, and holds it to the limits of one ("PutEvents",
// EventBridge API reference).
func parse(body []byte) ([]*entry, error) {
	var in struct{ Entries []json.RawMessage }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if n := len(in.Entries); n < 1 || n > 10 {
		return nil, fmt.Errorf("%d entries", n)
	}
	var out []*entry
	size := 0
	for _, raw := range in.Entries {
		var fields struct{ Source, DetailType, Detail string }
		if err := json.Unmarshal(raw, &fields); err != nil {
			return nil, err
		}
		var detail struct{ Metadata struct{ ID string } }
		if err := json.Unmarshal([]byte(fields.Detail), &detail); err != nil {
			return nil, err
		}
		size += len(fields.Source) + len(fields.DetailType) + len(fields.Detail)
		out = append(out, &entry{raw: raw, id: detail.Metadata.ID, detail: fields.Detail})
	}
	if size >= 1_000_000 {
		return nil, fmt.Errorf("%d bytes", size)
	}
	return out, nil
}

// failSome lets some entries, at least one, fail for the moment.
func (b *bus) failSome(entries []*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sure := b.random.IntN(len(entries))
	for i, e := range entries {
		if i == sure || b.random.IntN(3) == 0 {
			e.result = failed([]string{"InternalFailure", "ThrottlingException"}[b.random.IntN(2)])
		}
	}
}

// accept takes entries, or has the upstream take them, and sets their results.
func (b *bus) accept(r *http.Request, entries []*entry) (status int, answer []byte) {
	if len(entries) == 0 {
		return http.StatusOK, nil
	}
	if !b.behind {
		for _, e := range entries {
			e.result = json.RawMessage(fmt.Sprintf(`{"EventId":%q}`, uuid.NewString()))
		}
		return http.StatusOK, nil
	}
	raw := make([]json.RawMessage, len(entries))
	for i, e := range entries {
		raw[i] = e.raw
	}
	body, err := json.Marshal(map[string]any{"Entries": raw})
	if err != nil {
		return http.StatusInternalServerError, apiError("InternalException", err.Error())
	}
	status, answer = b.handOn(r, body)
	if status != http.StatusOK {
		return status, answer
	}
	var out struct{ Entries []json.RawMessage }
	if err := json.Unmarshal(answer, &out); err != nil || len(out.Entries) != len(entries) {
		return http.StatusBadGateway, apiError("InternalException", fmt.Sprintf("the environment answered %s", answer))
	}
	for i, e := range entries {
		e.result = out.Entries[i]
	}
	return http.StatusOK, nil
}

// handOn sends a call to the upstream.
func (b *bus) handOn(r *http.Request, body []byte) (status int, answer []byte) {
	b.mu.Lock()
	upstream := b.upstream
	b.mu.Unlock()
	if upstream == "" {
		return http.StatusServiceUnavailable, apiError("ServiceUnavailable", "nothing runs here at the moment")
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, upstream+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway, apiError("InternalException", err.Error())
	}
	out.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(out)
	if err != nil {
		return http.StatusBadGateway, apiError("InternalException", err.Error())
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		return http.StatusBadGateway, apiError("InternalException", err.Error())
	}
	return response.StatusCode, answer
}

// note remembers that entries were sent, or that those of them without an error
// were accepted.
func (b *bus) note(entries []*entry, accepted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		known := b.receipts[e.id]
		if known == nil {
			known = &receipt{sum: sum([]byte(e.detail)), refused: e.refused()}
			b.receipts[e.id] = known
		}
		if known.sum != sum([]byte(e.detail)) {
			known.differs = true
		}
		if accepted && !bytes.Contains(e.result, []byte(`"ErrorCode"`)) {
			known.accepted++
		}
	}
}

// sum tells details apart.
func sum(detail []byte) string {
	h := sha256.Sum256(detail)
	return hex.EncodeToString(h[:8])
}

func (b *bus) setUpstream(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.upstream, b.behind = url, true
}

// calmDown ends the faults.
func (b *bus) calmDown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calm = true
}

// seen copies what the bus knows.
func (b *bus) seen() (receipts map[string]receipt, faults map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	receipts = make(map[string]receipt, len(b.receipts))
	for id, r := range b.receipts {
		receipts[id] = *r
	}
	return receipts, maps.Clone(b.faults)
}

func apiError(code, message string) []byte {
	text, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	return text
}
