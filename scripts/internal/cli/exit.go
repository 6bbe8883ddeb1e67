// Package cli is what the commands of Penstock have in common: the environment
// that a command works on, the guard before a change, how things are printed
// and asked, and the exit codes.
package cli

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes, the same for every command.
const (
	ExitDone    = 0
	ExitFailed  = 1
	ExitMisuse  = 2
	ExitRefused = 3
)

// ErrTold is a failure that the command has told of already: it sets the exit
// code and prints nothing.
var ErrTold = errors.New("told")

// Misuse is an error of the person who typed the command: a flag, an argument
// or an input that cannot be used.
type Misuse struct{ Err error }

func (m Misuse) Error() string { return m.Err.Error() }

// Unwrap returns the cause.
func (m Misuse) Unwrap() error { return m.Err }

// Misusef makes a Misuse as fmt.Errorf makes an error.
func Misusef(format string, args ...any) error { return Misuse{fmt.Errorf(format, args...)} }

// Refused is an error of a command that could do what it was asked, and will
// not: the account is another than the environment's, or nobody has confirmed.
type Refused struct{ Err error }

func (r Refused) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r Refused) Unwrap() error { return r.Err }

// Refusedf makes a Refused as fmt.Errorf makes an error.
func Refusedf(format string, args ...any) error { return Refused{fmt.Errorf(format, args...)} }

// Exit prints what went wrong, if anything, and returns the exit code.
func Exit(stderr io.Writer, program string, err error) int {
	if err == nil {
		return ExitDone
	}
	if !errors.Is(err, ErrTold) {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
	}
	var misuse Misuse
	var refused Refused
	switch {
	case errors.As(err, &misuse):
		return ExitMisuse
	case errors.As(err, &refused):
		return ExitRefused
	}
	return ExitFailed
}
