package outboxcrash

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

// line is what a part tells the campaign, on its standard output.
type line struct {
	What   string         `json:"what"`
	ID     string         `json:"id,omitempty"`     // of a transaction
	Events []writtenEvent `json:"events,omitempty"` // of a transaction
	URL    string         `json:"url,omitempty"`    // of an environment
}

// process is a part that runs. Its standard input stays open for as long as the
// campaign lives: a part ends when it is closed.
type process struct {
	name string
	cmd  *exec.Cmd
	beat chan struct{} // has a value when the part has told something
	done chan struct{} // closed when the part has ended and all is read

	stdin  io.Closer
	errors devtest.Tail
}

// startProcess starts a part; told is called with each of its lines.
func startProcess(name string, cmd *exec.Cmd, told func(line)) (*process, error) {
	p := &process{name: name, cmd: cmd, beat: make(chan struct{}, 1), done: make(chan struct{})}
	// A group of its own, so that Ctrl-C reaches the campaign alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = &p.errors
	cmd.WaitDelay = endsWithin // for what it may have started
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var l line
			if json.Unmarshal(lines.Bytes(), &l) != nil {
				continue // cut off by a kill
			}
			told(l)
			select {
			case p.beat <- struct{}{}:
			default:
			}
		}
		_ = cmd.Wait()
	}()
	return p, nil
}

// kill ends the part by SIGKILL and waits until it has ended. It is an error if
// it had ended by itself.
func (p *process) kill() error {
	select {
	case <-p.done:
		return p.endedByItself()
	default:
	}
	_ = p.cmd.Process.Kill()
	return p.wait()
}

// stop asks the part to end, and waits. It is an error if it had ended by
// itself, or fails now.
func (p *process) stop() error {
	select {
	case <-p.done:
		return p.endedByItself()
	default:
	}
	_ = p.stdin.Close()
	if err := p.wait(); err != nil {
		return err
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("the %s was asked to end: %s\n%s", p.name, p.cmd.ProcessState, p.errors.String())
	}
	return nil
}

// endsWithin is how long a part may take to end.
const endsWithin = 30 * time.Second

func (p *process) wait() error {
	select {
	case <-p.done:
		_ = p.stdin.Close()
		return nil
	case <-time.After(endsWithin):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("the %s did not end within %s", p.name, endsWithin)
	}
}

// endedByItself is the error of a part that ended unasked.
func (p *process) endedByItself() error {
	return fmt.Errorf("the %s ended by itself: %s\n%s", p.name, p.cmd.ProcessState, p.errors.String())
}
