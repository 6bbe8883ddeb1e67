package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// bus is the local environment's bus, which every suite publishes to.
const bus = "penstock-local"

// endpoint is where events are published to, by ours and by the peer.
type endpoint struct {
	suffix string // of the names of results that are taken at it
	config aws.Config
}

// farAway is about what PutEvents takes within a region.
const farAway = 5 * time.Millisecond

// buses are the endpoints of every comparison: the local environment, which
// has each event on disk before it acknowledges it, and one that is far away.
func (b *bench) buses(ctx context.Context) ([]endpoint, error) {
	if b.endpoints != nil {
		return b.endpoints, nil
	}
	local, stop, err := b.environment(ctx)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, stop)
	far, stop, err := distant(farAway)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, stop)
	b.endpoints = []endpoint{{"", local}, {"_5ms", far}}
	return b.endpoints, nil
}

// environment starts `penstock dev` of this project on data of its own. The
// returned function ends it.
func (b *bench) environment(ctx context.Context) (aws.Config, func(), error) {
	root, err := project.Root()
	if err != nil {
		return aws.Config{}, nil, err
	}
	dir, err := b.tempDir()
	if err != nil {
		return aws.Config{}, nil, err
	}
	dev, err := b.dev(ctx, root, dir)
	if err != nil {
		return aws.Config{}, nil, err
	}
	return dev.AWS(), func() { _ = dev.Signal(os.Interrupt) }, nil
}

// distant serves PutEvents and nothing else, accepts everything, keeps nothing,
// and answers after a fixed time, as a service at the other end of a network
// does: it shows what a client makes of waiting, whatever the server costs.
func distant(latency time.Duration) (aws.Config, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return aws.Config{}, nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		answered := time.After(latency)
		n := bytes.Count(body, []byte(`"DetailType":`))
		answer := struct {
			FailedEntryCount int
			Entries          []struct{ EventId string }
		}{Entries: make([]struct{ EventId string }, n)}
		for i := range answer.Entries {
			answer.Entries[i].EventId = "00000000-0000-0000-0000-000000000000"
		}
		<-answered
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(answer)
	}), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return aws.Config{
		BaseEndpoint: aws.String("http://" + listener.Addr().String()),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIABENCH", "bench", ""),
	}, func() { _ = server.Close() }, nil
}
