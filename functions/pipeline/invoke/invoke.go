// Package invoke makes the calls of pipelines: it is their [pipeline.Invoker] on
// AWS Lambda.
//
// A call without a connection is made as the program itself is, in its own
// region. One with a connection is made in the connection's region, and with its
// role, whose credentials are asked of STS when they are first needed, and again
// before they expire.
package invoke

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/functions/pipeline"
)

// Lambda takes requests of 6 MB if it is to answer them, and of 1 MB if it is not
// ("Lambda quotas").
const (
	MaxSyncBytes  = 6 << 20
	MaxAsyncBytes = 1 << 20
)

// attempts is how often the SDK tries a call that is throttled or does not get
// through, with growing random waits in between.
const attempts = 5

// Config says how calls are made.
type Config struct {
	// AWS is the program's own: region, credentials, HTTP client, endpoint.
	AWS aws.Config

	// Functions are names on Lambda, by the names that stages without a
	// connection have instead.
	Functions map[string]string

	// Connections are those that stages name.
	Connections map[string]Connection

	// Session names the sessions of roles, as CloudTrail shows them, and is part
	// of what their trust policies see: 2 to 64 characters. Needed only for a
	// connection with a role.
	Session string
}

// Connection is a role and a region to call functions with. The JSON is that of
// environments.json.
type Connection struct {
	RoleARN    string `json:"roleArn"`    // empty: no other role than the program's
	Region     string `json:"region"`     // empty: the program's
	ExternalID string `json:"externalId"` // empty: none
}

// Invoker is the [pipeline.Invoker] of AWS Lambda. It is safe for concurrent use.
type Invoker struct {
	config Config

	mu      sync.Mutex
	clients map[string]*lambda.Client // by connection
}

var _ pipeline.Invoker = (*Invoker)(nil)

// New returns an Invoker. It makes no call.
func New(config Config) *Invoker {
	return &Invoker{config: config, clients: map[string]*lambda.Client{}}
}

// Name is how a call's function is called on Lambda: a name or an ARN.
func (i *Invoker) Name(c *pipeline.External) string {
	if c.Connection == "" {
		return cmp.Or(i.config.Functions[c.Function], c.Function)
	}
	return c.Function
}

// Invoke implements [pipeline.Invoker].
func (i *Invoker) Invoke(ctx context.Context, c pipeline.Call) ([]byte, error) {
	client, err := i.client(c.Connection)
	if err != nil {
		return nil, err
	}
	kind, most := types.InvocationTypeRequestResponse, MaxSyncBytes
	if c.Async {
		kind, most = types.InvocationTypeEvent, MaxAsyncBytes
	}
	if len(c.Payload) > most {
		return nil, fmt.Errorf("the payload has %d bytes, and Lambda takes %d: let the stage's \"payload\" send less", len(c.Payload), most)
	}
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(i.Name(c.External)), InvocationType: kind, Payload: c.Payload})
	switch {
	case err != nil:
		return nil, judge(err)
	case out.FunctionError != nil:
		return nil, functionError(*out.FunctionError, out.Payload)
	case c.Async:
		return nil, nil
	}
	return out.Payload, nil
}

// client is that of a connection, "" for none.
func (i *Invoker) client(connection string) (*lambda.Client, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if client := i.clients[connection]; client != nil {
		return client, nil
	}
	cfg := i.config.AWS.Copy()
	if connection != "" {
		c, ok := i.config.Connections[connection]
		if !ok {
			return nil, &pipeline.SetupError{Err: fmt.Errorf("there is no connection %q in this environment: add it to infra/environments.json, and deploy", connection)}
		}
		if c.RoleARN != "" {
			cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(i.config.AWS), c.RoleARN, func(o *stscreds.AssumeRoleOptions) {
				o.RoleSessionName = i.config.Session
				if c.ExternalID != "" {
					o.ExternalID = &c.ExternalID
				}
			}))
		}
		cfg.Region = cmp.Or(c.Region, cfg.Region)
	}
	client := lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.RetryMaxAttempts = attempts })
	i.clients[connection] = client
	return client, nil
}

// setup are the codes of errors that no document is to blame for, and no waiting
// mends: of Lambda ("Invoke", AWS Lambda API Reference), of STS, and common to all
// services ("Common error types").
var setup = map[string]bool{
	"AccessDenied": true, "AccessDeniedException": true, "ResourceNotFoundException": true,
	"UnrecognizedClientException": true, "InvalidClientTokenId": true, "SignatureDoesNotMatch": true, "InvalidSignatureException": true,
	"RegionDisabledException": true, "OptInRequired": true, "ValidationError": true, // of a role's ARN
	"InvalidRuntimeException": true, "InvalidSecurityGroupIDException": true, "InvalidSubnetIDException": true, "InvalidZipFileException": true,
	"KMSAccessDeniedException": true, "KMSDisabledException": true, "KMSInvalidStateException": true, "KMSNotFoundException": true,
}

// judge tells what is not set up rightly from other errors of the API.
func judge(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok && setup[api.ErrorCode()] {
		return &pipeline.SetupError{Err: err}
	}
	return err
}

// functionError reads the answer of a function that failed: kind is Handled or
// Unhandled, and the payload what the function or its runtime says of the error
// ("Understanding retry behavior in Lambda", AWS Lambda Developer Guide).
func functionError(kind string, payload []byte) error {
	var said struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal(payload, &said); err != nil || said.Type == "" && said.Message == "" {
		const shown = 200
		return &pipeline.FunctionError{Type: kind, Message: fmt.Sprintf("%.*s", shown, payload)}
	}
	return &pipeline.FunctionError{Type: said.Type, Message: said.Message}
}
