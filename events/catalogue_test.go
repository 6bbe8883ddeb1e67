package events_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
)

// coded returns a description with a number of its own.
func coded(d events.Description, code int) events.Description {
	d.Code = code
	return d
}

func TestACatalogueIsSortedByType(t *testing.T) {
	c := events.NewCatalogue(events.Describe[shipped](), coded(events.Describe[placed](), 7))
	var got []string
	for d := range c.All() {
		got = append(got, fmt.Sprint(d.Type, " ", d.Code, " ", d.Sample))
	}
	if want := []string{"shop/ORDER_PLACED 7 {O-1}", "shop/ORDER_SHIPPED 0 {}"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestACatalogueFindsATypeByName(t *testing.T) {
	c := events.NewCatalogue(events.Describe[placed]())
	if d, ok := c.Find(placed{}.EventType()); !ok || d.Sample != (placed{"O-1"}) {
		t.Errorf("got %v, %t", d, ok)
	}
	if d, ok := c.Find(shipped{}.EventType()); ok {
		t.Errorf("found %v", d)
	}
}

func TestMistakesInACataloguePanic(t *testing.T) {
	for want, descriptions := range map[string][]events.Description{
		"event type shop/ORDER_PLACED is described twice":                  {events.Describe[placed](), events.Describe[placed]()},
		"shop/ORDER_PLACED and shop/ORDER_SHIPPED have the same code 1000": {coded(events.Describe[placed](), 1000), coded(events.Describe[shipped](), 1000)},
		"shop/ORDER_PLACED and shop/Order_Placed differ in case alone":     {events.Describe[placed](), {Type: events.Type{Source: "shop", Name: "Order_Placed"}}},
		`event type "/"`: {{}},
		"the sample of shop/ORDER_PLACED is not of that type": {{Type: placed{}.EventType(), Sample: shipped{}}},
		"must be positive": {coded(events.Describe[placed](), -1)},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("got panic %q, want one with %q", got, want)
				}
			}()
			events.NewCatalogue(descriptions...)
		})
	}
}

// cancelled is an event type with a number.
type cancelled struct{}

func (cancelled) EventType() events.Type { return events.Type{Source: "shop", Name: "ORDER_CANCELLED"} }
func (cancelled) Schema() events.Event   { return cancelled{} }
func (cancelled) EventCode() int         { return 1002 }

func TestAnEventsNumberIsInTheCatalogueAndOnTheWire(t *testing.T) {
	if d := events.Describe[cancelled](); d.Code != 1002 {
		t.Errorf("described with code %d", d.Code)
	}
	if e := events.Stamp(t.Context(), cancelled{}); e.Code != 1002 {
		t.Errorf("stamped with code %d", e.Code)
	}
	if e := events.Stamp(t.Context(), placed{}); e.Code != 0 {
		t.Errorf("a type without a number was stamped with code %d", e.Code)
	}
}
