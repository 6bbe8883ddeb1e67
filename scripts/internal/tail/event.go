package tail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Event is an event as the bus delivers it.
type Event struct {
	// JSON is the whole of it, on one line.
	JSON []byte
	// Source and Name are its type.
	Source, Name string
	// ID is the event's own, or else the one that EventBridge gave it.
	ID string
	// At is when it occurred, if it says so, or else when EventBridge took it.
	At time.Time
	// Detail is what the publisher sent: for events published with Penstock
	// {"metadata": …, "data": …}, of which Data is the second.
	Detail, Data json.RawMessage
	// Replay is the name of the replay that it comes from, empty for none.
	Replay string
}

// Decode reads an event from the message that a rule makes of it.
func Decode(body []byte) (Event, error) {
	var whole struct {
		ID     string          `json:"id"`
		Source string          `json:"source"`
		Name   string          `json:"detail-type"`
		Time   time.Time       `json:"time"`
		Replay string          `json:"replay-name"`
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		return Event{}, err
	}
	if whole.ID == "" || whole.Detail == nil {
		return Event{}, fmt.Errorf("it has no id or no detail")
	}
	var line bytes.Buffer
	if err := json.Compact(&line, body); err != nil {
		return Event{}, err
	}
	e := Event{
		JSON: line.Bytes(), Source: whole.Source, Name: whole.Name, ID: whole.ID, At: whole.Time,
		Detail: whole.Detail, Data: whole.Detail, Replay: whole.Replay,
	}
	var ours struct {
		Metadata struct {
			ID         string    `json:"id"`
			OccurredAt time.Time `json:"occurredAt"`
		} `json:"metadata"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(whole.Detail, &ours) == nil && ours.Metadata.ID != "" && ours.Data != nil {
		e.ID, e.Data = ours.Metadata.ID, ours.Data
		if !ours.Metadata.OccurredAt.IsZero() {
			e.At = ours.Metadata.OccurredAt
		}
	}
	return e, nil
}

// key tells events apart: a replay sends again, on purpose, what was sent.
func (e Event) key() string { return e.ID + " " + e.Replay }
