package stacks

import (
	"fmt"
	"os"
	"runtime"

	"github.com/aws/jsii-runtime-go"
)

// Exit ends the CDK's process. Defer it first of all in main: an error that a
// constructor panicked with is printed on stderr, without a stack trace, and
// the program ends with status 1. A fault of the program itself, such as a nil
// pointer, still panics.
func Exit() {
	fault := recover()
	err, plain := fault.(error)
	if _, bug := fault.(runtime.Error); bug {
		plain = false
	}
	if plain {
		fmt.Fprintln(os.Stderr, err)
	}
	jsii.Close()
	switch {
	case plain:
		os.Exit(1)
	case fault != nil:
		panic(fault)
	}
}
