package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// requests are those of this process that --debug has counted.
var requests requestCount

// requestCount counts requests by service and operation. The zero value is one
// that nobody counts with, and tells nothing.
type requestCount struct {
	mu sync.Mutex
	of map[string]int
}

// count counts an operation's requests from now on; "" counts none, and has tell
// say so.
func (c *requestCount) count(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	if operation != "" {
		c.of[operation]++
	}
}

// tell says how many requests there were, and of what, the most first.
func (c *requestCount) tell(out io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		return
	}
	total := 0
	var each []string
	for _, operation := range slices.SortedFunc(maps.Keys(c.of), func(a, b string) int { return cmp.Or(c.of[b]-c.of[a], cmp.Compare(a, b)) }) {
		total += c.of[operation]
		each = append(each, fmt.Sprintf("%d %s", c.of[operation], operation))
	}
	line := fmt.Sprintf("debug: %d requests to AWS", total)
	if total > 0 {
		line += ": " + strings.Join(each, ", ")
	}
	fmt.Fprintln(out, line)
}

// traceCalls logs each call: service, operation, how long it took and how it
// ended. Neither what was sent nor what came back is logged, since either may
// hold a secret. It counts the requests that the calls make, each retry one more.
func traceCalls(cfg *aws.Config, out io.Writer, requests *requestCount) {
	requests.count("")
	operation := func(ctx context.Context) string {
		return awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetOperationName(ctx)
	}
	trace := middleware.InitializeMiddlewareFunc("TraceCalls", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		start := time.Now()
		result, metadata, err := next.HandleInitialize(ctx, in)
		ended := "ok"
		if err != nil {
			ended = errorCode(err)
		}
		fmt.Fprintf(out, "debug: %s %s %s\n", operation(ctx), time.Since(start).Round(time.Millisecond), ended)
		return result, metadata, err
	})
	count := middleware.DeserializeMiddlewareFunc("CountRequests", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		requests.count(operation(ctx))
		return next.HandleDeserialize(ctx, in)
	})
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return errors.Join(stack.Initialize.Add(trace, middleware.After), stack.Deserialize.Add(count, middleware.Before))
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
