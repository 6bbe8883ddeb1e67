package manifest

import (
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/events/schema"
)

// CheckTypes returns every fault that functions have in regard to the project's
// event types, joined: a subscription to a type that has no schema, one that is
// to be published, and a filter, or a notification template, that asks of a type
// what its schema does not have. It is apart from Validate because schemas are generated, and a manifest
// may be read before they are.
func CheckTypes(functions []Function, types *schema.Set) error {
	var faults []error
	for i := range functions {
		f := &functions[i]
		for _, name := range f.Publishes {
			if _, err := types.Find(name); err != nil {
				faults = append(faults, fmt.Errorf("function %q: publishes: %w", f.Name, err))
			}
		}
		for j := range f.Subscriptions {
			s := &f.Subscriptions[j]
			for _, fault := range split(s.checkType(types)) {
				faults = append(faults, fmt.Errorf("function %q: subscription %q: %w", f.Name, s.Name, fault))
			}
		}
		for _, t := range f.Notifications {
			for _, fault := range split(CheckNotificationTypes(t, types)) {
				faults = append(faults, fmt.Errorf("function %q: notification %q: %w", f.Name, t.Name, fault))
			}
		}
	}
	return errors.Join(faults...)
}

// checkType checks a subscription's event and filter.
func (s *Subscription) checkType(types *schema.Set) error {
	t, err := types.Find(s.Event)
	if err != nil || s.Filter == nil {
		return err
	}
	filter, err := pattern.Parse(s.Filter)
	if err != nil {
		return fmt.Errorf("the filter is not valid: %w", err)
	}
	detail, err := types.Detail(t)
	if err != nil {
		return err
	}
	var faults []error
	for _, fault := range split(filter.Check(detail)) {
		faults = append(faults, fmt.Errorf("the filter does not fit %s: %w", s.Event, fault))
	}
	return errors.Join(faults...)
}
