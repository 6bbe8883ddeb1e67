package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/functions/system/storage-api/rows"
)

// How many rows a page has.
const (
	defaultPage = 50
	maxPage     = 100
)

// api answers requests of HTTP APIs in payload format 2.0.
type api struct {
	table  *rows.Table
	logger *slog.Logger
}

// fault is an answer that is an error of whoever asked.
type fault struct {
	status  int
	message string
}

func (f *fault) Error() string { return f.message }

func faultf(status int, format string, args ...any) *fault {
	return &fault{status, fmt.Sprintf(format, args...)}
}

// handle answers one request. Every error that it returns is the deployment's or
// AWS's, and is answered by API Gateway as 500, without a word of it.
func (a *api) handle(ctx context.Context, r awsevents.APIGatewayV2HTTPRequest) (awsevents.APIGatewayV2HTTPResponse, error) {
	began := time.Now()
	who, err := callerOf(r)
	if err != nil {
		return awsevents.APIGatewayV2HTTPResponse{}, err
	}
	response, err := a.answer(ctx, who.user, r)
	if one := (*fault)(nil); errors.As(err, &one) {
		response, err = answerJSON(one.status, "", map[string]string{"message": one.message})
	}
	level, status := slog.LevelInfo, response.StatusCode
	if err != nil {
		level, status = slog.LevelError, http.StatusInternalServerError
	}
	a.logger.LogAttrs(ctx, level, "request",
		slog.String("requestId", r.RequestContext.RequestID), slog.String("route", r.RouteKey), slog.Int("status", status),
		slog.String("user", who.user), slog.String("function", who.function), slog.String("event", who.event), slog.String("session", who.session),
		slog.Float64("durationMs", float64(time.Since(began).Microseconds())/1000), slog.Any("error", err))
	return response, err
}

// caller is who asks, as the authorizer says. The last three are of a function
// session, and empty for a user.
type caller struct{ user, function, event, session string }

func callerOf(r awsevents.APIGatewayV2HTTPRequest) (caller, error) {
	if r.RequestContext.Authorizer == nil {
		return caller{}, errors.New("the request was let in by no authorizer")
	}
	said := func(name string) string {
		text, _ := r.RequestContext.Authorizer.Lambda[name].(string)
		return text
	}
	c := caller{said("user"), said("function"), said("event"), said("session")}
	if c.user == "" {
		return c, errors.New("the authorizer does not say who the user is")
	}
	return c, nil
}

func (a *api) answer(ctx context.Context, user string, r awsevents.APIGatewayV2HTTPRequest) (awsevents.APIGatewayV2HTTPResponse, error) {
	place := rows.Place{Dataset: r.PathParameters["dataset"], Bucket: r.PathParameters["bucket"], Container: r.PathParameters["container"]}
	id, isRow := r.PathParameters["row"]
	method := r.RequestContext.HTTP.Method
	switch {
	case !isRow && method == http.MethodGet:
		return a.list(ctx, user, place, r)
	case isRow && method == http.MethodGet:
		row, err := a.table.Get(ctx, user, place, id)
		if err != nil {
			return none, explain(err)
		}
		return answerJSON(http.StatusOK, row.ETag, wireRow(place, row))
	case isRow && method == http.MethodPut:
		return a.put(ctx, user, place, id, r)
	case isRow && method == http.MethodDelete:
		condition, err := conditionOf(r)
		if err != nil {
			return none, err
		}
		if err := a.table.Delete(ctx, user, place, id, condition); err != nil {
			return none, explain(err)
		}
		return awsevents.APIGatewayV2HTTPResponse{StatusCode: http.StatusNoContent, Headers: headers("")}, nil
	}
	return none, fmt.Errorf("route %s leads here, and nothing answers it", r.RouteKey)
}

var none awsevents.APIGatewayV2HTTPResponse

