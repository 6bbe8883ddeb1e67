//go:build !linux

package lambda

import "syscall"

// processAttributes: where the system cannot tie a child's life to its
// parent's, a program whose parent was killed ends by itself, since its
// Runtime API is gone.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// peakMemoryMB is not known here.
func (p *process) peakMemoryMB() int { return 0 }
