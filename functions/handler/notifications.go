package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler/notification"
)

// Notification is what an active notification template makes of an event whose
// condition holds; package notification tells of templates. As JSON it is
// {"metadata": …, "body": "…", "template": "…"}.
type Notification struct {
	Metadata events.Metadata `json:"metadata"` // the event's
	Body     string          `json:"body"`     // a string, of whatever kind
	Template string          `json:"template"` // the template's name

	// ContentType is the body's: text/plain, application/json or application/xml,
	// with "; charset=UTF-8".
	ContentType  string      `json:"-"`
	Type         events.Type `json:"-"` // the event's
	Function     string      `json:"-"` // the receiving function's short name
	Subscription string      `json:"-"`
	// ReceiveCount is how many times the event was received, this time included;
	// 0 if the queue did not say.
	ReceiveCount int `json:"-"`
	// Replay is the replay of the archive that the event comes from; empty for none.
	Replay string `json:"-"`
}

// EventKey names the handling of this notification, whatever the number of
// deliveries: function/subscription/id/template, and /replay for one that means
// to handle events anew (see [ReprocessSuffix]). Deduplicate by it.
func (n *Notification) EventKey() string {
	return eventKey(n.Function, n.Subscription, n.Metadata.ID, n.Template, n.Replay)
}

// Templates gives [Notifications] its templates: the content of the file
// notifications.json. Embed it, so that it is in the program wherever that runs:
//
//	//go:embed notifications.json
//	var templates []byte
func Templates(file []byte) Option { return func(o *options) { o.templates = file } }

// Notifications calls fn for every notification: one for each active template of
// the event's type whose condition holds, one after the other. The function's
// subscriptions that say "receive": "notifications" come here, of whatever event
// types; an event that no template is for is handled without a call.
//
// If a notification fails, the function goes on with the event's others, and the
// event fails: it comes back, and all of its notifications are made again. What
// must not be repeated is kept from it by the [Notification.EventKey], each
// notification having its own: a session's Once, or the middleware of package
// idempotency. Middlewares of [Use] are around each call, not each event, and
// see a [Record] whose EventKey is the notification's. An event fails for good
// if all of its notifications that failed did so, see [Permanent].
//
// fn is called as by [Each], whose options it takes. Where a function receives
// a type as events too, by Each or Batch, tell the subscriptions apart with
// Route.On.
//
// Notifications panics without [Templates], or if they are invalid.
func Notifications(fn func(context.Context, *Notification) error, opts ...Option) Route {
	o := newOptions(opts)
	if o.templates == nil {
		panic("handler: Notifications needs the option Templates, with the content of " + notification.FileName)
	}
	templates, err := notification.Parse(o.templates)
	if err != nil {
		panic(fmt.Sprintf("handler: %s: %v", notification.FileName, err))
	}
	byType := map[string][]*notification.Template{}
	for _, t := range templates {
		byType[t.Event] = append(byType[t.Event], t)
	}
	each := chain(HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		failed := new(Failures)
		for _, r := range records {
			failed.Add(r, fn(ctx, r.notification))
		}
		return failed
	}), append([]Middleware{startInTime, recoverPanic}, o.middlewares...)...)
	call := HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		failed := new(Failures)
		for _, r := range records {
			failed.Add(r, notify(ctx, r, byType[r.Type.String()], each))
		}
		return failed
	})
	if o.concurrency == 0 {
		o.concurrency = defaultConcurrency
	}
	o.templates, o.middlewares = nil, nil // they are around each notification
	return Route{handler: chain(call, stack(o)...)}
}

// notify hands an event's notifications to next, one after the other.
func notify(ctx context.Context, r *Record, templates []*notification.Template, next Handler) error {
	if len(templates) == 0 {
		return nil
	}
	metadata, err := json.Marshal(r.Metadata)
	if err != nil {
		return Permanent(err)
	}
	detail, err := notification.ReadDetail(fmt.Appendf(nil, `{"metadata":%s,"data":%s}`, metadata, r.Data))
	if err != nil {
		return Permanent(err)
	}
	var failures notificationErrors
	made, duplicates := 0, 0
	for _, t := range templates {
		if !t.Holds(detail) {
			continue
		}
		made++
		one := r.ofNotification(&Notification{
			Metadata:     r.Metadata,
			Body:         t.Render(detail),
			Template:     t.Name,
			ContentType:  t.Kind.ContentType(),
			Type:         r.Type,
			Function:     r.Function,
			Subscription: r.Subscription,
			ReceiveCount: r.ReceiveCount,
			Replay:       r.Replay,
		})
		err := next.Handle(one.Context(ctx), []*Record{one}).Of(one)
		r.caused = append(r.caused, one.effects()...)
		failures.add(t.Name, err)
		if err == nil && one.duplicate {
			duplicates++
		}
	}
	if made > 0 && duplicates == made {
		r.MarkDuplicate()
	}
	return failures.err()
}

// ofNotification is the record that stands for one of an event's notifications.
func (r *Record) ofNotification(n *Notification) *Record {
	return &Record{
		Function:     r.Function,
		Subscription: r.Subscription,
		MessageID:    r.MessageID,
		ReceiveCount: r.ReceiveCount,
		SentAt:       r.SentAt,
		Type:         r.Type,
		Metadata:     r.Metadata,
		Data:         r.Data,
		Replay:       r.Replay,
		notification: n,
		queueARN:     r.queueARN,
		retries:      r.retries,
	}
}

// notificationErrors are why an event's notifications failed. The error made of
// them counts as permanent only if all of them are, and as never started only if
// none was; otherwise the event has to come back for the others' sake.
type notificationErrors struct {
	lasting, unstarted, other []error
}

func (e *notificationErrors) add(template string, err error) {
	if err == nil {
		return
	}
	named := fmt.Errorf("notification %q: %w", template, err)
	switch {
	case isPermanent(err):
		e.lasting = append(e.lasting, named)
	case errors.Is(err, ErrNotStarted):
		e.unstarted = append(e.unstarted, named)
	default:
		e.other = append(e.other, named)
	}
}

func (e *notificationErrors) err() error {
	kinds := 0
	for _, kind := range [][]error{e.lasting, e.unstarted, e.other} {
		if len(kind) > 0 {
			kinds++
		}
	}
	if kinds <= 1 {
		return errors.Join(append(append(e.lasting, e.unstarted...), e.other...)...)
	}
	// What the others are must not be seen through it.
	hidden := errors.New(errors.Join(append(e.lasting, e.unstarted...)...).Error())
	return errors.Join(append(e.other, hidden)...)
}