func (a *api) list(ctx context.Context, user string, place rows.Place, r awsevents.APIGatewayV2HTTPRequest) (awsevents.APIGatewayV2HTTPResponse, error) {
	limit := defaultPage
	if text, asked := r.QueryStringParameters["limit"]; asked {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return none, faultf(http.StatusBadRequest, "limit is 1 to %d", maxPage)
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(r.QueryStringParameters["next"])
	if err != nil || len(after) > 0 && rows.CheckID(string(after)) != nil {
		return none, faultf(http.StatusBadRequest, "next is what the page before this one said, and nothing else")
	}
	found, more, err := a.table.List(ctx, user, place, string(after), int32(limit))
	if err != nil {
		return none, explain(err)
	}
	page := struct {
		Rows []any  `json:"rows"`
		Next string `json:"next,omitempty"`
	}{Rows: []any{}}
	for _, row := range found {
		page.Rows = append(page.Rows, wireRow(place, row))
	}
	if more && len(found) > 0 {
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(found[len(found)-1].ID))
	}
	return answerJSON(http.StatusOK, "", page)
}

func (a *api) put(ctx context.Context, user string, place rows.Place, id string, r awsevents.APIGatewayV2HTTPRequest) (awsevents.APIGatewayV2HTTPResponse, error) {
	body := []byte(r.Body)
	if r.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return none, faultf(http.StatusBadRequest, "the body cannot be read")
		}
	}
	if len(body) > rows.MaxData {
		return none, faultf(http.StatusRequestEntityTooLarge, "a row has at most %d bytes", rows.MaxData)
	}
	if !json.Valid(body) {
		return none, faultf(http.StatusBadRequest, "the body is not JSON")
	}
	condition, err := conditionOf(r)
	if err != nil {
		return none, err
	}
	row, created, err := a.table.Put(ctx, user, place, id, body, condition)
	if err != nil {
		return none, explain(err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return answerJSON(status, row.ETag, wireRow(place, row))
}

// conditionOf reads If-Match, which takes one ETag, and If-None-Match, which takes
// an asterisk.
func conditionOf(r awsevents.APIGatewayV2HTTPRequest) (rows.Condition, error) {
	match, absent := r.Headers["if-match"], r.Headers["if-none-match"]
	switch {
	case match == "" && absent == "":
		return rows.Condition{}, nil
	case match == "" && absent == "*" && r.RequestContext.HTTP.Method == http.MethodPut:
		return rows.Condition{Absent: true}, nil
	case absent == "" && len(match) > 2 && strings.HasPrefix(match, `"`) && strings.HasSuffix(match, `"`):
		return rows.Condition{ETag: match[1 : len(match)-1]}, nil
	}
	return rows.Condition{}, faultf(http.StatusBadRequest, `want If-Match with one ETag in quotes, or with PUT If-None-Match: *, and not both`)
}

// explain makes answers of what the table says.
func explain(err error) error {
	name := (*rows.NameError)(nil)
	switch {
	case errors.Is(err, rows.ErrNotFound):
		return faultf(http.StatusNotFound, "%v", err)
	case errors.Is(err, rows.ErrChanged):
		return faultf(http.StatusPreconditionFailed, "%v", err)
	case errors.As(err, &name):
		return faultf(http.StatusBadRequest, "%v", err)
	}
	return err
}

// wire is a row as it is answered, its names those of the events about it.
type wire struct {
	RowID     string          `json:"row_id"`
	Container string          `json:"container"`
	Bucket    string          `json:"bucket"`
	Dataset   string          `json:"dataset"`
	Changed   time.Time       `json:"changed"`
	ETag      string          `json:"etag"`
	Data      json.RawMessage `json:"data"`
}

func wireRow(p rows.Place, r rows.Row) wire {
	return wire{r.ID, p.Container, p.Bucket, p.Dataset, r.Changed, r.ETag, r.Data}
}

func headers(etag string) map[string]string {
	h := map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
	if etag != "" {
		h["ETag"] = `"` + etag + `"`
	}
	return h
}

func answerJSON(status int, etag string, v any) (awsevents.APIGatewayV2HTTPResponse, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return none, err
	}
	h := headers(etag)
	h["Content-Type"] = "application/json"
	return awsevents.APIGatewayV2HTTPResponse{StatusCode: status, Headers: h, Body: string(text)}, nil
}
