// Package sts is the part of AWS STS by which a program asks who it is, and
// becomes somebody else.
package sts

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/iam"
)

// Service is the name of the service in a request's credential scope.
const Service = "sts"

// api is STS for the principals of an account.
type api struct {
	account string
	iam     *iam.IAM
}

// Query is STS on the wire.
func Query(account string, principals *iam.IAM) awswire.QueryService {
	a := api{account, principals}
	return awswire.QueryService{
		Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Numbers:   []string{"DurationSeconds"},
		Operations: awswire.Operations{
			"GetCallerIdentity": awswire.Op(a.getCallerIdentity),
			"AssumeRole":        awswire.Op(a.assumeRole),
		},
	}
}

type callerIdentity struct {
	Arn     string
	UserId  string //nolint:revive // the API's spelling
	Account string
}

// getCallerIdentity needs no permission, whatever policies say
// ("GetCallerIdentity", STS API reference).
func (a api) getCallerIdentity(ctx context.Context, _ *struct{}) (*callerIdentity, error) {
	awswire.NeedsNone(ctx)
	id, err := a.iam.Identify(awswire.CallerFrom(ctx).AccessKeyID)
	if err != nil {
		return nil, err
	}
	return &callerIdentity{id.ARN, id.UserID, a.account}, nil
}

type assumed struct {
	Credentials struct {
		AccessKeyId     string //nolint:revive // the API's spelling
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	AssumedRoleUser struct {
		AssumedRoleId string //nolint:revive // the API's spelling
		Arn           string
	}
}

func (a api) assumeRole(ctx context.Context, in *struct {
	RoleArn         string
	RoleSessionName string
	DurationSeconds int
	ExternalID      string `json:"ExternalId"`
}) (*assumed, error) {
	if in.RoleArn == "" {
		return nil, awswire.Errorf("ValidationError", "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null")
	}
	err := awswire.Authorize(ctx, awswire.Access{
		Action: "sts:AssumeRole", Resource: in.RoleArn, Policy: a.iam.Trust(in.RoleArn),
		Keys: func(key string) []string {
			if key == "sts:externalid" && in.ExternalID != "" {
				return []string{in.ExternalID}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	c, id, expires, err := a.iam.AssumeRole(in.RoleArn, in.RoleSessionName, time.Duration(in.DurationSeconds)*time.Second)
	if err != nil {
		return nil, err
	}
	out := &assumed{}
	out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey, out.Credentials.SessionToken = c.AccessKeyID, c.SecretAccessKey, c.SessionToken
	out.Credentials.Expiration = expires.UTC().Format(time.RFC3339)
	out.AssumedRoleUser.AssumedRoleId, out.AssumedRoleUser.Arn = id.UserID, id.ARN
	return out, nil
}
