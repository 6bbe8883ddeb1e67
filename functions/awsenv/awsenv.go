// Package awsenv gives a function's AWS clients their configuration, from the
// environment that Lambda provides.
//
// It is a replacement for the SDK's config package, which costs a function half
// a megabyte and start-up time for profiles, single sign-on and instance
// metadata, none of which Lambda has.
package awsenv

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// idleConnections is how many connections to one service are kept for the next
// call. The SDK's 10 is what one batch of ten concurrent events uses; with
// more, every call above it pays for a new TLS connection. 100 leaves room for
// a concurrency of that, and is a tenth of the 1,024 file descriptors that an
// execution environment has ("Lambda quotas").
const idleConnections = 100

// Config returns the configuration for the SDK's service clients. It reads
// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN (may
// be missing: long-term keys have none) and AWS_ENDPOINT_URL (may be missing:
// AWS itself), and nothing else: no profile, no file, no endpoint of a single
// service. The error names the variables that are missing. Lambda sets them
// for the life of an execution environment, so one call at start is enough.
func Config() (aws.Config, error) {
	region, key, secret := os.Getenv("AWS_REGION"), os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	var missing []string
	for _, v := range []struct{ name, value string }{
		{"AWS_REGION", region}, {"AWS_ACCESS_KEY_ID", key}, {"AWS_SECRET_ACCESS_KEY", secret},
	} {
		if v.value == "" {
			missing = append(missing, v.name)
		}
	}
	if len(missing) > 0 {
		return aws.Config{}, fmt.Errorf("awsenv: %s not set: on Lambda they always are; elsewhere, set them", strings.Join(missing, ", "))
	}
	cfg := aws.Config{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, os.Getenv("AWS_SESSION_TOKEN")),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 0 // no limit besides that of each host
			t.MaxIdleConnsPerHost = idleConnections
		}),
	}
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return cfg, nil
}
