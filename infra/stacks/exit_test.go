package stacks_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/stacks"
)

// exits are programs that end with Exit. The test runs itself as one of them.
var exits = map[string]func(){
	"well":           func() {},
	"with an error":  func() { panic(errors.New("functions/fee/function.json: it is wrong")) },
	"with a bug":     func() { var props *stacks.Props; props.App = "" },
	"with something": func() { panic("something") },
}

const exitVariable = "STACKS_TEST_EXIT"

func exitAs(program string) {
	defer stacks.Exit()
	exits[program]()
}

func TestExitPrintsAnErrorPlainly(t *testing.T) {
	for program, want := range map[string]struct {
		code   int
		stderr string
		trace  bool
	}{
		"well":           {0, "", false},
		"with an error":  {1, "functions/fee/function.json: it is wrong\n", false},
		"with a bug":     {2, "nil pointer", true},
		"with something": {2, "something", true},
	} {
		t.Run(program, func(t *testing.T) {
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), exitVariable+"="+program)
			output, err := command.CombinedOutput()
			if code := command.ProcessState.ExitCode(); code != want.code {
				t.Errorf("ends with %d (%v), want %d", code, err, want.code)
			}
			if !strings.Contains(string(output), want.stderr) {
				t.Errorf("prints %q, want %q", output, want.stderr)
			}
			if strings.Contains(string(output), "goroutine ") != want.trace {
				t.Errorf("prints %q; with a trace: want %v", output, want.trace)
			}
		})
	}
}
