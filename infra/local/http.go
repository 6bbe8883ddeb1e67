package local

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/httpapi"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/oidc"
)

// HTTP APIs of API Gateway, and the test issuer beside them.

// httpFunctions are the functions as HTTP APIs see them.
type httpFunctions struct{ lambda *lambda.Lambda }

// Invoke implements [httpapi.Functions].
func (f httpFunctions) Invoke(ctx context.Context, functionARN, sourceARN string, event []byte) ([]byte, bool, error) {
	result, err := f.lambda.InvokeForService(ctx, "apigateway.amazonaws.com", sourceARN, functionARN, event)
	if err != nil {
		return nil, false, err
	}
	return result.Payload, result.FunctionError != "", nil
}

// DevPrefix begins the paths that are Config.Dev's. No bucket and no queue has
// such a name.
const DevPrefix = "/_dev/"

// handler serves HTTP APIs and the test issuer below their own paths, and the
// wire protocols of the services everywhere else.
func (e *Environment) handler() http.Handler {
	services := e.mux()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, httpapi.Prefix):
			e.httpAPIs.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, oidc.Prefix):
			e.issuer.ServeHTTP(w, r)
		case e.config.Dev != nil && strings.HasPrefix(r.URL.Path, DevPrefix):
			e.config.Dev.ServeHTTP(w, r)
		default:
			services.ServeHTTP(w, r)
		}
	})
}

// HTTPAPI is an HTTP API that is deployed.
type HTTPAPI struct{ Name, URL string }

// HTTPAPIs returns the HTTP APIs that are deployed.
func (e *Environment) HTTPAPIs() []HTTPAPI {
	var out []HTTPAPI
	for r := range e.resources("AWS::ApiGatewayV2::Api") {
		out = append(out, HTTPAPI{Name: str(r.Properties["Name"]), URL: e.httpAPIs.Endpoint(r.Ref)})
	}
	return out
}

// TokenURL is where the test issuer gives tokens, to a form that names the user.
func (e *Environment) TokenURL() string { return e.issuer.Name() + "/token" }

// httpID makes the id of an API, or of what it has, which AWS chooses at random:
// ten characters that stay the same from run to run.
func httpID(r cloudformation.Resource) string {
	sum := sha256.Sum256([]byte(r.Stack + "/" + r.LogicalID))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10])
}

type apiProperties struct {
	Name         string
	Description  string
	ProtocolType string
	Tags         map[string]string
}

func (p *apiProperties) Validate() error {
	if p.ProtocolType != "HTTP" {
		return fmt.Errorf("property ProtocolType: %q is not supported by the local environment: want HTTP", p.ProtocolType)
	}
	return nil
}

func (e *Environment) api(_ context.Context, r cloudformation.Resource, p apiProperties) (cloudformation.Attributes, error) {
	id := httpID(r)
	e.httpAPIs.EnsureAPI(httpapi.API{ID: id, Name: p.Name})
	return cloudformation.Attributes{Ref: id, Att: map[string]string{"ApiId": id, "ApiEndpoint": e.httpAPIs.Endpoint(id)}}, nil
}

func (e *Environment) removeAPI(_ context.Context, r cloudformation.Resource, _ apiProperties) (string, error) {
	e.httpAPIs.DeleteAPI(httpID(r))
	return "", nil
}

type stageProperties struct {
	ApiId                string //nolint:revive // CloudFormation's spelling, here and below
	StageName            string
	AutoDeploy           bool
	AccessLogSettings    struct{ DestinationArn, Format string }
	DefaultRouteSettings struct {
		DetailedMetricsEnabled bool
		ThrottlingBurstLimit   int
		ThrottlingRateLimit    float64
	}
	Tags map[string]string
}

func (p *stageProperties) stage() httpapi.Stage {
	_, group, _ := strings.Cut(p.AccessLogSettings.DestinationArn, ":log-group:")
	return httpapi.Stage{
		Rate: p.DefaultRouteSettings.ThrottlingRateLimit, Burst: p.DefaultRouteSettings.ThrottlingBurstLimit,
		LogGroup: strings.TrimSuffix(group, ":*"), LogFormat: p.AccessLogSettings.Format,
	}
}

func (p *stageProperties) Validate() error {
	if p.StageName != "$default" || !p.AutoDeploy {
		return fmt.Errorf("property StageName: only the stage $default, deployed automatically, is supported by the local environment")
	}
	if p.DefaultRouteSettings.DetailedMetricsEnabled {
		return fmt.Errorf("property DefaultRouteSettings.DetailedMetricsEnabled is not supported by the local environment")
	}
	return p.stage().Check()
}

func (e *Environment) apiStage(_ context.Context, _ cloudformation.Resource, p stageProperties) (cloudformation.Attributes, error) {
	e.httpAPIs.EnsureStage(p.ApiId, p.stage())
	return cloudformation.Attributes{Ref: p.StageName}, nil
}

func (e *Environment) removeAPIStage(_ context.Context, _ cloudformation.Resource, p stageProperties) (string, error) {
	e.httpAPIs.Delete(p.ApiId, p.StageName)
	return "", nil
}

type integrationProperties struct {
	ApiId                string //nolint:revive
	IntegrationType      string
	IntegrationUri       string //nolint:revive
	PayloadFormatVersion string
	TimeoutInMillis      int
}

