package outboxcrash

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
)

// start starts the bus, the database and the parts, and says what of it can be
// killed.
func (r *run) start(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "penstock-crash-")
	if err != nil {
		return err
	}
	r.dir = dir
	r.closers = append(r.closers, func() { _ = os.RemoveAll(dir) })
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.url = "http://" + listener.Addr().String()
	server := &http.Server{Handler: r.bus, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	r.closers = append(r.closers, func() { _ = server.Close() })

	switch r.Backend {
	case SQLite:
		err = r.startSQLite(ctx)
	case Postgres:
		err = r.startPostgres(ctx)
	case DynamoDB:
		err = r.startDynamoDB(ctx)
	default:
		err = fmt.Errorf("no backend %q: want one of %q", r.Backend, Backends)
	}
	return err
}

func (r *run) startSQLite(ctx context.Context) error {
	spec := Spec{Where: filepath.Join(r.dir, "db")}
	if err := r.openSQLLedger(ctx, spec); err != nil {
		return err
	}
	return r.startParts(spec, spec, spec)
}

func (r *run) startPostgres(ctx context.Context) error {
	server, err := postgres.Start(ctx, postgres.Options{Fsync: true})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() { _ = server.Close() })
	dsn, err := server.NewDatabase(ctx)
	if err != nil {
		return err
	}
	bySQL, byPgx := Spec{Where: dsn, API: sqlAPI}, Spec{Where: dsn, API: pgxAPI}
	if err := r.openSQLLedger(ctx, bySQL); err != nil {
		return err
	}
	r.targets = append(r.targets, target{"postgres", 2, func() <-chan struct{} { return r.parts[writerPart].beat },
		func(ctx context.Context) (bool, error) {
			if err := server.Kill(); err != nil {
				return false, err
			}
			return true, restart(ctx, server)
		}})
	return r.startParts(Spec{Where: dsn}, bySQL, byPgx)
}

// restart starts a server that was killed. What is left of it holds its shared
// memory for a moment; a server that finds it in use gives up, and is started
// once more, as systemd would.
func restart(ctx context.Context, server *postgres.Server) error {
	pause(ctx, 200*time.Millisecond)
	for attempt := 1; ; attempt++ {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := server.Start(try)
		cancel()
		if err == nil || attempt == 5 || ctx.Err() != nil {
			return err
		}
	}
}

func (r *run) openSQLLedger(ctx context.Context, spec Spec) error {
	spec.Backend = r.Backend
	l, err := newSQLLedger(ctx, spec)
	if err != nil {
		return err
	}
	r.ledger = l
	r.closers = append(r.closers, l.close)
	return nil
}

func (r *run) startDynamoDB(ctx context.Context) error {
	spec := Spec{Part: environmentPart, Where: filepath.Join(r.dir, "environment")}
	r.bus.setUpstream("")
	if err := r.startPart(environmentPart, spec); err != nil {
		return err
	}
	if err := r.awaitEnvironment(ctx); err != nil {
		return err
	}
	spec.Bus = r.url
	r.ledger = newDynamoLedger(spec)
	environment := func() *process { return r.parts[environmentPart] }
	r.targets = append(r.targets,
		target{environmentPart, 2, func() <-chan struct{} { return r.bus.beat }, func(ctx context.Context) (bool, error) {
			if err := environment().kill(); err != nil {
				return false, err
			}
			r.bus.setUpstream("")
			if err := r.startPart(environmentPart, spec); err != nil {
				return false, err
			}
			return true, r.awaitEnvironment(ctx)
		}},
		target{relayPart, 4, func() <-chan struct{} { return r.bus.beat }, func(ctx context.Context) (bool, error) {
			return killRelayProgram(ctx, environment().cmd.Process.Pid)
		}},
	)
	return r.startParts(Spec{})
}

// awaitEnvironment waits until the environment is ready.
func (r *run) awaitEnvironment(ctx context.Context) error {
	p := r.parts[environmentPart]
	select {
	case url := <-r.upstream:
		r.bus.setUpstream(url)
		return nil
	case <-p.done:
		return p.endedByItself()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startParts starts the writer and the relays.
func (r *run) startParts(writer Spec, relays ...Spec) error {
	writer.Part = writerPart
	if r.Fault == PublishesBeforeCommit {
		writer.Fault = r.Fault
	}
	if err := r.killable(writerPart, 4, func() Spec {
		writer.Seed = r.random.Uint64()
		if r.Backend == Postgres {
			writer.API = []string{sqlAPI, pgxAPI}[r.random.IntN(2)]
		}
		return writer
	}); err != nil {
		return err
	}
	for i, relay := range relays {
		relay.Part = relayPart
		if r.Fault != PublishesBeforeCommit {
			relay.Fault = r.Fault
		}
		if err := r.killable(fmt.Sprint("relay ", i+1), 3, func() Spec { return relay }); err != nil {
			return err
		}
	}
	return nil
}

// killable starts a part, which is a target.
func (r *run) killable(name string, weight int, spec func() Spec) error {
	r.targets = append(r.targets, target{name, weight, func() <-chan struct{} { return r.parts[name].beat },
		func(context.Context) (bool, error) {
			if err := r.parts[name].kill(); err != nil {
				return false, err
			}
			return true, r.startPart(name, spec())
		}})
	return r.startPart(name, spec())
}

func (r *run) startPart(name string, spec Spec) error {
	spec.Backend, spec.Bus = r.Backend, r.url
	p, err := startProcess(name, r.Part(spec.text()), r.hear)
	if err != nil {
		return err
	}
	r.parts[name] = p
	return nil
}
