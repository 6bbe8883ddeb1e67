package stacks

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Storage is the stack of the data API, which an environment has that says
// "storageApi": true:
//
//	HTTP API ── authorizer: storage-authorizer ── keys of sessions, revocations
//	         └─ routes: storage-api ── storage table ── stream: storage-trigger ── bus
//
// The API's address is its output, a parameter and an export.
type Storage struct {
	Stack awscdk.Stack

	// Table holds the rows of users. Its stream has what each change found and
	// left behind.
	Table awsdynamodb.Table

	// Sessions holds which function sessions were revoked, until they expire.
	Sessions awsdynamodb.Table

	// Keys is the secret with the keys that function sessions are signed by.
	// Secrets Manager makes the first; `penstock sessions rotate-key` the others.
	Keys awssecretsmanager.CfnSecret

	Service    *Program // storage-api
	Authorizer *Program // storage-authorizer
	API        awsapigatewayv2.CfnApi

	// Trigger is storage-trigger, which announces the changes of the table;
	// Unannounced is told where the stream has those that it never could.
	Trigger     *Program
	Unannounced awssqs.Queue
}

// storageRoutes are what storage-api answers.
var storageRoutes = []struct{ id, key string }{
	{"List", "GET /rows/{dataset}/{bucket}/{container}"},
	{"Get", "GET /rows/{dataset}/{bucket}/{container}/{row}"},
	{"Put", "PUT /rows/{dataset}/{bucket}/{container}/{row}"},
	{"Delete", "DELETE /rows/{dataset}/{bucket}/{container}/{row}"},
}

// How many requests a second the data API takes, and how many at once: of the
// account's concurrency it leaves the most to functions, which share it.
const (
	storageRate  = 200
	storageBurst = 400
)

// The timeouts of its programs, in seconds: API Gateway waits 10 s for an
// authorizer, and 30 s for an integration ("Quotas for configuring and running an
// HTTP API in API Gateway").
const (
	authorizerTimeout = 9
	storageTimeout    = 20
)

func newStorage(p *project) *Storage {
	s := &Storage{Stack: p.newStack(names.StorageStack)}
	s.Table = p.newTable(s.Stack, "Storage", names.StorageTable, &awsdynamodb.TableProps{
		PartitionKey: stringKey("pk"),
		SortKey:      stringKey("sk"),
		Stream:       awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES,
	})
	s.Sessions = p.newTable(s.Stack, "Sessions", names.SessionsTable, &awsdynamodb.TableProps{
		PartitionKey:        stringKey("pk"),
		TimeToLiveAttribute: jsii.String("expires"),
	})
	s.newKeys(p)
	s.newPrograms(p)
	s.newAPI(p)
	s.alarms(p)
	s.newTrigger(p)
	return s
}

// newKeys adds the secret, with a first key: any random text is one. A session is
// worth something for minutes, so the secret goes when its stack goes.
func (s *Storage) newKeys(p *project) {
	s.Keys = awssecretsmanager.NewCfnSecret(s.Stack, jsii.String("SessionKeys"), &awssecretsmanager.CfnSecretProps{
		Name:        jsii.String(p.names.SessionKeys()),
		Description: jsii.String("The key that function sessions are signed by; penstock sessions rotate-key makes the next"),
		GenerateSecretString: &awssecretsmanager.CfnSecret_GenerateSecretStringProperty{
			SecretStringTemplate: jsii.String("{}"),
			GenerateStringKey:    jsii.String("seed"),
			PasswordLength:       jsii.Number(64),
			ExcludePunctuation:   jsii.Bool(true),
		},
	})
	suppress(s.Keys, "AwsSolutions-SMG4", "A key is rotated by a command, without a gap: whoever signs and verifies follows on its own.")
}

// sessionVariables are those of a program that mints or verifies function
// sessions.
func sessionVariables(p *project) map[string]string {
	v := map[string]string{names.VarSessionKeys: p.names.SessionKeys()}
	if m := p.props.Env.SessionMinutes; m != 0 {
		v[names.VarSessionMinutes] = fmt.Sprint(m)
	}
	return v
}

