// Package sts is the part of AWS STS by which a program asks who it is.
package sts

import (
	"context"
	"net/http"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Service is the name of the service in a request's credential scope.
const Service = "sts"

// Identity is who an access key belongs to.
type Identity struct {
	ARN    string
	UserID string
}

// Query is STS on the wire. identify says who an access key belongs to; ok is
// false for a key that is unknown.
func Query(account string, identify func(accessKeyID string) (id Identity, ok bool)) awswire.QueryService {
	type answer struct {
		Arn     string
		UserId  string //nolint:revive // the API's spelling
		Account string
	}
	return awswire.QueryService{
		Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: awswire.Operations{
			"GetCallerIdentity": awswire.Op(func(ctx context.Context, _ *struct{}) (*answer, error) {
				awswire.NeedsNone(ctx)
				id, ok := identify(awswire.CallerFrom(ctx).AccessKeyID)
				if !ok {
					return nil, &awswire.Error{Code: "InvalidClientTokenId", Status: http.StatusForbidden,
						Message: "The security token included in the request is invalid: use the credentials that `penstock dev` printed"}
				}
				return &answer{id.ARN, id.UserID, account}, nil
			}),
		},
	}
}
