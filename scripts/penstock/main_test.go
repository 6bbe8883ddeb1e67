package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"penstock": main})
}

// projectRoot is this repository: the sessions run inside it.
func projectRoot(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The sessions of testdata/script run the command as a person would, in the
// project ($PROJECT), with the go command's caches of whoever runs the tests.
func TestSessions(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	to := &endpoint{} // one session has one
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Condition: installed,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"dev": sessionDev(t), "listening": sessionListening, "exits": sessionExits, "until": sessionUntil, "readid": sessionReadID, "aws": sessionAWS,
			"awsto": sessionAWSTo, "shop": sessionShop(t), "moto": sessionMoto(t),
			"endpoint": to.start, "verified": to.verified,
			"freeport": sessionFreePort, "receiver": sessionReceiver(t), "row": sessionRow,
		},
		Setup: func(env *testscript.Env) error {
			env.Defer(func() {
				places, err := secretstest.SearchFiles(filepath.Join(env.WorkDir, "data", "logs"))
				if len(places) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
					env.T().Fatal("a secret's value is in the logs", places, err)
				}
			})
			env.Setenv("PROJECT", projectRoot(t))
			env.Setenv("HOME", home)
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS"} {
				if value := os.Getenv(name); value != "" {
					env.Setenv(name, value)
				}
			}
			return nil
		},
	})
}

// sessionDev is the command `dev [flag]…` of a session: it starts `penstock
// dev` on a free port with $WORK/data, waits until it is ready, and sets what
// it tells to export in the session's environment. It ends with the session.
func sessionDev(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("unsupported: ! dev")
		}
		cmd := exec.Command("penstock", append([]string{"dev", "--port", "0", "--data-dir", ts.MkAbs(ts.Getenv("WORK") + "/data")}, args...)...)
		cmd.Dir = ts.Getenv("PROJECT")
		cmd.Stderr = os.Stderr
		for _, name := range []string{"PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS"} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		d, err := devtest.Start(cmd)
		ts.Check(err)
		ts.Defer(d.Kill)
		ts.Defer(func() { recognisable(t, d) })
		ts.Logf("%s", d.Output)
		for name, value := range d.Exports {
			ts.Setenv(name, value)
		}
	}
}

// sessionShop is the command `shop`: it makes an adopter's project, $WORK/shop, which
// is $PROJECT from then on, and goes there.
func sessionShop(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		dir := ts.MkAbs(ts.Getenv("WORK") + "/shop")
		ts.Check(copyShop(projectRoot(t), dir))
		ts.Setenv("PROJECT", dir)
		ts.Check(ts.Chdir(dir))
	}
}

// sessionExits is the command `exits STATUS program [arg]…`: it runs the
// program, which must end with that exit status.
func sessionExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS program [arg]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// sessionUntil is the command `until PATTERN program [arg]…`: it runs the
// program again and again, until it prints what matches the pattern and does
// not fail.
func sessionUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN program [arg]...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		var err error
		if args[1] == "aws" {
			ts.Check(runAWS(ts, args[2:]))
		} else {
			err = ts.Exec(args[1], args[2:]...)
		}
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	ts.Fatalf("never printed: %s", args[0])
}

// sessionReadID is the command `readid NAME FILE`: it sets a variable to a
// file's one line.
func sessionReadID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readid NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}
