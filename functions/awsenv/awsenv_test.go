package awsenv_test

import (
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/functions/awsenv"
)

func lambdaSets(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, env[name])
	}
}

func TestConfigIsWhatLambdaSets(t *testing.T) {
	lambdaSets(t, map[string]string{
		"AWS_REGION":            "eu-west-1",
		"AWS_ACCESS_KEY_ID":     "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN":     "token",
		"AWS_ENDPOINT_URL":      "http://127.0.0.1:4566",
	})
	cfg, err := awsenv.Config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Region != "eu-west-1" {
		t.Errorf("region is %q", cfg.Region)
	}
	if cfg.BaseEndpoint == nil || *cfg.BaseEndpoint != "http://127.0.0.1:4566" {
		t.Errorf("endpoint is %v", cfg.BaseEndpoint)
	}
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessKeyID != "AKIDEXAMPLE" || got.SecretAccessKey != "secret" || got.SessionToken != "token" {
		t.Errorf("credentials are %+v", got)
	}
}

func TestConfigNeedsNeitherASessionTokenNorAnEndpoint(t *testing.T) {
	lambdaSets(t, map[string]string{
		"AWS_REGION":            "eu-west-1",
		"AWS_ACCESS_KEY_ID":     "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "secret",
	})
	cfg, err := awsenv.Config()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.BaseEndpoint != nil {
		t.Errorf("endpoint is %q, want AWS's own", *cfg.BaseEndpoint)
	}
}

func TestConfigNamesEveryMissingVariable(t *testing.T) {
	lambdaSets(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE"})
	_, err := awsenv.Config()
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION, AWS_SECRET_ACCESS_KEY not set") {
		t.Errorf("got %v", err)
	}
}
