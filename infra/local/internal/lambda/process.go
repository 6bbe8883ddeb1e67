package lambda

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// process is a running program, in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait, once done

	mu    sync.Mutex
	ended bool
}

// kill kills the program and what it has started. It returns at once.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

// signal sends a signal to the program and what it has started.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// reason says how the program ended, as Lambda words it.
func (p *process) reason() string {
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return "Runtime exited with error: " + exit.String()
	}
	return "Runtime exited without providing a reason"
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	p.kill() // what it has started and left behind
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	close(p.done)
}

// spawner starts processes, all from one thread of its own: on Linux a child
// is told to die with its parent, and that means the thread that started it.
// A thread that the Go runtime has no more use for may end at any time.
type spawner struct {
	calls chan func()
	ended sync.Once
}

func newSpawner() *spawner {
	s := &spawner{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlocked
		for call := range s.calls {
			call()
		}
	}()
	return s
}

// close ends the thread, and with it what is left of its processes.
func (s *spawner) close() { s.ended.Do(func() { close(s.calls) }) }

// start starts a program in a folder, with these variables alone. It is
// killed when ctx ends.
func (s *spawner) start(ctx context.Context, program, dir string, variables []string, output *os.File) (*process, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = dir
	cmd.Env = variables
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = processAttributes()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Cancel = func() error { p.kill(); return nil }
	started := make(chan error)
	s.calls <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err // which names the program, as Lambda's error does
	}
	return p, nil
}
