package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// Explain adds to the error of a call that reached nobody what to do about it.
func (t *Target) Explain(err error) error {
	if err == nil || t.Env.Endpoint == "" || !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return fmt.Errorf("nothing listens on %s: start the environment with `penstock dev`: %w", aws.ToString(t.AWS.BaseEndpoint), err)
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// traceCalls logs each call: service, operation, how long it took and how it
// ended. Neither what was sent nor what came back is logged, since either may
// hold a secret.
func traceCalls(cfg *aws.Config, out io.Writer) {
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("TraceCalls", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			start := time.Now()
			result, metadata, err := next.HandleInitialize(ctx, in)
			ended := "ok"
			if err != nil {
				ended = errorCode(err)
			}
			fmt.Fprintf(out, "debug: %s %s %s %s\n", awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), time.Since(start).Round(time.Millisecond), ended)
			return result, metadata, err
		}), middleware.After)
	})
}

// errorCode is the code of an AWS error; a message may repeat what was sent.
func errorCode(err error) string {
	var api interface{ ErrorCode() string }
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return "failed"
}
