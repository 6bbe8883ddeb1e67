package outboxsql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/penstock-dev/penstock/events/internal/outboxtables"
)

// SQL is the script that makes the outbox's tables with their default names, for
// whoever keeps migrations in files. [Outbox.SQL] has an outbox's own names.
func SQL(dialect Dialect) string { return New(dialect, Config{}).SQL() }

// SQL is the script that makes the outbox's tables.
func (o *Outbox) SQL() string {
	if o.dialect == PostgreSQL {
		return o.tables.PostgresSQL()
	}
	return o.tables.SQLiteSQL()
}

// Migrate makes the outbox's tables, or brings them to the version that this
// Penstock uses. It refuses tables of a newer one. Processes that start at once
// may all call it; where there is nothing to do it changes nothing.
func (o *Outbox) Migrate(ctx context.Context, db *sql.DB) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("outboxsql: migrating: %w", err)
	}
	defer conn.Close()
	exec := func(statement string) {
		if err == nil {
			_, err = conn.ExecContext(ctx, statement)
		}
	}
	// One process at a time; the others then find the work done.
	begin, lock := "BEGIN", fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", o.tables.LockKey()+1)
	if o.dialect == SQLite {
		begin, lock = "BEGIN IMMEDIATE", ""
	}
	exec(begin)
	if err != nil {
		return fmt.Errorf("outboxsql: migrating: %w", err)
	}
	if lock != "" {
		exec(lock)
	}
	version := 0
	if err == nil {
		version, err = o.version(ctx, conn)
	}
	switch {
	case err != nil:
	case version > outboxtables.Version:
		err = fmt.Errorf("the tables %s have version %d, and this Penstock knows %d: upgrade github.com/penstock-dev/penstock",
			o.tables.Fill("penstock_outbox"), version, outboxtables.Version)
	case version < outboxtables.Version:
		for _, statement := range outboxtables.Statements(o.SQL()) {
			exec(statement)
		}
	}
	exec("COMMIT")
	if err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return fmt.Errorf("outboxsql: migrating: %w", err)
	}
	return nil
}

// version is 0 where there are no tables.
func (o *Outbox) version(ctx context.Context, conn *sql.Conn) (version int, err error) {
	table := o.tables.Fill("penstock_outbox_version")
	query := "SELECT to_regclass('" + table + "') IS NOT NULL"
	if o.dialect == SQLite {
		query = "SELECT count(*) > 0 FROM sqlite_master WHERE name = '" + table + "'"
	}
	var exists bool
	if err := conn.QueryRowContext(ctx, query).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = conn.QueryRowContext(ctx, "SELECT max(version) FROM "+table).Scan(&version)
	return version, err
}
