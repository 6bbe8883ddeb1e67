// Package sts is the part of AWS STS by which a program asks who it is.
package sts

import (
	"context"
	"encoding/xml"
	"net/url"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Service is the name of the service in a request's credential scope.
const Service = "sts"

// Identity is who an access key belongs to.
type Identity struct {
	ARN    string
	UserID string
}

// Handler answers STS's operations. identify says who an access key belongs
// to; ok is false for a key that is unknown.
func Handler(account string, identify func(accessKeyID string) (id Identity, ok bool)) func(context.Context, string, url.Values) ([]byte, error) {
	return func(ctx context.Context, action string, form url.Values) ([]byte, error) {
		if action != "GetCallerIdentity" {
			return nil, awswire.Errorf("InvalidAction", "operation sts:%s is not supported by the local environment", action)
		}
		id, ok := identify(awswire.CallerFrom(ctx).AccessKeyID)
		if !ok {
			return nil, &awswire.Error{Code: "InvalidClientTokenId", Status: 403,
				Message: "The security token included in the request is invalid: use the credentials that `penstock dev` printed"}
		}
		type result struct {
			Arn     string
			UserId  string //nolint:revive // the API's spelling
			Account string
		}
		return xml.Marshal(struct {
			XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
			Result  result   `xml:"GetCallerIdentityResult"`
		}{Result: result{id.ARN, id.UserID, account}})
	}
}
