package awswire

import (
	"context"
	"net/http"
	"strings"
)

// Caller is what a request's signature says of who sent it, and to which
// service. The signature itself is not verified: the port is on loopback, and
// the access key alone tells the local environment's principals apart.
type Caller struct {
	AccessKeyID string
	Region      string
	Service     string // the credential scope's service name, e.g. dynamodb
}

// CallerFrom returns the caller of the request being answered; the zero
// Caller outside of one.
func CallerFrom(ctx context.Context) Caller {
	if c := requestFrom(ctx); c != nil {
		return c.Caller
	}
	return Caller{}
}

// callerOf reads the Authorization header of Signature Version 4:
//
//	AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/sqs/aws4_request, SignedHeaders=…
func callerOf(r *http.Request) (c Caller, signed bool) {
	_, rest, found := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !found {
		return Caller{}, false
	}
	credential, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[0] == "" {
		return Caller{}, false
	}
	return Caller{AccessKeyID: parts[0], Region: parts[2], Service: parts[3]}, true
}
