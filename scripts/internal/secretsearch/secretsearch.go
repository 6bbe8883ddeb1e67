// Command secretsearch searches files and folders, such as the whole output of a
// test run, for the values of secrets that tests use. Exit status 0: there is
// none; 1: it prints where they are; 2: it could not search.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(paths []string, out, progress io.Writer) int {
	if len(paths) == 0 {
		fmt.Fprintln(progress, "usage: secretsearch FILE|FOLDER...")
		return 2
	}
	places, err := secretstest.SearchFiles(paths...)
	if err != nil {
		fmt.Fprintln(progress, "secretsearch:", err)
		return 2
	}
	if len(places) == 0 {
		return 0
	}
	for _, place := range places {
		fmt.Fprintf(out, "%s: a secret's value was written where it does not belong\n", place)
	}
	return 1
}