// readSessionKeys allows what such a program does with the keys.
func readSessionKeys(p *project) statement {
	return statement{actions: []string{"secretsmanager:GetSecretValue"}, resources: []*string{secretARN(p.names.SessionKeys())}}
}

func (s *Storage) newPrograms(p *project) {
	n := p.names
	common := func(program string) map[string]string {
		return map[string]string{names.VarApp: n.App, names.VarEnv: n.Env, names.VarFunction: program}
	}
	variables := common(names.StorageAPI)
	variables[names.VarStorageTable] = n.Table(names.StorageTable)
	s.Service = newProgram(p, s.Stack, "Service", program{
		name: names.StorageAPI, description: "The data API: rows of users over HTTP",
		code: names.SystemPackages + names.StorageAPI, memoryMB: 256, timeoutSeconds: storageTimeout, environment: variables,
		policy: []statement{{
			actions:   []string{"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"},
			resources: []*string{tableARN(n.Table(names.StorageTable))},
		}},
	})

	variables = common(names.StorageAuthorizer)
	variables[names.VarSessionsTable] = n.Table(names.SessionsTable)
	variables[names.VarOIDCIssuers] = issuers(p)
	for name, value := range sessionVariables(p) {
		variables[name] = value
	}
	s.Authorizer = newProgram(p, s.Stack, "Authorizer", program{
		name: names.StorageAuthorizer, description: "Says who may use the data API, and as whom",
		code: names.SystemPackages + names.StorageAuthorizer, memoryMB: 256, timeoutSeconds: authorizerTimeout, environment: variables,
		policy: []statement{
			readSessionKeys(p),
			{actions: []string{"dynamodb:BatchGetItem"}, resources: []*string{tableARN(n.Table(names.SessionsTable))}},
		},
	})
}

// issuers are those of the environment, as storage-authorizer reads them: its user
// pool, by the parameters of that stack, and those of its settings. On one machine
// there is the test issuer, whose tokens are for the environment.
func issuers(p *project) string {
	list := p.props.Env.OIDCIssuers
	if p.props.Env.UserPool != nil {
		parameter := func(name string) string { return "{{resolve:ssm:" + p.names.Parameter(name) + "}}" }
		list = append([]manifest.OIDCIssuer{{
			Issuer:   "https://cognito-idp." + *awscdk.Aws_REGION() + "." + *awscdk.Aws_URL_SUFFIX() + "/" + parameter("user-pool/id"),
			Audience: parameter("user-pool/client-id"),
		}}, list...)
	}
	if p.props.Env.Endpoint != "" {
		list = []manifest.OIDCIssuer{{Issuer: "test", Audience: p.names.Bus()}}
	}
	if len(list) == 0 {
		return "[]"
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings alone
	}
	return string(text)
}

