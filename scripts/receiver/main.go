// Command receiver is an endpoint of a function on HTTP, in full, to read and to
// copy: it verifies the signature of each delivery, checks the shared secret, knows
// a repetition, and reads the row that an event is about from the data API, by the
// function session that came with it. It prints a line for each event.
//
// It uses nothing of Penstock's: what it knows, an endpoint in any language can.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	file := flags.String("secret-file", "", "the `file` with the secret, as functions create-http has written it; while it is rotated, with both")
	api := flags.String("api", "", "the `address` of the data API")
	port := flags.Int("port", 8181, "the loopback `port` to listen on; 0: any free one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *file == "" || *api == "" || flags.NArg() > 0 {
		return errors.New("--secret-file and --api are required, and nothing but flags")
	}
	secrets, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	deliveries, err := newReceiver(string(secrets), *api, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: deliveries, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: answerWithin, WriteTimeout: 2 * answerWithin,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	return server.Shutdown(ending)
}
