// Command storage-authorizer says who may use the data API, and as whom: it is the
// Lambda authorizer of the HTTP API in front of storage-api.
//
// A request carries one token, as "Authorization: Bearer …". That is a function
// session (package session), which stands for its user and may have been revoked;
// or a token of one of the configured OpenID Connect issuers (package oidc),
// which stands for the person who has signed in. Who is authorized is told to
// storage-api in the authorizer's context: user, and of a session function, event
// and session.
//
// Each request is asked about; no answer is kept. A token that is refused is
// answered by false, with the reason in the log and nowhere else. What cannot be
// found out is an error: nobody is let in.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/revocations"
	"github.com/penstock-dev/penstock/functions/system/storage-authorizer/oidc"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	a, err := newAuthorizer(cfg, os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(a.handle)
}

// testIssuer stands, in the variables of an environment on one machine, for the
// test issuer that `penstock dev` runs there.
const testIssuer = "test"

func newAuthorizer(cfg aws.Config, getenv func(string) string) (*authorizer, error) {
	env, keys, err := session.FromEnvironment(secretsmanager.NewFromConfig(cfg))
	if err != nil {
		return nil, err
	}
	sessions, err := session.NewVerifier(env, keys)
	if err != nil {
		return nil, err
	}
	var issuers []oidc.Issuer
	if text := getenv("PENSTOCK_OIDC_ISSUERS"); text != "" {
		if err := json.Unmarshal([]byte(text), &issuers); err != nil {
			return nil, fmt.Errorf("PENSTOCK_OIDC_ISSUERS: %w", err)
		}
	}
	for i := range issuers {
		if issuers[i].Issuer == testIssuer {
			issuers[i].Issuer = getenv("AWS_ENDPOINT_URL") + "/_oidc"
		}
	}
	users, err := oidc.New(issuers)
	if err != nil {
		return nil, err
	}
	table := getenv("PENSTOCK_SESSIONS_TABLE")
	if table == "" {
		return nil, fmt.Errorf("PENSTOCK_SESSIONS_TABLE is not set: on Lambda it always is")
	}
	return &authorizer{
		sessions: sessions, users: users, revocations: &revocations.Table{Client: dynamodb.NewFromConfig(cfg), Name: table},
		logger: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}, nil
}
