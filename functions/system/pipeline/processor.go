package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/pipeline"
)

// processor sends events through a pipeline. It is safe for concurrent use.
type processor struct {
	stages  *pipeline.Pipeline
	effects pipeline.Effects
	codes   map[events.Type]int // the numbers of those that it publishes
	bus     publisher
}

// publisher is *eventbus.Publisher.
type publisher interface {
	PutEntries(ctx context.Context, entries []events.Entry) error
}

// Handle implements [handler.Handler].
func (p *processor) Handle(ctx context.Context, records []*handler.Record) *handler.Failures {
	documents := make([]pipeline.Document, len(records))
	for i, r := range records {
		documents[i] = document(r)
	}
	results := p.stages.RunBatch(ctx, documents, p.effects)
	failed := new(handler.Failures)
	var entries []events.Entry
	of := map[string]*handler.Record{} // by the ids of the entries
	for i, r := range records {
		if err := p.judge(ctx, r, &results[i]); err != nil {
			failed.Add(r, err)
			continue
		}
		made, err := p.entries(ctx, r, results[i].Emitted)
		if err != nil {
			failed.Add(r, p.dead(&documents[i], err))
			continue
		}
		for _, e := range made {
			of[e.ID] = r
		}
		entries = append(entries, made...)
	}
	if len(entries) == 0 {
		return failed
	}
	err := p.bus.PutEntries(ctx, entries)
	if partial, ok := errors.AsType[*events.PublishError](err); ok {
		for _, f := range partial.Failed {
			failed.Add(of[f.ID], fmt.Errorf("publishing %s %s: %s: %w", f.Type, f.ID, f.Code, f.Err))
		}
	} else if err != nil {
		for _, r := range of {
			failed.Add(r, err)
		}
	}
	return failed
}

// document is what a record's event is in the pipeline.
func document(r *handler.Record) pipeline.Document {
	metadata, err := json.Marshal(r.Metadata)
	if err != nil {
		panic(err) // it is strings, numbers and a time that was read from JSON
	}
	return pipeline.Document{
		JSON: fmt.Appendf(nil, `{"metadata":%s,"data":%s}`, metadata, r.Data),
		Source: pipeline.Source{
			Key: r.EventKey(), ID: r.Metadata.ID, Type: r.Type, OccurredAt: r.Metadata.OccurredAt, Subscription: r.Subscription,
		},
	}
}

// judge is the error of a record by what became of its document, and logs what is
// no error and worth knowing.
func (p *processor) judge(ctx context.Context, r *handler.Record, result *pipeline.Result) error {
	ctx = r.Context(ctx)
	for _, err := range result.Ignored {
		handler.Logger(ctx).WarnContext(ctx, "a call failed, and is ignored", "reason", err.Error())
	}
	switch result.Outcome {
	case pipeline.Discarded:
		handler.Logger(ctx).DebugContext(ctx, "discarded", "operator", result.Stage)
	case pipeline.Dead:
		return handler.Permanent(&deadError{*result.DeadLetter})
	case pipeline.Failed:
		if errors.Is(result.Err, pipeline.ErrNotStarted) {
			return handler.ErrNotStarted
		}
		return result.Err
	}
	return nil
}

// dead is the error of an event whose emissions the bus will never take.
func (p *processor) dead(d *pipeline.Document, err error) error {
	return handler.Permanent(&deadError{pipeline.DeadLetter{
		Processor: p.effects.Processor, Time: now(), Operator: "pipeline", Reason: err.Error(), Document: d.JSON, Source: d.Source,
	}})
}

// entries encodes what an event has emitted for the bus.
func (p *processor) entries(ctx context.Context, r *handler.Record, emitted []pipeline.Emission) ([]events.Entry, error) {
	ctx = r.Context(ctx)
	var entries []events.Entry
	for _, e := range emitted {
		stamped := events.Stamp(ctx, raw{e.Type, p.codes[e.Type], e.Data})
		stamped.ID = e.ID // the same, if nothing else is made of the event here
		entry, err := stamped.Entry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}
