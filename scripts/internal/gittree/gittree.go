// Package gittree reads the files of a git revision where they are, without
// checking anything out. It runs the git command.
package gittree

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing/fstest"
	"time"
)

// timeout is for one git command, all of which only read.
const timeout = 30 * time.Second

// FS returns the files of a folder as they are in a revision (a branch, a tag,
// a commit: whatever git understands) of the repository that dir is in. The
// folder is relative to dir, which may be below the repository's root; so are
// the paths in the result, to the folder. Symbolic links and submodules are
// left out.
//
// The error says whether git is not there, dir is in no repository, or the
// repository has no such revision; it wraps fs.ErrNotExist if the revision has
// no such folder.
func FS(ctx context.Context, dir, revision, folder string) (fs.FS, error) {
	if _, err := git(ctx, dir, nil, "rev-parse", "--git-dir"); err != nil {
		var exit *exec.ExitError
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return nil, errors.New("git is not installed")
		case errors.As(err, &exit):
			return nil, fmt.Errorf("%s is in no git repository: %w", dir, err)
		}
		return nil, err
	}
	out, err := git(ctx, dir, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("the git repository has no revision %q (a shallow clone has only the newest: git fetch gets it)", revision)
		}
		return nil, err
	}
	commit := strings.TrimSpace(string(out))
	// Of a folder below the root, git tells paths as they are from there.
	list, err := git(ctx, dir, nil, "ls-tree", "-r", "-z", commit, "--", folder+"/")
	if err != nil {
		return nil, err
	}
	var paths []string
	var objects bytes.Buffer
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		about, path, _ := strings.Cut(entry, "\t") // "100644 blob <object>"
		fields := strings.Fields(about)
		if len(fields) != 3 || fields[1] != "blob" || fields[0] == "120000" {
			continue
		}
		paths = append(paths, strings.TrimPrefix(path, folder+"/"))
		fmt.Fprintln(&objects, fields[2])
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("revision %q has no folder %s: %w", revision, folder, fs.ErrNotExist)
	}
	contents, err := git(ctx, dir, &objects, "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	reader := bufio.NewReader(bytes.NewReader(contents))
	for _, path := range paths {
		data, err := readObject(reader)
		if err != nil {
			return nil, fmt.Errorf("git cat-file: %s: %w", path, err)
		}
		files[path] = &fstest.MapFile{Data: data, Mode: 0o444}
	}
	return files, nil
}

// readObject reads one answer of git cat-file --batch: "<object> blob <size>",
// the content, and a newline.
func readObject(r *bufio.Reader) ([]byte, error) {
	header, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(header)
	if len(fields) != 3 {
		return nil, fmt.Errorf("it answered %q", strings.TrimSpace(header)) // "<object> missing"
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil {
		return nil, err
	}
	data := make([]byte, size+1)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data[:size], nil
}

// git runs a git command in dir. Its error says what git printed.
func git(ctx context.Context, dir string, stdin io.Reader, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	// English, and no question at the terminal should an object have to be
	// fetched.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
