package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Explain adds to the error of a call that reached nobody what to do about it.
func (t *Target) Explain(err error) error {
	if err == nil || t.Env.Endpoint == "" || !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return fmt.Errorf("nothing listens on %s: start the environment with `penstock dev`: %w", aws.ToString(t.AWS.BaseEndpoint), err)
}

// serviceEndpoint is an endpoint that is set for one service alone.
type serviceEndpoint struct{ setting, url string }

// serviceEndpoints returns those of the environment variables and of the
// profile ("Service-specific endpoints", AWS SDKs and Tools Reference Guide),
// sorted.
func serviceEndpoints(cfg aws.Config) []serviceEndpoint {
	if ignored, _ := strconv.ParseBool(os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")); ignored {
		return nil
	}
	var out []serviceEndpoint
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "AWS_ENDPOINT_URL_") && value != "" {
			out = append(out, serviceEndpoint{name, value})
		}
	}
	for _, source := range cfg.ConfigSources {
		profile, ok := source.(config.SharedConfig)
		if !ok {
			continue
		}
		for service, values := range profile.Services.ServiceValues {
			if url := values["endpoint_url"]; url != "" {
				out = append(out, serviceEndpoint{fmt.Sprintf("endpoint_url of %s in the services of AWS profile %q", service, profile.Profile), url})
			}
		}
	}
	slices.SortFunc(out, func(a, b serviceEndpoint) int { return cmp.Compare(a.setting, b.setting) })
	return out
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

// Brief is the part of an AWS SDK's error that a person needs.
func Brief(err error) string {
	var network *net.OpError
	var api smithy.APIError
	switch {
	case errors.As(err, &network):
		return network.Error()
	case errors.As(err, &api):
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
