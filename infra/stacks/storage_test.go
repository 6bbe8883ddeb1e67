package stacks_test

import (
	"strings"
	"testing"
)

func TestTheDataAPIIsThereWhereItIsAskedForAndNothingOfItElsewhere(t *testing.T) {
	for stack, tmpl := range shopIn(t, dev) {
		for id, r := range tmpl.Resources {
			if strings.HasPrefix(r.Type, "AWS::ApiGatewayV2::") || strings.Contains(text(r.Properties), "function-session-keys") || strings.Contains(text(r.Properties), "penstock-dev-sessions") {
				t.Errorf("%s: %s %s is of a data API, which dev does not ask for", stack, r.Type, id)
			}
		}
	}
	if shopIn(t, prod)["penstock-prod-storage"].Resources == nil {
		t.Error("prod asks for a data API and has none")
	}
}

func TestEveryRouteOfTheDataAPIAsksTheAuthorizerAnew(t *testing.T) {
	storage := shopIn(t, prod)["penstock-prod-storage"]
	routes := storage.resources("AWS::ApiGatewayV2::Route")
	if len(routes) != 4 {
		t.Errorf("%d routes", len(routes))
	}
	for _, r := range routes {
		if r.Properties["AuthorizationType"] != "CUSTOM" || r.Properties["AuthorizerId"] == nil {
			t.Errorf("route %v: %v", r.Properties["RouteKey"], r.Properties["AuthorizationType"])
		}
	}
	for _, a := range storage.resources("AWS::ApiGatewayV2::Authorizer") {
		if a.Properties["AuthorizerResultTtlInSeconds"] != 0.0 || text(a.Properties["IdentitySource"]) != `["$request.header.Authorization"]` {
			t.Errorf("authorizer %v", a.Properties)
		}
	}
	for _, p := range storage.resources("AWS::Lambda::Permission") {
		if source := text(p.Properties["SourceArn"]); !strings.HasSuffix(source, ":${API}/$default/*/rows/*") && !strings.HasSuffix(source, ":${API}/authorizers/${APIAuthorizer}") {
			t.Errorf("permission for %s", source)
		}
	}
}

func TestTheAuthorizerKnowsTheUserPoolAndTheConfiguredIssuers(t *testing.T) {
	function := shopIn(t, prod)["penstock-prod-storage"].named(t, "AWS::Lambda::Function", "FunctionName", "penstock-prod-storage-authorizer")
	variables := function.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
	const want = `[{"issuer":"https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/{{resolve:ssm:/penstock/prod/user-pool/id}}","audience":"{{resolve:ssm:/penstock/prod/user-pool/client-id}}"},` +
		`{"issuer":"https://accounts.example.com","audience":"shop","prefix":"staff:"}]`
	if got := text(variables["PENSTOCK_OIDC_ISSUERS"]); got != want {
		t.Errorf("issuers\n%s, want\n%s", got, want)
	}
	if variables["PENSTOCK_SESSION_MINUTES"] != "20" || variables["PENSTOCK_SESSION_KEYS"] != "penstock-prod/function-session-keys" {
		t.Errorf("variables %v", variables)
	}
}
