package cli

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"
)

// whenOrphaned cancels when the `go run` that started this program has ended.
// `go run` does not hand a SIGTERM on to the program it runs: without this, a
// `kill` of `go run ./scripts/penstock dev` would leave the environment
// behind. A program started in any other way is left alone, so that it may
// outlive its shell.
func whenOrphaned(ctx context.Context, cancel context.CancelFunc) {
	parent := os.Getppid()
	if !isGoRun(parent) {
		return
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				cancel()
				return
			}
		}
	}
}

// isGoRun reports whether a process is the go command. Where the system does
// not tell, a program that lies in Go's build cache was started by it.
func isGoRun(pid int) bool {
	if name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm"); err == nil {
		return strings.TrimSpace(string(name)) == "go"
	}
	self, err := os.Executable()
	return err == nil && strings.Contains(self, "go-build")
}
