// Command tail shows the events passing on a bus, live. It is `penstock tail`.
package main

import (
	"os"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tail"
)

func main() {
	var flags cli.Flags
	cmd := tail.NewCommand(&flags)
	flags.Add(cmd)
	os.Exit(cli.Run("tail", cmd))
}
