package main

import (
	"os/exec"
	"regexp"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// sessionAWS is the command `[!] aws [arg]…`: it runs the real AWS CLI against
// the environment that `dev` started.
func sessionAWS(ts *testscript.TestScript, neg bool, args []string) {
	err := runAWS(ts, args)
	if neg && err == nil {
		ts.Fatalf("unexpected success: the AWS CLI was expected to fail")
	}
	if !neg {
		ts.Check(err)
	}
}

// runAWS runs the AWS CLI with no configuration of whoever runs the tests.
func runAWS(ts *testscript.TestScript, args []string) error {
	for name, value := range map[string]string{
		"AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
		"AWS_CONFIG_FILE": ts.MkAbs("no-config"), "AWS_SHARED_CREDENTIALS_FILE": ts.MkAbs("no-credentials"),
	} {
		ts.Setenv(name, value)
	}
	if !awsReadsEndpoint() {
		args = append([]string{"--endpoint-url", ts.Getenv("AWS_ENDPOINT_URL")}, args...)
	}
	return ts.Exec("aws", args...)
}

var awsVersion = regexp.MustCompile(`^aws-cli/2\.(\d+)`)

// awsReadsEndpoint reports whether the AWS CLI goes by AWS_ENDPOINT_URL. Version
// 2 does since 2.13 (Debian 12's is older); version 1 does, but not for SQS.
var awsReadsEndpoint = sync.OnceValue(func() bool {
	out, _ := exec.Command("aws", "--version").CombinedOutput()
	m := awsVersion.FindSubmatch(out)
	if m == nil {
		return false
	}
	minor, _ := strconv.Atoi(string(m[1]))
	return minor >= 13
})
