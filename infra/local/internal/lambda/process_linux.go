package lambda

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// freeze stops the program and what it has started, until it is thawed: nothing
// runs between two invocations ("Understanding the Lambda execution environment
// lifecycle").
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }

// thaw lets a frozen program go on; one that is not frozen just does.
func (p *process) thaw() { p.signal(syscall.SIGCONT) }

// peakMemoryMB is the most memory that the program has had so far; 0 if it is
// not known.
func (p *process) peakMemoryMB() int {
	if p == nil { // it could not be started
		return 0
	}
	select {
	case <-p.done:
		if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			return int(usage.Maxrss >> 10)
		}
		return 0
	default:
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var kB int
	if _, line, found := bytes.Cut(status, []byte("VmHWM:")); found {
		_, _ = fmt.Sscan(string(line), &kB)
	}
	return kB >> 10
}