func (p *integrationProperties) Validate() error {
	if p.IntegrationType != "AWS_PROXY" || p.PayloadFormatVersion != "2.0" {
		return fmt.Errorf("property IntegrationType: only AWS_PROXY with PayloadFormatVersion 2.0 is supported by the local environment")
	}
	if err := (httpapi.Integration{Timeout: time.Duration(p.TimeoutInMillis) * time.Millisecond}).Check(); err != nil {
		return fmt.Errorf("property TimeoutInMillis: %w", err)
	}
	return nil
}

func (e *Environment) apiIntegration(_ context.Context, r cloudformation.Resource, p integrationProperties) (cloudformation.Attributes, error) {
	id := httpID(r)
	e.httpAPIs.EnsureIntegration(p.ApiId, httpapi.Integration{
		ID: id, FunctionARN: p.IntegrationUri, Timeout: time.Duration(p.TimeoutInMillis) * time.Millisecond,
	})
	return cloudformation.Attributes{Ref: id, Att: map[string]string{"IntegrationId": id}}, nil
}

func (e *Environment) removeAPIIntegration(_ context.Context, r cloudformation.Resource, p integrationProperties) (string, error) {
	e.httpAPIs.Delete(p.ApiId, httpID(r))
	return "", nil
}

type authorizerProperties struct {
	ApiId                          string //nolint:revive
	Name                           string
	AuthorizerType                 string
	AuthorizerUri                  string //nolint:revive
	AuthorizerPayloadFormatVersion string
	AuthorizerResultTtlInSeconds   *int //nolint:revive
	EnableSimpleResponses          bool
	IdentitySource                 []string
}

// authorizerFunction is the ARN of the function in the URI of an authorizer:
// arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN/invocations.
func authorizerFunction(uri string) string {
	_, function, _ := strings.Cut(uri, "/functions/")
	return strings.TrimSuffix(function, "/invocations")
}

const identityHeader = "$request.header."

func (p *authorizerProperties) Validate() error {
	switch {
	case p.AuthorizerType != "REQUEST" || p.AuthorizerPayloadFormatVersion != "2.0" || !p.EnableSimpleResponses:
		return fmt.Errorf("property AuthorizerType: only REQUEST with AuthorizerPayloadFormatVersion 2.0 and EnableSimpleResponses is supported by the local environment")
	case p.AuthorizerResultTtlInSeconds == nil || *p.AuthorizerResultTtlInSeconds != 0:
		return fmt.Errorf("property AuthorizerResultTtlInSeconds: only 0 is supported by the local environment, which keeps no answer of an authorizer")
	case len(p.IdentitySource) == 0:
		return fmt.Errorf("property IdentitySource: at least one is needed")
	}
	for _, source := range p.IdentitySource {
		if !strings.HasPrefix(source, identityHeader) {
			return fmt.Errorf("property IdentitySource: %q is not supported by the local environment: want %sNAME", source, identityHeader)
		}
	}
	return nil
}

func (e *Environment) apiAuthorizer(_ context.Context, r cloudformation.Resource, p authorizerProperties) (cloudformation.Attributes, error) {
	a := httpapi.Authorizer{ID: httpID(r), FunctionARN: authorizerFunction(p.AuthorizerUri)}
	for _, source := range p.IdentitySource {
		a.Headers = append(a.Headers, strings.TrimPrefix(source, identityHeader))
	}
	e.httpAPIs.EnsureAuthorizer(p.ApiId, a)
	return cloudformation.Attributes{Ref: a.ID, Att: map[string]string{"AuthorizerId": a.ID}}, nil
}

func (e *Environment) removeAPIAuthorizer(_ context.Context, r cloudformation.Resource, p authorizerProperties) (string, error) {
	e.httpAPIs.Delete(p.ApiId, httpID(r))
	return "", nil
}

type routeProperties struct {
	ApiId             string //nolint:revive
	RouteKey          string
	Target            string
	AuthorizationType string
	AuthorizerId      string //nolint:revive
}

const integrationTarget = "integrations/"

func (p *routeProperties) Validate() error {
	switch p.AuthorizationType {
	case "CUSTOM":
		if p.AuthorizerId == "" {
			return fmt.Errorf("property AuthorizerId is missing: AuthorizationType CUSTOM needs one")
		}
	case "", "NONE":
	default:
		return fmt.Errorf("property AuthorizationType: %q is not supported by the local environment: want CUSTOM or NONE", p.AuthorizationType)
	}
	if err := httpapi.CheckRouteKey(p.RouteKey); err != nil {
		return fmt.Errorf("property RouteKey: %w", err)
	}
	return nil
}

func (e *Environment) apiRoute(_ context.Context, r cloudformation.Resource, p routeProperties) (cloudformation.Attributes, error) {
	route := httpapi.Route{ID: httpID(r), Key: p.RouteKey, Integration: strings.TrimPrefix(p.Target, integrationTarget)}
	if p.AuthorizationType == "CUSTOM" {
		route.Authorizer = p.AuthorizerId
	}
	e.httpAPIs.EnsureRoute(p.ApiId, route)
	return cloudformation.Attributes{Ref: route.ID, Att: map[string]string{"RouteId": route.ID}}, nil
}

func (e *Environment) removeAPIRoute(_ context.Context, r cloudformation.Resource, p routeProperties) (string, error) {
	e.httpAPIs.Delete(p.ApiId, httpID(r))
	return "", nil
}
