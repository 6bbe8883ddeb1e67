// Command message-log takes note of each message that a connector sends.
package main

import (
	"log/slog"
	"os"

	"github.com/penstock-dev/penstock/functions/connector/serve"
)

func main() {
	serve.Start(&recorder{slog.New(slog.NewJSONHandler(os.Stdout, nil))})
}
