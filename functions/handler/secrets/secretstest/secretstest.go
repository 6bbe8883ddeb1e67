// Package secretstest shows that secrets stay where they belong. Tests take the
// values of their secrets from [Value], which makes every one recognisable, and
// search what a run has printed and logged for them:
//
//	dir := t.TempDir()
//	secretstest.SearchAtEnd(t, dir) // fails the test if a value is in a file of dir
//	token := secretstest.Value("token")
//
// A value is found as it is, and inside of base64, which is how binary values,
// bodies and headers travel. So is every signed token (JSON Web Token, such as a
// function session), whoever made it, the key of function sessions, and whatever
// deliveries are signed by (whsec_…). No message of this package holds a value.
package secretstest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// mark begins every value. It is letters, digits and a hyphen only: what quotes
// or escapes a text leaves it as it is.
const mark = "t0p-s3cret"

// Value returns the value of a secret for tests; different names make different
// values.
func Value(name string) string { return mark + "-" + name }

// IsValue reports whether a search would find a value, which [Value] sees to.
func IsValue(value string) bool { return holds([]byte(value)) }

// forms are what is searched for: the mark, and what of it is the same in the
// base64 of any text that holds it. That depends on where in a group of three
// bytes the mark begins.
var forms = func() [][]byte {
	out := [][]byte{[]byte(mark)}
	for skip := range 3 {
		whole := mark[skip:]
		whole = whole[:len(whole)/3*3]
		out = append(out, []byte(base64.StdEncoding.EncodeToString([]byte(whole))))
	}
	return out
}()

// signedToken is a JSON Web Token with its signature: what is left of one that was
// redacted is not.
var signedToken = regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20}`)

// signingSecret is what deliveries are signed by ("Standard Webhooks"), which the
// command makes.
var signingSecret = regexp.MustCompile(`whsec_[0-9A-Za-z+/]{32}`)

// sessionKey is what the secret holds that function sessions are signed by, which
// nobody but Secrets Manager and the command makes.
var sessionKey = regexp.MustCompile(`seed\\*"\s*:\s*\\*"[0-9A-Za-z]{43}`)

func holds(text []byte) bool {
	if signedToken.Match(text) || sessionKey.Match(text) || signingSecret.Match(text) {
		return true
	}
	for _, form := range forms {
		if bytes.Contains(text, form) {
			return true
		}
	}
	return false
}

// Search returns the numbers of the lines, from 1, that hold a value.
func Search(r io.Reader) (lines []int, err error) {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if holds(line) {
			lines = append(lines, n)
		}
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}

// SearchFiles searches files, and folders with all that is below them, and
// returns the places that hold a value, as file:line.
func SearchFiles(paths ...string) (places []string, err error) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			lines, err := Search(f)
			for _, n := range lines {
				places = append(places, fmt.Sprintf("%s:%d", file, n))
			}
			return err
		})
		if err != nil {
			return places, err
		}
	}
	return places, nil
}

// SearchAtEnd searches folders when the test ends, before those of t.TempDir
// that were made until now are removed, and fails the test if one of their
// files holds a value. A folder that does not exist by then holds none.
func SearchAtEnd(t testing.TB, dirs ...string) {
	t.Helper()
	t.Cleanup(func() {
		t.Helper()
		for _, dir := range dirs {
			places, err := SearchFiles(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			for _, place := range places {
				t.Errorf("a secret's value is in %s", place)
			}
		}
	})
}
