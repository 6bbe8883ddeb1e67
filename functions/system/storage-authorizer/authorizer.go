package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/system/storage-authorizer/oidc"
)

type authorizer struct {
	sessions interface {
		Verify(ctx context.Context, token string) (session.Session, error)
	}
	users interface {
		Verify(ctx context.Context, token string) (user string, err error)
	}
	revocations interface {
		Revoked(context.Context, session.Session) (bool, error)
	}
	logger *slog.Logger
}

type (
	request  = awsevents.APIGatewayV2CustomAuthorizerV2Request
	response = awsevents.APIGatewayV2CustomAuthorizerSimpleResponse
)

var (
	errNoToken = errors.New("it does not carry one token, as Authorization: Bearer")
	errRevoked = errors.New("the session was revoked")
)

// handle answers whether a request is authorized.
func (a *authorizer) handle(ctx context.Context, r request) (response, error) {
	said, err := a.authorize(ctx, r.Headers["authorization"])
	id := slog.String("requestId", r.RequestContext.RequestID)
	switch {
	case err == nil:
		return response{IsAuthorized: true, Context: said}, nil
	case errors.Is(err, errNoToken), errors.Is(err, errRevoked), errors.Is(err, session.ErrRefused), errors.Is(err, oidc.ErrRefused):
		a.logger.LogAttrs(ctx, slog.LevelInfo, "refused", id, slog.String("reason", err.Error()))
		return response{}, nil
	}
	a.logger.LogAttrs(ctx, slog.LevelError, "failed", id, slog.String("error", err.Error()))
	return response{}, errors.New("nobody can be authorized now") // it is answered to API Gateway alone
}

// authorize says who a request is by the value of its header Authorization. Two
// headers come as one value, joined by a comma, which no token holds.
func (a *authorizer) authorize(ctx context.Context, header string) (map[string]any, error) {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " ,") {
		return nil, errNoToken
	}
	if session.TypeOf(token) != session.Type {
		user, err := a.users.Verify(ctx, token)
		return map[string]any{"user": user}, err
	}
	s, err := a.sessions.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	revoked, err := a.revocations.Revoked(ctx, s)
	if err != nil {
		return nil, err
	}
	if revoked {
		return nil, errRevoked
	}
	return map[string]any{"user": s.User, "function": s.Function, "event": s.Event, "session": s.ID}, nil
}
