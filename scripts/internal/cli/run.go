package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Main is the main function of a program that is one command, with the flags that
// every command has.
func Main(program string, command func(*Flags) *cobra.Command) {
	var flags Flags
	cmd := command(&flags)
	flags.Add(cmd)
	os.Exit(Run(program, cmd))
}

// Run runs a program's command with the program's arguments and returns the
// exit code. The command's context ends at Ctrl-C, SIGTERM and SIGHUP (unless
// nohup has it ignored), and with the `go run` that started the program. What
// was typed wrong is a [Misuse], for every subcommand.
func Run(program string, root *cobra.Command) int {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go whenOrphaned(ctx, cancel)

	prepare(root)
	err := root.ExecuteContext(ctx)
	requests.tell(root.ErrOrStderr())
	return Exit(root.ErrOrStderr(), program, err)
}
