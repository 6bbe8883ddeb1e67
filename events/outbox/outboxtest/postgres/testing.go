package postgres

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared is the one server of a test process, which ends with the process.
var shared = sync.OnceValues(func() (*Server, error) { return Start(context.Background(), Options{}) })

// Database makes an empty database for one test, on a server that the tests of
// a process share, and returns how to connect to it (see
// [Server.NewDatabase]). Where PostgreSQL is not installed it skips the test,
// saying what to install.
func Database(t testing.TB) (dsn string) {
	t.Helper()
	s, err := shared()
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dsn, err = s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Main is for the TestMain of packages whose examples need a server: where
// PostgreSQL is not installed it says so, and skips the examples.
func Main(m *testing.M) {
	flag.Parse()
	if err := Installed(); err != nil {
		fmt.Fprintln(os.Stderr, "examples are skipped:", err)
		_ = flag.Set("test.skip", "^Example")
	}
	os.Exit(m.Run())
}

// Example makes an empty database for an example, on the server that the tests
// of a process share. It panics if it cannot.
func Example() (dsn string) {
	s, err := shared()
	if err != nil {
		panic(err)
	}
	dsn, err = s.NewDatabase(context.Background())
	if err != nil {
		panic(err)
	}
	return dsn
}
