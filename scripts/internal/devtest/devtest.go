// Package devtest runs `penstock dev` as a process of its own, for tests and
// crash campaigns.
package devtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Dev is a running `penstock dev` that is ready.
type Dev struct {
	// Exports are the variables that it tells to export.
	Exports map[string]string
	// Output is what it printed until it was ready.
	Output string

	cmd   *exec.Cmd
	lines *bufio.Scanner // of its standard output
}

var export = regexp.MustCompile(`export (\w+)=(\S+)`)

// Start starts a command that is `penstock dev` with some flags, and waits
// until it is ready. The caller must end it, with Kill at the latest.
func Start(cmd *exec.Cmd) (*Dev, error) {
	d, err := Begin(cmd)
	if err != nil {
		return nil, err
	}
	return d, d.Ready()
}

// Begin starts a command that is `penstock dev` with some flags. The caller
// must call Ready, and end it, with Kill at the latest.
func Begin(cmd *exec.Cmd) (*Dev, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Dev{Exports: map[string]string{}, cmd: cmd, lines: bufio.NewScanner(out)}, nil
}

// Ready waits until it is ready. It is an error if it ends before, by itself or
// by a Kill of meanwhile.
func (d *Dev) Ready() error {
	for d.lines.Scan() {
		line := d.lines.Text()
		d.Output += line + "\n"
		if m := export.FindStringSubmatch(line); m != nil {
			d.Exports[m[1]] = m[2]
		}
		if strings.HasPrefix(line, "ready") {
			go func() { // what follows must be read, or the process would block
				for d.lines.Scan() {
				}
			}()
			return nil
		}
	}
	d.Kill()
	return fmt.Errorf("penstock dev ended before it was ready:\n%s", d.Output)
}

// PID is the process's id.
func (d *Dev) PID() int { return d.cmd.Process.Pid }

// Kill ends it with SIGKILL, if it still runs, and waits until it has ended.
func (d *Dev) Kill() { _ = d.cmd.Process.Kill(); _ = d.cmd.Wait() }

// Interrupt sends it a signal, and does not wait.
func (d *Dev) Interrupt(s os.Signal) { _ = d.cmd.Process.Signal(s) }

// Signal sends it a signal, waits until it has ended, and returns how.
func (d *Dev) Signal(s os.Signal) error {
	if err := d.cmd.Process.Signal(s); err != nil {
		return err
	}
	return d.cmd.Wait()
}

// CtrlC does what Ctrl-C at its terminal does: it interrupts the process and
// everything below it. It waits until the process has ended, and returns how. The
// command must have been started as the leader of a process group (Setpgid).
func (d *Dev) CtrlC() error {
	if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGINT); err != nil {
		return err
	}
	return d.cmd.Wait()
}

// AWS is the configuration of the SDK that reaches it.
func (d *Dev) AWS() aws.Config {
	return aws.Config{
		BaseEndpoint: aws.String(d.Exports["AWS_ENDPOINT_URL"]),
		Region:       d.Exports["AWS_REGION"],
		Credentials:  credentials.NewStaticCredentialsProvider(d.Exports["AWS_ACCESS_KEY_ID"], d.Exports["AWS_SECRET_ACCESS_KEY"], ""),
	}
}
