package awswire

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// Access is what an operation is about to do, and needs permission for. Actions,
// resources and condition keys are those of the "Service Authorization
// Reference".
type Access struct {
	Action   string         // e.g. sqs:SendMessage
	Resource string         // the ARN; "*" if the action has no resource
	Policy   *policy.Policy // the resource's own policy; nil: it has none
	Keys     policy.Keys    // the service's condition keys; nil: none
}

// Guard says who callers are. It must be safe for concurrent use.
type Guard interface {
	// Principal returns who an access key belongs to. The error of a key that
	// is not known, or not any more, is an *Error.
	Principal(accessKeyID string) (Principal, error)
}

// Principal is who makes a request.
type Principal interface {
	// Authorize returns an *Error for what the principal may not do.
	Authorize(Access) error
}

// Guard makes the mux ask guard about every request. Without one, everybody may
// do everything, but operations must ask all the same.
func (m *Mux) Guard(guard Guard) { m.guard = guard }

// Authorize asks whether the caller of the request being answered may do what
// the operation is about to do; its error is what to answer. Every operation
// calls it, before it looks at anything that belongs to the account:
//
//	if err := awswire.Authorize(ctx, awswire.Access{Action: "sns:Publish", Resource: t.arn}); err != nil {
//		return nil, err
//	}
//
// One that needs no permission calls [NeedsNone]. The mux answers the success of
// an operation that has called neither with an InternalFailure, so that none can
// be forgotten. Outside of a request there is no caller, and all is allowed.
func Authorize(ctx context.Context, a Access) error {
	c := requestFrom(ctx)
	if c == nil {
		return nil
	}
	c.asked = true
	if c.principal == nil {
		return nil
	}
	return c.principal.Authorize(a)
}

// As returns a context in which a principal acts, as in a request of its own:
// for what one service does at another on behalf of a role. Nil stands for one
// who may do everything.
func As(ctx context.Context, principal Principal) context.Context {
	return context.WithValue(ctx, requestKey{}, &request{principal: principal})
}

// NeedsNone says that the operation being answered needs no permission.
func NeedsNone(ctx context.Context) {
	if c := requestFrom(ctx); c != nil {
		c.asked = true
	}
}

// request is what is known of a request being answered.
type request struct {
	Caller
	principal Principal // nil: whoever it is may do everything
	asked     bool      // Authorize or NeedsNone was called
}

type requestKey struct{}

func requestFrom(ctx context.Context) *request {
	c, _ := ctx.Value(requestKey{}).(*request)
	return c
}

// identify finds out who makes a request.
func (m *Mux) identify(c *request) (err error) {
	if m.guard != nil {
		c.principal, err = m.guard.Principal(c.AccessKeyID)
	}
	return err
}

var errNotAsked = errors.New("it has not asked whether the caller may do this (awswire.Authorize): this is a fault of the local environment")

// pathWriter passes on a path service's answer, unless it is the success of one
// that has not asked for permission.
type pathWriter struct {
	http.ResponseWriter
	m       *Mux
	request *http.Request
	begun   bool
	refused bool
}

func (w *pathWriter) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	if w.refused = status < 400 && !requestFrom(w.request.Context()).asked; w.refused {
		w.Header().Del("Content-Length")
		w.m.fail(w.ResponseWriter, fmt.Sprintf("%s %s", w.request.Method, w.request.URL.Path), errNotAsked)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *pathWriter) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.refused {
		return len(data), nil
	}
	return w.ResponseWriter.Write(data)
}
