// Package sqltest tests package outboxsql with the drivers that its users have,
// PostgreSQL's and SQLite's, and holds its examples. It is a package of its own
// so that a module that uses outboxsql does not get those drivers.
package sqltest
