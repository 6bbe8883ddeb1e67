// Package validation keeps events from a function whose data violates the
// schema of their type. A function that does not import it does not link it.
//
//	types, err := schema.Load(schemas.FS) // the project's package schemas
//	…
//	handler.Each(charge, handler.Use(validation.New(types)))
//
// Decoding catches data of the wrong JSON type only; a schema also says which
// fields there must be, in what format and range.
package validation

import (
	"context"
	"errors"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/functions/handler"
)

// New returns a middleware that hands on the events whose data is as the schema
// of their type says. One whose data is not fails permanently (see
// [handler.Permanent]): its reason names each path that is wrong. One that
// cannot be checked, because types has no schema of it, is failed like any
// other: the data may be right, and the function too old.
func New(types *schema.Set) handler.Middleware {
	return func(next handler.Handler) handler.Handler {
		return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
			invalid := new(handler.Failures)
			valid := make([]*handler.Record, 0, len(records))
			for _, r := range records {
				err := types.Validate(r.Type, r.Data)
				if err == nil {
					valid = append(valid, r)
					continue
				}
				if _, ok := errors.AsType[*schema.Error](err); ok {
					err = handler.Permanent(err)
				}
				invalid.Add(r, err)
			}
			if len(valid) == 0 {
				return invalid
			}
			failed := next.Handle(ctx, valid)
			if len(valid) == len(records) {
				return failed
			}
			for _, r := range valid {
				invalid.Add(r, failed.Of(r))
			}
			return invalid
		})
	}
}
