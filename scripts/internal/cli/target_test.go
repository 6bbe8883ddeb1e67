package cli

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// identity answers GetCallerIdentity as AWS does, for one account.
type identity string

func (account identity) Do(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(strings.NewReader(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
			<Arn>arn:aws:iam::` + string(account) + `:user/ada</Arn><UserId>U</UserId><Account>` + string(account) + `</Account>
			</GetCallerIdentityResult></GetCallerIdentityResponse>`)),
	}, nil
}

const secretKey = "a-secret-access-key"

func caller(account, endpoint string) aws.Config {
	cfg := aws.Config{
		Region: "eu-west-1", HTTPClient: identity(account),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", secretKey, ""),
	}
	if endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return cfg
}

// withoutEndpoints removes the settings of whoever runs the tests.
func withoutEndpoints(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
}

func TestGuardRefusesAnotherAccountOrEndpointAndSaysWhatItSaw(t *testing.T) {
	withoutEndpoints(t)
	const mine, other, here = "111111111111", "222222222222", "http://127.0.0.1:4566"
	prod := manifest.Environment{Name: "prod", Account: mine}
	local := manifest.Environment{Name: "local", Account: mine, Endpoint: here}
	for _, c := range []struct {
		env               manifest.Environment
		account, endpoint string
		want              string // empty: allowed
	}{
		{prod, mine, "", ""},
		{manifest.Environment{Name: "dev"}, other, "", ""}, // dev has no account of its own
		{prod, other, "", `environment "prod" is account 111111111111, and the caller is arn:aws:iam::222222222222:user/ada of account 222222222222: choose another AWS_PROFILE`},
		{prod, mine, here, `environment "prod" is on AWS, and AWS_ENDPOINT_URL is http://127.0.0.1:4566: unset it`},
		{local, mine, here, ""},
		{local, mine, "http://localhost:1", ""},
		{local, mine, "http://[::1]:1", ""},
		{local, other, here, "is account 111111111111, and the caller is"},
		{local, mine, "https://sqs.eu-west-1.amazonaws.com", `environment "local" is on this machine, and the endpoint is "https://sqs`},
		{local, mine, "http://127.0.0.1.example.com", `is on this machine`},
		{local, mine, "", `is on this machine`},
	} {
		target := &Target{Env: c.env, AWS: caller(c.account, c.endpoint)}
		err := target.Guard(t.Context())
		var refused Refused
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s, account %s, endpoint %q: %v", c.env.Name, c.account, c.endpoint, err)
		case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s, account %s, endpoint %q: %v; want a refusal that says %s", c.env.Name, c.account, c.endpoint, err, c.want)
		}
	}
}

func TestGuardSeesTheEndpointOfOneServiceAlone(t *testing.T) {
	withoutEndpoints(t)
	prod := &Target{Env: manifest.Environment{Name: "prod"}, AWS: caller("1", "")}
	local := &Target{Env: manifest.Environment{Name: "local", Endpoint: "http://127.0.0.1:1"}, AWS: caller("1", "http://127.0.0.1:1")}

	t.Setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
	if err := prod.Guard(t.Context()); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_SQS is http://127.0.0.1:9") {
		t.Errorf("prod with a service on this machine: %v", err)
	}
	if err := local.Guard(t.Context()); err != nil {
		t.Errorf("local with a service on this machine: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", "https://example.com")
	if err := local.Guard(t.Context()); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_SQS is https://example.com") {
		t.Errorf("local with a service elsewhere: %v", err)
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
	if err := local.Guard(t.Context()); err != nil {
		t.Errorf("a setting that the SDK ignores: %v", err)
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")

	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[profile ada]\nregion = eu-west-1\nservices = mine\n[services mine]\nsqs =\n  endpoint_url = http://127.0.0.1:9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_PROFILE", "ada")
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prod.AWS.ConfigSources = cfg.ConfigSources
	if err := prod.Guard(t.Context()); err == nil || !strings.Contains(err.Error(), `endpoint_url of sqs in the services of AWS profile "ada" is http://127.0.0.1:9`) {
		t.Errorf("prod with a service of the profile on this machine: %v", err)
	}
}

func TestDebugTellsOfEachCallAndOfNoSecret(t *testing.T) {
	var out bytes.Buffer
	cfg := caller("111111111111", "")
	var requests requestCount
	traceCalls(&cfg, &out, &requests)
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "debug: STS GetCallerIdentity ") || !strings.HasSuffix(got, " ok\n") || strings.Contains(got, secretKey) {
		t.Errorf("told %q", got)
	}
	for range 2 {
		if _, err := sts.NewFromConfig(cfg).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{}); err == nil {
			t.Fatal("an answer that is none of the call's was taken")
		}
	}
	out.Reset()
	requests.tell(&out)
	if want := "debug: 3 requests to AWS: 2 STS GetSessionToken, 1 STS GetCallerIdentity\n"; out.String() != want {
		t.Errorf("told %q, want %q", &out, want)
	}
}

func TestWithoutDebugNothingIsTold(t *testing.T) {
	var out bytes.Buffer
	new(requestCount).tell(&out)
	if out.Len() > 0 {
		t.Errorf("told %q", &out)
	}
}
