package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events/outboxsql"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func newOutbox() *cobra.Command {
	c := &cobra.Command{
		Use:   "outbox",
		Short: "The outbox: where committed events wait for the bus",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newOutboxSchema())
	return c
}

// dialects are the databases that package outboxsql knows, as they are typed.
var dialects = map[string]outboxsql.Dialect{"postgresql": outboxsql.PostgreSQL, "sqlite": outboxsql.SQLite}

func newOutboxSchema() *cobra.Command {
	names := []string{"postgresql", "sqlite"}
	var dialect string
	c := &cobra.Command{
		Use:   "schema --dialect NAME",
		Short: "Print the SQL that makes the tables of an outbox in your database",
		Long: `Print the SQL script that makes the tables of an outbox in your database, for
whoever keeps migrations in files. The Migrate of packages outboxsql and outboxpgx
does the same in one call, and their SQL has the script for tables of other names.
The script records its version, and running it again changes nothing.`,
		Example: `  penstock outbox schema --dialect postgresql | psql mydatabase
  penstock outbox schema --dialect sqlite > migrations/0007_outbox.sql`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, ok := dialects[dialect]
			if !ok { // nor if there is none
				return cli.Misusef("--dialect %q: want %s", dialect, strings.Join(names, " or "))
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), outboxsql.SQL(d))
			return err
		},
	}
	c.Flags().StringVar(&dialect, "dialect", "", "the database: "+strings.Join(names, " or "))
	cobra.CheckErr(c.RegisterFlagCompletionFunc("dialect", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)))
	return c
}
