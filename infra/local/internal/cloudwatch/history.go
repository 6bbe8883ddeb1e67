package cloudwatch

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// historyRetention is how long an alarm's history is kept ("Amazon CloudWatch
// alarms": alarm history).
const historyRetention = 30 * 24 * time.Hour

// historyItem is something that happened to an alarm.
type historyItem struct {
	AlarmName       string
	AlarmType       string
	Timestamp       unixTime
	HistoryItemType string // ConfigurationUpdate, StateUpdate or Action
	HistorySummary  string
	HistoryData     string

	at time.Time
}

func item(a *Alarm, at time.Time, kind, summary string, data any) historyItem {
	out := historyItem{AlarmName: a.AlarmName, AlarmType: "MetricAlarm", Timestamp: toUnix(at), HistoryItemType: kind, HistorySummary: summary, at: at}
	if data != nil {
		if text, err := json.Marshal(data); err == nil { // what it is given can be written
			out.HistoryData = string(text)
		}
	}
	return out
}

func stateItem(a *Alarm, before AlarmState) historyItem {
	type state struct {
		StateValue      string          `json:"stateValue"`
		StateReason     string          `json:"stateReason"`
		StateReasonData json.RawMessage `json:"stateReasonData,omitempty"`
	}
	of := func(s AlarmState) state {
		return state{s.Value, s.Reason, json.RawMessage(s.ReasonData)}
	}
	return item(a, a.State.UpdatedAt, "StateUpdate", fmt.Sprintf("Alarm updated from %s to %s", before.Value, a.State.Value),
		map[string]any{"version": "1.0", "oldState": of(before), "newState": of(a.State)})
}

func actionData(a *Alarm, one action, outcome, reason string) map[string]any {
	out := map[string]any{"version": "1.0", "actionState": outcome, "notificationResource": one.ARN, "stateUpdateTimestamp": a.State.UpdatedAt.UnixMilli()}
	if reason != "" {
		out["error"] = reason
	}
	return out
}

func historyKey(alarm string) store.Key { return store.NewKey("cloudwatch.history").String(alarm) }

// remember adds items to a batch, and removes what is too old. Two items of an
// alarm never have the same key. The caller holds mu.
func (s *Service) remember(b *store.Batch, items ...historyItem) error {
	for _, one := range items {
		text, err := json.Marshal(one)
		if err != nil {
			return err
		}
		s.lastItem = max(s.lastItem+1, uint64(one.at.UnixNano()))
		b.Set(historyKey(one.AlarmName).Uint(s.lastItem), text)
		b.DeleteRange(historyKey(one.AlarmName), historyKey(one.AlarmName).Uint(uint64(one.at.Add(-historyRetention).UnixNano())))
	}
	return nil
}

// history returns the items of one alarm, or of all, that keep wants, the newest
// first.
func (s *Service) history(alarm string, keep func(historyItem) bool) ([]historyItem, error) {
	r := store.Prefix(store.NewKey("cloudwatch.history"))
	if alarm != "" {
		r = store.Prefix(historyKey(alarm))
	}
	r.Reverse = true
	var out []historyItem
	for e, err := range s.store.Scan(r) {
		if err != nil {
			return nil, err
		}
		var one historyItem
		if err := json.Unmarshal(e.Value, &one); err != nil {
			return nil, fmt.Errorf("cloudwatch: an item of history in the store: %w", err)
		}
		if keep(one) {
			out = append(out, one)
		}
	}
	return out, nil
}
