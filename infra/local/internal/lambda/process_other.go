//go:build !linux

package lambda

import "syscall"

// processAttributes: where the system cannot tie a child's life to its
// parent's, a program whose parent was killed ends by itself, since its
// Runtime API is gone.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// A program that is frozen could not see that its parent has ended, and would
// stay for ever: here it runs on between invocations.
func (p *process) freeze() {}
func (p *process) thaw()   {}

// peakMemoryMB is not known here.
func (p *process) peakMemoryMB() int { return 0 }
