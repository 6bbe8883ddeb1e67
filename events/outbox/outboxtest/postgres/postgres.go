// Package postgres starts a real PostgreSQL server for tests, from the binaries
// that are installed on the machine, and needs no driver.
//
//	db, err := sql.Open("pgx", postgres.Database(t))
//
// A server lives in a folder of its own under [os.TempDir], and listens on a
// Unix socket there only. It ends with the process that started it, however
// that ends, and its folder goes with it.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrNotInstalled is what Start answers where there is no PostgreSQL. Its text
// says what to install.
var ErrNotInstalled = errors.New("PostgreSQL is not installed (no initdb and postgres found): install the package postgresql (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql)")

// Installed is an ErrNotInstalled where there is no PostgreSQL.
func Installed() error {
	_, err := binaries()
	return err
}

// Options of a server. The zero value is right for ordinary tests.
type Options struct {
	// Fsync makes a commit survive a crash of the machine, as in production. It
	// is off by default, which is much faster. What committed survives Kill
	// with either.
	Fsync bool
	// Settings are further lines of postgresql.conf, as in
	// {"max_connections": "200"}.
	Settings map[string]string
}

// Server is a running PostgreSQL. It is safe for concurrent use.
type Server struct {
	bin, dir  string
	run       runAs
	databases atomic.Int64

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.Closer // the server runs for as long as this is open
}

// Start makes a database cluster in a new folder and starts its server; it takes
// about two seconds. It is an ErrNotInstalled where the binaries are missing.
// PostgreSQL refuses to run as root: for root, Start runs it as the user
// postgres or nobody.
func Start(ctx context.Context, opts Options) (_ *Server, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	run, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	server := &Server{bin: bin, dir: dir, run: run}
	defer func() {
		if err != nil {
			_ = server.Close()
		}
	}()
	if run.credential != nil {
		if err := os.Chown(dir, int(run.credential.Uid), int(run.credential.Gid)); err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
	}
	if err := server.tool(ctx, "initdb", "-D", server.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return nil, err
	}
	conf, err := os.OpenFile(filepath.Join(server.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	fmt.Fprintf(conf, "\nlisten_addresses = ''\nunix_socket_directories = '%s'\nmax_connections = 200\n", dir)
	if !opts.Fsync {
		fmt.Fprint(conf, "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n")
	}
	for name, value := range opts.Settings {
		fmt.Fprintf(conf, "%s = '%s'\n", name, value)
	}
	if err := conf.Close(); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if err := server.Start(ctx); err != nil {
		return nil, err
	}
	return server, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// supervise runs the server ($1…) until its own input ends, which happens when
// the process that started it ends, or the server itself does. A clean end of
// the input that comes with the word "keep" leaves the folder ($0).
const supervise = `
"$@" & server=$!
word=
read word
kill -INT $server 2>/dev/null
wait $server
[ "$word" = keep ] || rm -rf "$0"
`

// Start starts the server again, after Kill.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("postgres: the server runs already")
	}
	for {
		log, err := s.start(ctx)
		switch {
		case err == nil:
			return nil
		case strings.Contains(log, "pre-existing shared memory block") && ctx.Err() == nil:
			// Some process of the killed server has not noticed its end yet.
		default:
			return fmt.Errorf("postgres: the server does not start: %w\n%s", err, log)
		}
	}
}

// start starts the server once, and returns its log if it does not come up.
func (s *Server) start(ctx context.Context) (text string, err error) {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd := exec.Command("sh", "-c", supervise, s.dir, filepath.Join(s.bin, "postgres"), "-D", s.data())
	// A group of its own, so that Ctrl-C at the terminal leaves it to Close.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.run.credential}
	cmd.Dir, cmd.Env = s.dir, s.run.env
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	s.cmd, s.stdin = cmd, stdin
	limit := time.After(startTimeout)
	for {
		if err = s.tool(ctx, "psql", "-h", s.dir, "-U", "postgres", "-d", "postgres", "-qAtc", "select 1"); err == nil {
			return "", nil
		}
		out, _ := os.ReadFile(log.Name())
		text = string(out)
		again := time.NewTimer(25 * time.Millisecond)
		select {
		case <-again.C:
			if !strings.Contains(text, "HINT:  Terminate any old server processes") {
				continue
			}
		case <-limit:
		case <-ctx.Done():
			err = ctx.Err()
		}
		s.stop("keep")
		return text, err
	}
}

// startTimeout bounds a start, recovery after a Kill included.
const startTimeout = time.Minute

// Kill ends the server at once, as kill -9 does. Start starts it again, and it
// recovers what had committed.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return errors.New("postgres: the server does not run")
	}
	pidFile, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	line, _, _ := strings.Cut(string(pidFile), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return fmt.Errorf("postgres: postmaster.pid: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	s.stop("keep")
	return nil
}

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop("")
	return os.RemoveAll(s.dir)
}

func (s *Server) stop(word string) {
	if s.cmd == nil {
		return
	}
	_, _ = io.WriteString(s.stdin.(io.Writer), word+"\n")
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// NewDatabase makes an empty database and returns how to connect to it, in the
// form that pgx, lib/pq and psql read: "host=… user=postgres dbname=…".
func (s *Server) NewDatabase(ctx context.Context) (dsn string, err error) {
	name := fmt.Sprint("test", s.databases.Add(1))
	if err := s.tool(ctx, "psql", "-h", s.dir, "-U", "postgres", "-d", "postgres", "-qc", "create database "+name); err != nil {
		return "", err
	}
	return fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable", s.dir, name), nil
}

// tool runs one of PostgreSQL's programs.
func (s *Server) tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.run.credential}
	cmd.Dir, cmd.Env = s.dir, s.run.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("postgres: %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// binaries finds the folder with PostgreSQL's programs; of several versions the
// newest.
func binaries() (string, error) {
	var folders []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",            // Debian
		"/usr/pgsql-*/bin",                     // PostgreSQL's own RPMs
		"/opt/homebrew/opt/postgresql*/bin",    // Homebrew on Apple's processors
		"/usr/local/opt/postgresql*/bin",       // Homebrew on Intel's
		"/usr/local/pgsql/bin",                 // from source
		"/Applications/Postgres.app/*/*/*/bin", // Postgres.app
	} {
		found, _ := filepath.Glob(pattern)
		slices.Reverse(found)
		folders = append(folders, found...)
	}
	for _, folder := range folders {
		if complete(folder) {
			return folder, nil
		}
	}
	return "", ErrNotInstalled
}

func complete(folder string) bool {
	for _, name := range []string{"initdb", "postgres", "psql"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}

// runAs is the user that PostgreSQL runs as; a nil credential is this process's.
type runAs struct {
	credential *syscall.Credential
	env        []string
}

func unprivileged() (runAs, error) {
	env := append(os.Environ(), "LC_ALL=C")
	// The environment's own idea of a server must not reach our programs.
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, "PG") })
	if os.Geteuid() != 0 {
		return runAs{env: env}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return runAs{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, env}, nil
		}
	}
	return runAs{}, errors.New("postgres: PostgreSQL refuses to run as root, and this machine has no user postgres or nobody to run it as")
}
