package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// The programs that are compared: a function that has the standard stack, and
// neither secrets nor idempotency, and a bare one. The folders are the modules'.
var (
	withPenstock = program{pkg: "./functions/trade-allocated"}
	bare         = program{folder: "scripts/bench", pkg: "./bare"}
)

// program is a function's.
type program struct{ folder, pkg string } // folder from the project's root

// build compiles the program into dir as it is for Lambda, see infra/stacks, but
// for a processor of choice, "" for this machine's.
func (p program) build(ctx context.Context, dir, arch string) (path string, err error) {
	root, err := project.Root()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, filepath.Base(p.pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc",
		"-ldflags=-s -w -buildid=", "-o", path, p.pkg)
	cmd.Dir = filepath.Join(root, p.folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if arch != "" {
		cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH="+arch)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", p.pkg, err, out)
	}
	return path, nil
}

// both compiles both programs; remove removes them.
func both(ctx context.Context, arch string) (ours, peer string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "penstock-bench-")
	if err != nil {
		return "", "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if ours, err = withPenstock.build(ctx, dir, arch); err == nil {
		peer, err = bare.build(ctx, dir, arch)
	}
	if err != nil {
		remove()
		return "", "", nil, err
	}
	return ours, peer, remove, nil
}

// binarySize compares how large the programs are.
func binarySize(ctx context.Context, b *bench) error {
	ours, peer, remove, err := both(ctx, "arm64")
	if err != nil {
		return err
	}
	defer remove()
	var megabytes [2]float64
	for i, path := range []string{ours, peer} {
		file, err := os.Stat(path)
		if err != nil {
			return err
		}
		megabytes[i] = float64(file.Size()) / 1e6
	}
	b.report.add(result{Name: "binary_size", Value: megabytes[0], Unit: "MB", Goal: "ratio ≤ 1.3"}.
		against("a bare aws-lambda-go handler; both stripped, for arm64", megabytes[1]))
	return nil
}

// coldStart compares how long the programs take to ask for their first event.
func coldStart(ctx context.Context, b *bench) error {
	ours, peer, remove, err := both(ctx, "")
	if err != nil {
		return err
	}
	defer remove()
	paths := []string{ours, peer}
	api, err := newRuntimeAPI()
	if err != nil {
		return err
	}
	defer api.server.Close()
	var took [2][]time.Duration
	for round := range b.scale.rounds*10 + 1 {
		for i := range paths {
			i = (i + round) % len(paths)
			one, err := api.start(ctx, paths[i])
			if err != nil {
				return err
			}
			if round > 0 { // the first reads the program from the disk
				took[i] = append(took[i], one)
			}
		}
	}
	milliseconds := func(i int) float64 { return quantile(took[i], 0.5).Seconds() * 1000 }
	b.report.add(result{Name: "cold_start", Value: milliseconds(0), Unit: "ms", Goal: "ratio ≤ 1.3"}.
		against("a bare aws-lambda-go handler; process start to first poll", milliseconds(1)))
	return nil
}

// runtimeAPI is as much of Lambda's as a function asks for before its first
// event ("Using the Lambda runtime API", AWS Lambda Developer Guide): it never
// gives one.
type runtimeAPI struct {
	address string
	server  *http.Server
	polled  chan time.Time
}

func newRuntimeAPI() (*runtimeAPI, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	api := &runtimeAPI{address: listener.Addr().String(), polled: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(_ http.ResponseWriter, r *http.Request) {
		api.polled <- time.Now()
		<-r.Context().Done()
	})
	api.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = api.server.Serve(listener) }()
	return api, nil
}

// start runs a program until it asks for its first event, and returns how long
// that took.
func (a *runtimeAPI) start(ctx context.Context, path string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	// What Lambda and the deployment set ("Defined runtime environment
	// variables", AWS Lambda Developer Guide).
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + a.address, "AWS_LAMBDA_FUNCTION_NAME=penstock-bench-function",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "_HANDLER=bootstrap",
		"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench", "AWS_SESSION_TOKEN=bench",
		"PENSTOCK_APP=penstock", "PENSTOCK_ENV=bench", "PENSTOCK_FUNCTION=function",
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case at := <-a.polled:
		cancel()
		<-ended
		return at.Sub(began), nil
	case err := <-ended:
		return 0, errors.Join(fmt.Errorf("%s ended before it asked for an event", filepath.Base(path)), err)
	}
}
