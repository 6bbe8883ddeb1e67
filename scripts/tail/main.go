// Command tail shows the events passing on a bus, live. It is `penstock tail`.
package main

import (
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tail"
)

func main() { cli.Main("tail", tail.NewCommand) }
