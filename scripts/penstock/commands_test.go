package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/reference"
)

//go:generate go test -run TestTheReferenceIsWhatHelpPrints -update .

var update = flag.Bool("update", false, "write the reference")

// verbs are the commands that do something, by what is typed after penstock.
func verbs() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.HasParent() && c.Runnable() && (!c.HasSubCommands() || c.Flags().HasFlags()) {
			all[strings.TrimPrefix(c.CommandPath(), "penstock ")] = c
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	return all
}

func TestTheReferenceIsWhatHelpPrints(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	const dir = "reference"
	pages := reference.Pages(newRoot())
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for name, page := range pages {
			if err := writeBelow(dir, name, page); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	for name, page := range pages {
		if have, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(have, page) {
			t.Errorf("scripts/penstock/reference/%s is not what --help prints (%v): run go generate ./...", name, err)
		}
	}
	have, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range have {
		if pages[file.Name()] == nil {
			t.Errorf("scripts/penstock/reference/%s is of no command: run go generate ./...", file.Name())
		}
	}
}

func TestEveryCommandIsInAGroupOfTheHelp(t *testing.T) {
	for _, c := range newRoot().Commands() {
		if c.GroupID == "" {
			t.Errorf("penstock %s is in no group: see newRoot", c.Name())
		}
	}
}

// Every verb's help teaches it, and what it shows can be typed: the example runs the
// verb, with flags that it has and arguments that it takes.
func TestEveryVerbHasAnExampleThatCanBeTyped(t *testing.T) {
	dir := t.TempDir()
	for path, c := range verbs() {
		if c.Long == "" || c.Example == "" {
			t.Errorf("penstock %s --help says too little: it wants a Long and an Example", path)
			continue
		}
		shown := false
		for _, args := range typed(t, dir, c.Example) {
			root := newRoot()
			cmd, rest, err := root.Find(args)
			if err != nil {
				t.Errorf("penstock %s --help: `penstock %s`: %v", path, strings.Join(args, " "), err)
				continue
			}
			if err := cmd.ParseFlags(rest); err != nil {
				t.Errorf("penstock %s --help: `penstock %s`: %v", path, strings.Join(args, " "), err)
				continue
			}
			if cmd.Args != nil {
				if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil {
					t.Errorf("penstock %s --help: `penstock %s`: %v", path, strings.Join(args, " "), err)
				}
			}
			shown = shown || strings.TrimPrefix(cmd.CommandPath(), "penstock ") == path
		}
		if !shown {
			t.Errorf("penstock %s --help: no example runs it", path)
		}
	}
}

// toFile is a redirection, of an example.
var toFile = regexp.MustCompile(` [<>] [\w./-]+`)

// typed reads an example as a shell does, and returns what is said to penstock.
func typed(t *testing.T, dir, example string) (commands [][]string) {
	t.Helper()
	said := filepath.Join(dir, "said")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `psql() { :; }; jq() { :; }; xargs() { :; }; penstock() { said=$(printf '%s\037' "$@"); printf '%s\036' "$said" >>"$SAID"; }
`+toFile.ReplaceAllString(example, ""))
	cmd.Env = append(os.Environ(), "SAID="+said)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, example, out)
	}
	text, err := os.ReadFile(said)
	if err != nil {
		t.Fatalf("%v: the example is\n%s", err, example)
	}
	if err := os.Remove(said); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\036"), "\036") {
		commands = append(commands, strings.Split(strings.TrimSuffix(line, "\037"), "\037"))
	}
	return commands
}

// Whatever names what there is already is completed by a Tab: the first argument,
// and each flag that takes such a name.
func TestWhatThereIsCompletes(t *testing.T) {
	named := []string{"env", "output", "function", "event", "type", "subscription"}
	makes := []string{"secrets create", "notifications create", "subscriptions create", "events generate", "functions create-http"} // a new name
	unknown := []string{"trace", "sessions revoke", "deliveries list"}                                                              // an id that nobody lists
	for path, c := range verbs() {
		_, wants, _ := strings.Cut(c.Use, " ")
		if wants != "" && !strings.HasPrefix(wants, "-") && c.ValidArgsFunction == nil && !slices.Contains(makes, path) && !slices.Contains(unknown, path) {
			t.Errorf("penstock %s: its argument %s does not complete", path, wants)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if _, completes := c.GetFlagCompletionFunc(f.Name); slices.Contains(named, f.Name) && !f.Hidden && !completes && !slices.Contains(unknown, path) {
				t.Errorf("penstock %s: --%s does not complete", path, f.Name)
			}
		})
	}
}

// ran is a line of a session that runs the command, to do what it is for.
var ran = regexp.MustCompile(`^(!? ?exec|exits [01]|until '.*'|until \S+|\[\w+\] exec) penstock (.*)`)

func TestEveryVerbHasASession(t *testing.T) {
	without := verbs()
	delete(without, "dev") // the command dev of a session
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		session, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(session.Comment)) {
			if m := ran.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				if cmd, _, err := newRoot().Find(strings.Fields(m[2])); err == nil && !strings.Contains(m[2], "--help") {
					delete(without, strings.TrimPrefix(cmd.CommandPath(), "penstock "))
				}
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(without)) {
		t.Errorf("no session of testdata/script runs penstock %s", path)
	}
}

// required is what a verb's usage says that must be given: what is in no brackets.
var required = regexp.MustCompile(`^\S+ [^\[]`)

func TestWhateverIsTypedWrongIsAMisuseOfEveryVerb(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // nobody listens there
	for path, c := range verbs() {
		words := strings.Fields(path)
		cases := map[string][]string{
			"a flag that it does not have":  slices.Concat(words, []string{"--no-such-flag"}),
			"an output that there is not":   slices.Concat(words, []string{"--output", "xml"}),
			"one argument more than it has": slices.Concat(words, []string{"a", "b", "c"}),
		}
		if required.MatchString(c.Use) {
			cases["nothing of what it needs"] = words
		}
		for what, args := range cases {
			root := newRoot()
			var told strings.Builder
			root.SetArgs(args)
			root.SetOut(&told)
			root.SetErr(&told)
			if status := cli.Run("penstock", root); status != cli.ExitMisuse {
				t.Errorf("penstock %s, %s: exit status %d, want %d\n%s", strings.Join(args, " "), what, status, cli.ExitMisuse, &told)
			}
		}
	}
}
