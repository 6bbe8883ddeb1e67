package local_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

// The log of deliveries in DynamoDB, in a table that has the keys of its own.
func TestTheLogOfDeliveriesIsAskedByFunctionTimeOutcomeAndEvent(t *testing.T) {
	log := deliveries.Log{API: startDataAPI(t).items, Table: storageTable}
	begin := time.Date(2026, 11, 19, 23, 0, 0, 0, time.UTC)
	// 60 attempts of two functions, four minutes apart, across midnight; every third
	// failed, every sixth for good.
	var all []deliveries.Attempt
	for i := range 60 {
		a := deliveries.Attempt{
			Function: []string{"hook", "other"}[i%2], Subscription: "inserts", Type: "storage/STORAGE_INSERT", Event: fmt.Sprintf("event-%02d", i/4),
			Message: fmt.Sprintf("message-%02d", i), Number: 1, At: begin.Add(time.Duration(i) * 4 * time.Minute), Outcome: deliveries.Delivered, Status: 200,
			Request: deliveries.Request{Body: "{}", Bytes: 2}, Response: deliveries.Response{Body: "thanks"},
		}
		if i%3 == 0 {
			a.Outcome, a.Status = deliveries.Retrying, 503
		}
		if i%6 == 0 {
			a.Outcome, a.Status = deliveries.Failed, 500
		}
		for range 2 { // twice is once
			if err := log.Write(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, a)
	}
	slices.Reverse(all) // the newest first
	end := begin.Add(24 * time.Hour)
	for _, c := range []struct {
		name string
		q    deliveries.Query
		want func(deliveries.Attempt) bool
	}{
		{"everything", deliveries.Query{Functions: []string{"hook", "other"}, From: begin, To: end, Limit: 1000}, func(deliveries.Attempt) bool { return true }},
		{"one function", deliveries.Query{Functions: []string{"hook"}, From: begin, To: end, Limit: 7}, func(a deliveries.Attempt) bool { return a.Function == "hook" }},
		{"what failed", deliveries.Query{Functions: []string{"hook", "other"}, Outcomes: []deliveries.Outcome{deliveries.Failed, deliveries.Retrying}, From: begin, To: end, Limit: 3},
			func(a deliveries.Attempt) bool { return a.Outcome != deliveries.Delivered }},
		{"an hour", deliveries.Query{Functions: []string{"hook", "other"}, From: begin.Add(40 * time.Minute), To: begin.Add(100 * time.Minute), Limit: 4},
			func(a deliveries.Attempt) bool {
				return !a.At.Before(begin.Add(40*time.Minute)) && a.At.Before(begin.Add(100*time.Minute))
			}},
		{"a status", deliveries.Query{Functions: []string{"hook", "other"}, From: begin, To: end, Limit: 2, Keep: func(a deliveries.Attempt) bool { return a.Status == 503 }},
			func(a deliveries.Attempt) bool { return a.Status == 503 }},
		{"none", deliveries.Query{Functions: []string{"gone"}, From: begin, To: end, Limit: 2}, func(deliveries.Attempt) bool { return false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got, want []string
			for _, a := range all {
				if c.want(a) {
					want = append(want, a.Message)
				}
			}
			for pages := 0; ; pages++ {
				page, next, err := log.List(t.Context(), c.q)
				if err != nil || len(page) > c.q.Limit || next != "" && len(page) < c.q.Limit || pages > 60 {
					t.Fatalf("page %d of %d, next %q: %v", pages, len(page), next, err)
				}
				for _, a := range page {
					got = append(got, a.Message)
					if a.Request.Body != "" || a.Response.Body != "" {
						t.Error("a list holds requests")
					}
				}
				if next == "" {
					break
				}
				c.q.Page = next
			}
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
	whole, err := log.OfEvent(t.Context(), []string{"hook", "other"}, "event-03")
	if err != nil || len(whole) != 4 || whole[0].Message != "message-12" || whole[3].Message != "message-15" || whole[0].Request.Body != "{}" || whole[0].Response.Body != "thanks" {
		t.Errorf("%+v, %v", whole, err)
	}
	// An event of any size has an attempt in the log.
	huge := all[0]
	huge.Event, huge.Request.Body = "huge", strings.Repeat("x", 1<<20)
	huge.Request.Bytes = len(huge.Request.Body)
	if err := log.Write(t.Context(), huge); err != nil {
		t.Fatal(err)
	}
	whole, err = log.OfEvent(t.Context(), []string{huge.Function}, "huge")
	if err != nil || len(whole) != 1 || whole[0].Request.Whole() {
		text, _ := json.Marshal(whole)
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
