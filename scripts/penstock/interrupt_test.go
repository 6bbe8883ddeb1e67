package main

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// running are the command lines of the processes whose TMPDIR is a folder, or one
// inside of it: those that were started with it, and all below them.
func running(t *testing.T, temp string) (out []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		environment, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(environment), "\x00TMPDIR="+temp) {
			continue // it has ended, or is another's
		}
		if line, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline")); err == nil && len(line) > 0 {
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}

// files are the contents of a project's files, but for what dev keeps there.
func (s *shop) files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Name() == ".penstock" {
			return fs.SkipDir
		}
		if e.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestASynthesisThatIsInterruptedLeavesNothingRunningAndNothingByHalf(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: a synthesis needs Node, and there is no node on the PATH")
	}
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("skipped: what is left running is found in /proc, as Linux has it")
	}
	node := func(line string) bool { return strings.Contains(line, "node") && strings.Contains(line, "jsii") }
	build := func(line string) bool {
		return strings.HasPrefix(line, "go build") && strings.Contains(line, "cdk/app")
	}
	for _, c := range []struct {
		name   string
		during func(commandLine string) bool
		end    func(*shop) error
	}{
		{"by Ctrl-C while the app is compiled", build, func(s *shop) error { return s.dev.CtrlC() }},
		{"by Ctrl-C while the CDK runs in Node", node, func(s *shop) error { return s.dev.CtrlC() }},
		{"by SIGTERM, to dev alone, while the CDK runs in Node", node, func(s *shop) error { return s.dev.Signal(syscall.SIGTERM) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			temp := t.TempDir()
			s := func() *shop {
				// Everything below dev gets this TMPDIR: by it what is left is found.
				before := os.Getenv("TMPDIR")
				t.Setenv("TMPDIR", temp)
				defer os.Setenv("TMPDIR", before)
				return startShop(t, "")
			}()
			db := dynamodb.NewFromConfig(s.aws)
			item := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "kept"}}
			if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("penstock-local-accounts"), Item: item}); err != nil {
				t.Fatal(err)
			}
			timeout := s.timeout(t)
			s.edit(t, "functions/trade-allocated/function.json", `"subscriptions"`, `"timeoutSeconds": 20, "subscriptions"`)
			files := s.files(t)
			s.screen.shows(t, "synthesizing, since functions/trade-allocated/function.json changed")
			eventually(t, "it is "+c.name[strings.Index(c.name, "while"):], func() bool { return slices.ContainsFunc(running(t, temp), c.during) })

			if err := c.end(s); err != nil {
				t.Fatalf("ended with %v", err)
			}
			if strings.Contains(s.screen.String(), "synthesized in") {
				t.Fatal("the synthesis was not interrupted: it had ended")
			}
			eventually(t, "nothing is left running", func() bool { return len(running(t, temp)) == 0 })
			left, err := os.ReadDir(temp)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
			if !maps.Equal(s.files(t), files) {
				t.Error("the project's files are not what they were")
			}

			// The next start finds data and templates whole.
			s.start(t, "")
			if got := s.timeout(t); got != timeout {
				t.Errorf("the function's timeout is %d s, in the templates %d", got, timeout)
			}
			got, err := dynamodb.NewFromConfig(s.aws).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("penstock-local-accounts"), Key: item})
			if err != nil || len(got.Item) == 0 {
				t.Errorf("the item is gone (%v)", err)
			}
		})
	}
}
