package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// dev is a running `penstock dev`, in a process of its own.
type dev struct {
	cmd     *exec.Cmd
	dataDir string
	aws     aws.Config
	output  strings.Builder
}

// startDev starts `penstock dev` and waits until it is ready.
func startDev(t *testing.T, dataDir string, flags ...string) *dev {
	t.Helper()
	d := &dev{dataDir: dataDir}
	d.cmd = exec.Command("penstock", append([]string{"dev", "--port", "0", "--data-dir", dataDir}, flags...)...)
	d.cmd.Dir = projectRoot(t)
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill(); _ = d.cmd.Wait() })
	exports := map[string]string{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(&d.output, lines.Text())
		if m := regexp.MustCompile(`export (\w+)=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			exports[m[1]] = m[2]
		}
		if strings.Contains(lines.Text(), "ready") {
			break
		}
	}
	if !strings.Contains(d.output.String(), "ready") {
		t.Fatalf("penstock dev ended before it was ready:\n%s", d.output.String())
	}
	go func() { // what follows must be read, or the process would block
		for lines.Scan() {
		}
	}()
	d.aws = aws.Config{
		BaseEndpoint: aws.String(exports["AWS_ENDPOINT_URL"]),
		Region:       exports["AWS_REGION"],
		Credentials:  credentials.NewStaticCredentialsProvider(exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"], ""),
	}
	return d
}

// signal ends the process and returns how it ended.
func (d *dev) signal(s os.Signal) error {
	if err := d.cmd.Process.Signal(s); err != nil {
		return err
	}
	return d.cmd.Wait()
}

// children are the function processes of the environment that are alive.
func (d *dev) children(t *testing.T) []string {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, exe := range processes {
		if target, err := os.Readlink(exe); err == nil && strings.HasPrefix(target, d.dataDir) {
			out = append(out, target)
		}
	}
	return out
}

// eventually waits for a condition, as long as a slow machine may need.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// fees counts the fees in the ledger for each withdrawal's event id.
func (d *dev) fees(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(d.aws), &dynamodb.ScanInput{TableName: aws.String("penstock-local-ledger")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			if id, ok := item["withdrawalId"].(*types.AttributeValueMemberS); ok {
				out[id.Value]++
			}
		}
	}
	return out
}

func TestDevServesAWSUntilItIsToldToStopAndThenEndsItsFunctions(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			d := startDev(t, t.TempDir())
			who, err := sts.NewFromConfig(d.aws).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			if err != nil || *who.Account != "000000000000" {
				t.Fatal(who, err)
			}
			publisher := events.NewBusPublisher(eventbridge.NewFromConfig(d.aws), "penstock-local")
			event := events.Stamp(t.Context(), savings.SampleWithdrawal())
			if err := publisher.Publish(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the withdrawal's fee is in the ledger", func() bool { return d.fees(t)[event.ID] == 1 })
			if len(d.children(t)) == 0 {
				t.Fatal("no function process was found: the check below would prove nothing")
			}
			if err := d.signal(s); err != nil {
				t.Fatalf("ended with %v", err)
			}
			if left := d.children(t); len(left) > 0 {
				t.Fatalf("outlived it: %v", left)
			}
		})
	}
}

func TestATakenPortIsAnErrorThatOffersTheFlag(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	cmd := exec.Command("penstock", "dev", "--port", fmt.Sprint(port), "--data-dir", t.TempDir())
	cmd.Dir = projectRoot(t)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != cli.ExitMisuse || !strings.Contains(string(out), fmt.Sprintf("port %d is taken: give another with --port", port)) {
		t.Fatalf("%v: %s", err, out)
	}
}
