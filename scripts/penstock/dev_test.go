package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

// dev is a running `penstock dev`, in a process of its own.
type dev struct {
	*devtest.Dev
	dataDir string
	aws     aws.Config
}

// startDev starts `penstock dev` and waits until it is ready.
func startDev(t *testing.T, dataDir string, flags ...string) *dev {
	t.Helper()
	cmd := exec.Command("penstock", append([]string{"dev", "--port", "0", "--data-dir", dataDir}, flags...)...)
	cmd.Dir = projectRoot(t)
	cmd.Stderr = os.Stderr
	secretstest.SearchAtEnd(t, filepath.Join(dataDir, "logs"))
	d, err := devtest.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Kill)
	t.Cleanup(func() { recognisable(t, d) })
	t.Log(d.Output)
	return &dev{d, dataDir, d.AWS()}
}

// recognisable fails the test if an environment, which may have ended, keeps a
// value that a search of outputs and logs would not find.
func recognisable(t testing.TB, d *devtest.Dev) {
	t.Helper()
	ctx := context.Background()
	client := secretsmanager.NewFromConfig(d.AWS(), func(o *secretsmanager.Options) { o.RetryMaxAttempts = 1 })
	kept, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	for _, one := range kept.SecretList {
		got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: one.ARN})
		var none *smtypes.ResourceNotFoundException // it has no value yet
		if errors.As(err, &none) {
			continue
		}
		if err != nil || !secretstest.IsValue(aws.ToString(got.SecretString)+string(got.SecretBinary)) {
			t.Errorf("secret %s: its value is not made by secretstest.Value, so that no search would find it (%v)", *one.Name, err)
		}
	}
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
func (d *dev) fees(t *testing.T) map[string]int { t.Helper(); return fees(t, d.aws) }

func fees(t *testing.T, cfg aws.Config) map[string]int {
	t.Helper()
	out := map[string]int{}
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(cfg), &dynamodb.ScanInput{TableName: aws.String("penstock-local-ledger")})
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
			if !strings.Contains(d.Output, "penstock secrets create core-api-token") {
				t.Errorf("the missing secret is not told:\n%s", d.Output)
			}
			_, err = secretsmanager.NewFromConfig(d.aws).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
				Name: aws.String("penstock/local/core-api-token"), SecretString: aws.String(secretstest.Value("token")),
			})
			if err != nil {
				t.Fatal(err)
			}
			publisher := eventbus.New(eventbridge.NewFromConfig(d.aws), "penstock-local")
			event := events.Stamp(t.Context(), savings.SampleWithdrawal())
			if err := publisher.Publish(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the withdrawal's fee is in the ledger", func() bool { return d.fees(t)[event.ID] == 1 })
			if len(d.children(t)) == 0 {
				t.Fatal("no function process was found: the check below would prove nothing")
			}
			if err := d.Signal(s); err != nil {
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
