package postgres_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
)

func psql(t *testing.T, dsn, sql string) string {
	t.Helper()
	out, err := exec.Command("psql", dsn, "-qAtc", sql).CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	a, b := postgres.Database(t), postgres.Database(t)
	psql(t, a, "create table t (n int)")
	if got := psql(t, b, "select count(*) from pg_tables where tablename = 't'"); got != "0" {
		t.Errorf("a table of another test is there: %s", got)
	}
}

func TestAKilledServerKeepsWhatCommitted(t *testing.T) {
	postgres.Database(t) // skips where there is none
	s, err := postgres.Start(t.Context(), postgres.Options{Fsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dsn, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	psql(t, dsn, "create table t (n int); insert into t values (7)")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := psql(t, dsn, "select n from t"); got != "7" {
		t.Errorf("got %q", got)
	}
	if got := psql(t, dsn, "show fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	dir, _, _ := strings.Cut(strings.TrimPrefix(dsn, "host="), " ")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}
