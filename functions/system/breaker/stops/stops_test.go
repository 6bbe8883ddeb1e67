package stops_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops/stopstest"
)

var sub = stops.Subscription{Function: "fee", Name: "withdrawals", Event: "savings/SAVINGS_WITHDRAWAL", Lambda: "shop-dev-fee", Queue: "arn:aws:sqs:eu-west-1:000000000000:q", Alarm: "a", ProbeAfter: 15 * time.Minute}

var (
	byBreaker = stops.Cause{By: penstock.ActorBreaker, Reason: "85 % failed"}
	byAnn     = stops.Cause{By: penstock.ActorPerson, Person: "ann", Reason: "the bank is closed"}
	byBen     = stops.Cause{By: penstock.ActorPerson, Person: "ben", Reason: "lunch"}
)

func newSwitch(state string) (*stops.Switch, *stopstest.Mapping, *stopstest.Alarm) {
	mapping, alarm := &stopstest.Mapping{State: state}, &stopstest.Alarm{MetricAlarm: cwtypes.MetricAlarm{StateValue: cwtypes.StateValueAlarm}}
	return &stops.Switch{Mappings: mapping, Items: &stopstest.Table{}, Alarms: alarm, Table: "state"}, mapping, alarm
}

func TestAStopIsRecordedUntilItIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mapping, alarm := newSwitch("Enabled")
		r, err := s.Stop(t.Context(), sub, byBreaker)
		if err != nil || mapping.State != "Disabled" {
			t.Fatalf("the mapping is %s, %v", mapping.State, err)
		}
		if !r.Stopped || r.Told || r.Reason != "85 % failed" || !r.Since.Equal(time.Now()) || !r.ProbeAt.Equal(time.Now().Add(15*time.Minute)) {
			t.Errorf("recorded: %+v", r)
		}
		since := r.Since
		time.Sleep(time.Hour)
		if r, err = s.Resume(t.Context(), sub, byAnn); err != nil || mapping.State != "Enabled" {
			t.Fatalf("the mapping is %s, %v", mapping.State, err)
		}
		if r.Stopped || !r.StoppedSince.Equal(since) || !r.Since.Equal(time.Now()) || r.Person != "ann" {
			t.Errorf("recorded: %+v", r)
		}
		if alarm.StateValue != cwtypes.StateValueOk || *alarm.StateReason != byAnn.Reason {
			t.Errorf("the alarm is %s: it would not go off again", alarm.StateValue)
		}
		if all, err := s.All(t.Context()); err != nil || len(all) != 1 || all[0].Stopped {
			t.Errorf("the table has %v, %v", all, err)
		}
	})
}

func TestWhoStoppedFirstIsRecordedButAPersonTakesOverFromTheBreaker(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, then stops.Cause
		want        string
	}{
		{"the breaker twice", byBreaker, stops.Cause{By: penstock.ActorBreaker, Reason: "again"}, "85 % failed"},
		{"the breaker after a person", byAnn, byBreaker, "the bank is closed"},
		{"a person after a person", byAnn, byBen, "the bank is closed"},
		{"a person after the breaker", byBreaker, byAnn, "the bank is closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, _ := newSwitch("Enabled")
			if _, err := s.Stop(t.Context(), sub, c.first); err != nil {
				t.Fatal(err)
			}
			r, err := s.Stop(t.Context(), sub, c.then)
			if err != nil || r.Reason != c.want {
				t.Errorf("recorded: %+v, %v", r, err)
			}
			if r.By == penstock.ActorPerson && !r.ProbeAt.IsZero() {
				t.Error("the breaker would try again what a person has stopped")
			}
		})
	}
}

func TestAMappingOnItsWayToAnotherStateIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mapping, _ := newSwitch("Enabling")
		mapping.Busy = 30
		if _, err := s.Stop(t.Context(), sub, byAnn); err != nil || mapping.State != "Disabled" {
			t.Errorf("the mapping is %s, %v", mapping.State, err)
		}
		mapping.Busy = 1 << 20
		if _, err := s.Resume(t.Context(), sub, byAnn); err == nil {
			t.Error("a mapping that never gets there is no error")
		}
	})
}

func TestWhatIsNotDeployedIsNotStopped(t *testing.T) {
	s, _, _ := newSwitch("")
	if _, err := s.Stop(t.Context(), sub, byAnn); !errors.Is(err, stops.ErrNotDeployed) {
		t.Errorf("got %v", err)
	}
	if r, err := s.Get(t.Context(), sub); err != nil || r.Stopped {
		t.Errorf("recorded: %+v, %v", r, err)
	}
}

func TestASubscriptionThatNobodyRecordedIsEnabledAllTheSame(t *testing.T) {
	s, mapping, _ := newSwitch("Disabled")
	s.Alarms = (*stopstest.Alarm)(nil) // its breaker is off
	if _, err := s.Resume(t.Context(), sub, byAnn); err != nil || mapping.State != "Enabled" {
		t.Errorf("the mapping is %s, %v", mapping.State, err)
	}
}

func TestARecordThatSomebodyElseHasChangedIsNotOverwritten(t *testing.T) {
	s, _, _ := newSwitch("Enabled")
	old, err := s.Stop(t.Context(), sub, byBreaker)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), sub, byAnn); err != nil {
		t.Fatal(err)
	}
	old.Told = true
	if _, err := s.Put(t.Context(), old); !errors.Is(err, stops.ErrChanged) {
		t.Errorf("got %v", err)
	}
}
