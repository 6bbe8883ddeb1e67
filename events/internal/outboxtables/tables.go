// Package outboxtables is what the SQL outboxes share: the tables, and what
// their rows mean.
package outboxtables

import (
	_ "embed"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
)

// Version is the version of the tables that this Penstock makes and uses.
const Version = 1

// DefaultPrefix is what the tables' names begin with.
const DefaultPrefix = "penstock_"

var (
	//go:embed postgres.sql
	postgresSQL string
	//go:embed sqlite.sql
	sqliteSQL string
)

// Tables are the tables of one outbox.
type Tables struct{ schema, prefix string }

// A name has at most 63 bytes in PostgreSQL ("Identifiers and Key Words"), and
// the longest suffix has 23.
var validPrefix = regexp.MustCompile(`^(?:([a-z_][a-z0-9_]{0,62})\.)?([a-z_][a-z0-9_]{0,39})$`)

// New returns the tables whose names begin with prefix, which may name a schema
// too, as in "shop.penstock_". Empty is DefaultPrefix.
func New(prefix string) (Tables, error) {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	m := validPrefix.FindStringSubmatch(prefix)
	if m == nil {
		return Tables{}, fmt.Errorf("table prefix %q: want at most 40 of a-z, 0-9 and _, and a schema before it if you like, as in shop.penstock_", prefix)
	}
	return Tables{m[1], m[2]}, nil
}

// Schema is the schema that the tables are in, empty for the connection's own.
func (t Tables) Schema() string { return t.schema }

// Fill puts the tables' names into SQL that is written with the default names.
func (t Tables) Fill(sql string) string {
	full := t.prefix
	if t.schema != "" {
		full = t.schema + "." + t.prefix
	}
	// An index is in its table's schema, and must not name it.
	const index = "INDEX IF NOT EXISTS "
	sql = strings.ReplaceAll(sql, index+DefaultPrefix, index+"\x00")
	sql = strings.ReplaceAll(sql, DefaultPrefix, full)
	return strings.ReplaceAll(sql, "\x00", t.prefix)
}

// PostgresSQL is the script that makes the tables in PostgreSQL.
func (t Tables) PostgresSQL() string {
	sql := t.Fill(postgresSQL)
	if t.schema != "" {
		sql += "\n"
		sql = "CREATE SCHEMA IF NOT EXISTS " + t.schema + ";\n\n" + sql
	}
	return sql
}

// SQLiteSQL is the script that makes the tables in SQLite.
func (t Tables) SQLiteSQL() string { return t.Fill(sqliteSQL) }

// Statements splits a script of ours, without its comments.
func Statements(script string) []string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		code, _, comment := strings.Cut(line, "--")
		b.WriteString(code)
		if comment {
			b.WriteByte('\n')
		}
	}
	var out []string
	for statement := range strings.SplitSeq(b.String(), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			out = append(out, statement)
		}
	}
	return out
}

// LockKey is the advisory lock by which a PostgreSQL relay that sleeps is known
// to writers, see [Tables.Enqueue].
func (t Tables) LockKey() int64 {
	h := fnv.New64a()
	h.Write([]byte(t.Channel()))
	return int64(h.Sum64())
}

// Channel is the channel on which PostgreSQL writers wake relays.
func (t Tables) Channel() string {
	if t.schema == "" {
		return t.prefix + "outbox"
	}
	// A channel's name has at most 63 bytes, as any.
	h := fnv.New32a()
	h.Write([]byte(t.schema))
	return fmt.Sprintf("%soutbox_%08x", t.prefix, h.Sum32())
}
