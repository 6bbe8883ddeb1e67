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

// sessionAWSTo is the command `awsto FILE [arg]…`: aws, with what it prints in a
// file, and not in the output of the tests: a secret's value.
func sessionAWSTo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: awsto FILE [arg]...")
	}
	file := ts.MkAbs(args[0])
	ts.Setenv("AWS_TO", file)
	ts.Check(ts.Exec("sh", append([]string{"-c", `exec "$@" >"$AWS_TO"`, "sh", "aws"}, awsArguments(ts, args[1:])...)...))
}

// runAWS runs the AWS CLI.
func runAWS(ts *testscript.TestScript, args []string) error {
	return ts.Exec("aws", awsArguments(ts, args)...)
}

// awsArguments returns what to run the AWS CLI with, and sees to it that it runs
// with no configuration of whoever runs the tests.
func awsArguments(ts *testscript.TestScript, args []string) []string {
	for name, value := range map[string]string{
		"AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
		"AWS_CONFIG_FILE": ts.MkAbs("no-config"), "AWS_SHARED_CREDENTIALS_FILE": ts.MkAbs("no-credentials"),
	} {
		ts.Setenv(name, value)
	}
	if !awsReadsEndpoint() {
		args = append([]string{"--endpoint-url", ts.Getenv("AWS_ENDPOINT_URL")}, args...)
	}
	return args
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
