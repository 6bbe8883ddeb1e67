package outboxcrash

import (
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/savings"
)

// serve runs a bus, and returns how it is published to.
func serve(t *testing.T, b *bus) *eventbus.Publisher {
	t.Helper()
	server := httptest.NewUnstartedServer(b)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return Spec{Bus: server.URL}.publisher()
}

func withdrawals(t *testing.T, n int, account string) []events.Entry {
	t.Helper()
	var out []events.Entry
	for range n {
		e, err := events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = account })).Entry()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestTheBusRemembersWhatItAcceptedThroughAllFaults(t *testing.T) {
	t.Parallel()
	b := newBus(1)
	publisher := serve(t, b)
	batch := withdrawals(t, 150, "ACC-1")
	missing := func(receipts map[string]receipt) (out []events.Entry) {
		for _, e := range batch {
			if receipts[e.ID].accepted == 0 {
				out = append(out, e)
			}
		}
		return out
	}
	err := publisher.PutEntries(t.Context(), batch)
	receipts, faults := b.seen()
	if len(receipts) != len(batch) {
		t.Errorf("%d of %d events were sent", len(receipts), len(batch))
	}
	// What the publisher takes for failed may have been accepted, never the reverse.
	failed := map[string]bool{}
	var publish *events.PublishError
	if errors.As(err, &publish) {
		for _, f := range publish.Failed {
			failed[f.ID] = true
		}
	}
	for _, e := range missing(receipts) {
		if !failed[e.ID] {
			t.Errorf("event %s was not accepted, and the publisher takes it for published", e.ID)
		}
	}
	if len(faults) < 2 {
		t.Errorf("15 calls and no more than %v", faults)
	}
	b.calmDown()
	if err := publisher.PutEntries(t.Context(), batch); err != nil {
		t.Errorf("without faults: %v", err)
	}
	after, _ := b.seen()
	if left := missing(after); len(left) != 0 {
		t.Errorf("%d events were not accepted", len(left))
	}
	for id, r := range after {
		if r.accepted != receipts[id].accepted+1 || r.differs {
			t.Errorf("event %s: %+v, before that %+v", id, r, receipts[id])
		}
	}
}

func TestTheBusRefusesForGood(t *testing.T) {
	b := newBus(1)
	b.calmDown()
	publisher := serve(t, b)
	bad, good := withdrawals(t, 1, refusedMark), withdrawals(t, 1, "ACC-1")
	err := publisher.PutEntries(t.Context(), append(bad, good...))
	var publish *events.PublishError
	if !errors.As(err, &publish) || len(publish.Failed) != 1 || publish.Failed[0].ID != bad[0].ID || publish.Failed[0].Retryable() {
		t.Fatalf("error %v", err)
	}
	receipts, _ := b.seen()
	if r := receipts[bad[0].ID]; r.accepted != 0 || !r.refused {
		t.Errorf("refused: %+v", r)
	}
	if r := receipts[good[0].ID]; r.accepted != 1 || r.refused {
		t.Errorf("accepted: %+v", r)
	}
}

func TestTheBusSeesThatADetailHasChanged(t *testing.T) {
	b := newBus(1)
	b.calmDown()
	publisher := serve(t, b)
	e := withdrawals(t, 1, "ACC-1")
	if err := publisher.PutEntries(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	e[0].Detail = append(e[0].Detail, ' ')
	if err := publisher.PutEntries(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if receipts, _ := b.seen(); !receipts[e[0].ID].differs || receipts[e[0].ID].accepted != 2 {
		t.Errorf("%+v", receipts)
	}
}
