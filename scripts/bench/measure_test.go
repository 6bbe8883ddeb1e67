package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRatesAreUnitsASecondOfWorkWithoutItsPreparation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := func(d time.Duration) side {
			return side{
				prepare: func(context.Context) error { time.Sleep(time.Minute); return nil },
				work:    func(context.Context) (int, error) { time.Sleep(d); return 10, nil },
			}
		}
		s := scale{rounds: 3, round: time.Second}
		got, err := s.rates(t.Context(), takes(100*time.Millisecond), takes(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != 100 || got[1] != 5 {
			t.Errorf("got %v, want 100 and 5 a second", got)
		}
	})
}

func TestTheFirstRoundOfASideDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cold := true
		work := func(context.Context) (int, error) {
			if cold {
				cold = false
				time.Sleep(time.Hour)
			}
			time.Sleep(time.Second)
			return 1, nil
		}
		got, err := scale{rounds: 1, round: time.Second}.rates(t.Context(), side{work: work})
		if err != nil || got[0] != 1 {
			t.Errorf("got %v, %v, want 1 a second", got, err)
		}
	})
}

func TestMeasuringEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	work := func(context.Context) (int, error) { cancel(); return 1, nil }
	if _, err := full.rates(ctx, side{work: work}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAQuantileIsOneOfTheValues(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for part, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, part); got != want {
			t.Errorf("quantile %v is %v, want %v", part, got, want)
		}
	}
}