// newAPI adds the HTTP API, in whose every route the authorizer is asked anew.
func (s *Storage) newAPI(p *project) {
	n := p.names
	s.API = awsapigatewayv2.NewCfnApi(s.Stack, jsii.String("API"), &awsapigatewayv2.CfnApiProps{
		Name: jsii.String(n.StorageAPI()), ProtocolType: jsii.String("HTTP"), Description: jsii.String("The data API of " + n.Bus()),
	})
	authorizer := awsapigatewayv2.NewCfnAuthorizer(s.Stack, jsii.String("APIAuthorizer"), &awsapigatewayv2.CfnAuthorizerProps{
		ApiId: s.API.Ref(), Name: jsii.String(names.StorageAuthorizer), AuthorizerType: jsii.String("REQUEST"),
		AuthorizerUri: jsii.String("arn:" + *awscdk.Aws_PARTITION() + ":apigateway:" + *awscdk.Aws_REGION() + ":lambda:path/2015-03-31/functions/" +
			*s.Authorizer.Lambda.FunctionArn() + "/invocations"),
		AuthorizerPayloadFormatVersion: jsii.String("2.0"),
		EnableSimpleResponses:          jsii.Bool(true),
		IdentitySource:                 jsii.Strings("$request.header.Authorization"),
		AuthorizerResultTtlInSeconds:   jsii.Number(0), // a session may be revoked
	})
	integration := awsapigatewayv2.NewCfnIntegration(s.Stack, jsii.String("APIIntegration"), &awsapigatewayv2.CfnIntegrationProps{
		ApiId: s.API.Ref(), IntegrationType: jsii.String("AWS_PROXY"), IntegrationUri: s.Service.Lambda.FunctionArn(), PayloadFormatVersion: jsii.String("2.0"),
	})
	for _, route := range storageRoutes {
		awsapigatewayv2.NewCfnRoute(s.Stack, jsii.String("Route"+route.id), &awsapigatewayv2.CfnRouteProps{
			ApiId: s.API.Ref(), RouteKey: &route.key, Target: jsii.String("integrations/" + *integration.Ref()),
			AuthorizationType: jsii.String("CUSTOM"), AuthorizerId: authorizer.Ref(),
		})
	}
	group := awslogs.NewCfnLogGroup(s.Stack, jsii.String("APILogs"), &awslogs.CfnLogGroupProps{
		LogGroupName: jsii.String(n.StorageLogGroup()), RetentionInDays: jsii.Number(p.props.Env.LogRetentionDays),
	})
	group.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	encryptLogs(group, p.keyARN())
	awsapigatewayv2.NewCfnStage(s.Stack, jsii.String("APIStage"), &awsapigatewayv2.CfnStageProps{
		ApiId: s.API.Ref(), StageName: jsii.String("$default"), AutoDeploy: jsii.Bool(true),
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: group.AttrArn(),
			// The route, and not the path: of rows it says nothing.
			Format: jsii.String(`{"requestId":"$context.requestId","time":"$context.requestTime","ip":"$context.identity.sourceIp","route":"$context.routeKey","status":"$context.status","bytes":"$context.responseLength","ms":"$context.responseLatency","error":"$context.error.message","integrationError":"$context.integrationErrorMessage"}`),
		},
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{ThrottlingRateLimit: jsii.Number(storageRate), ThrottlingBurstLimit: jsii.Number(storageBurst)},
	})
	for _, one := range []struct {
		id      string
		program *Program
		source  string
	}{
		{"ServicePermission", s.Service, "/$default/*/rows/*"},
		{"AuthorizerPermission", s.Authorizer, "/authorizers/" + *authorizer.Ref()},
	} {
		awslambda.NewCfnPermission(s.Stack, &one.id, &awslambda.CfnPermissionProps{
			Action: jsii.String("lambda:InvokeFunction"), FunctionName: one.program.Lambda.FunctionName(), Principal: jsii.String("apigateway.amazonaws.com"),
			SourceArn: arn("execute-api", *s.API.Ref()+one.source),
		})
	}
	endpoint := s.API.AttrApiEndpoint()
	p.publish(s.Stack, "URL", "storage/url", "Address of the data API", endpoint)
	awscdk.NewCfnOutput(s.Stack, jsii.String("StorageURL"), &awscdk.CfnOutputProps{
		ExportName: jsii.String(n.Export("storage-url")), Description: jsii.String("Address of the data API"), Value: endpoint,
	})
}

// alarms tell of what users see as 500, and of an authorizer that cannot say who
// somebody is. What is refused is nobody's fault here.
func (s *Storage) alarms(p *project) {
	n := p.names
	for _, a := range []struct {
		of string
		alarm
	}{
		{names.StorageAPI, alarm{
			name: n.FunctionAlarm(names.StorageAPI, "5xx"), metric: metric{"AWS/ApiGateway", "5xx", []dimension{{"ApiId", *s.API.Ref()}}}, stat: "Sum", minutes: 3, ofMinutes: 5,
			description: "The data API keeps answering 500 or 503. Read its log, " + n.LogGroup(names.StorageAPI) + ", that of its authorizer, and its access log, " + n.StorageLogGroup() + ".",
		}},
		{names.StorageAuthorizer, alarm{
			name: n.FunctionAlarm(names.StorageAuthorizer, "errors"), metric: functionMetric("Errors", n.Function(names.StorageAuthorizer)), stat: "Sum", minutes: 3, ofMinutes: 5,
			description: "The authorizer of the data API keeps failing, and lets nobody in: it cannot read the keys of sessions, their revocations, or the keys of an issuer. Read its log, " + n.LogGroup(names.StorageAuthorizer) + ".",
		}},
	} {
		a.add(p, constructs.NewConstruct(s.Stack, &a.of))
	}
}
