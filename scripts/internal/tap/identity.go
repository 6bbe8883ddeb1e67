package tap

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// identity is who runs this process.
type identity struct {
	owner   string // user@host, in the characters that a tag takes
	process string // as processID gives it
}

// notInTags is what SQS and EventBridge do not both take in a tag, or what
// would be hard to read.
var notInTags = regexp.MustCompile(`[^A-Za-z0-9._@-]+`)

func self() identity {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	owner := notInTags.ReplaceAllString(name+"@"+host, "-")
	return identity{owner: owner[:min(len(owner), 200)], process: processID(os.Getpid())}
}

// processID names a process for good: its pid and, where the system tells it,
// when it started, so that another process that got the same pid is not taken
// for it.
func processID(pid int) string {
	id := strconv.Itoa(pid)
	if _, started, ok := stat(pid); ok {
		id += "." + started
	}
	return id
}

// alive reports whether the process of that id runs. It says so too of one that
// it cannot tell of.
func alive(id string) bool {
	number, _, _ := strings.Cut(id, ".")
	pid, err := strconv.Atoi(number)
	if err != nil {
		return true
	}
	if state, _, ok := stat(pid); ok {
		return state != "Z" && processID(pid) == id
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return !errors.Is(process.Signal(nothing), os.ErrProcessDone)
}

// stat reads a process's state and start time from Linux's /proc/<pid>/stat
// (proc_pid_stat(5): fields 3 and 22).
func stat(pid int) (state, started string, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", false
	}
	// Field 2, the command, is in brackets and may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return "", "", false
	}
	return string(fields[0]), string(fields[19]), true
}

// maxName is the longest name of a rule ("PutRule", EventBridge API reference);
// a queue's may be longer.
const maxName = 64

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// NewName is a name for a tap, and a new one each time: `<prefix><owner>-<random>`,
// of which the owner is for people and cut to fit.
func NewName(prefix, owner string) string {
	random := strings.ToLower(rand.Text()[:10])
	readable := notInNames.ReplaceAllString(strings.ToLower(owner), "-")
	room := max(0, maxName-len(prefix)-len(random)-1)
	readable = strings.Trim(readable[:min(len(readable), room)], "-")
	if readable != "" {
		readable += "-"
	}
	return prefix + readable + random
}

// nothing is the signal that reaches nobody and asks whether it could.
const nothing = syscall.Signal(0)
