package programs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// filesPrefix begins the names of the folders that Files makes.
const filesPrefix = "files-"

// Files copies files of a project into a folder in dir, where they keep their
// paths, and returns the folder: that of the same files is the same, and what has
// changed stands beside what was there before, which may be in use.
func Files(project fs.FS, dir string, files []string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(dir, unfinishedPrefix)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range files {
		data, err := fs.ReadFile(project, name)
		if err == nil {
			fmt.Fprintf(hash, "%q %d\n%s", name, len(data), data)
			to := filepath.Join(unfinished, filepath.FromSlash(name))
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644))
		}
		if err != nil {
			return "", errors.Join(err, os.RemoveAll(unfinished))
		}
	}
	folder := filepath.Join(dir, fmt.Sprintf("%s%x", filesPrefix, hash.Sum(nil)[:6]))
	if _, err := os.Stat(folder); err == nil {
		return folder, os.RemoveAll(unfinished)
	}
	return folder, errors.Join(os.Chmod(unfinished, 0o755), os.Rename(unfinished, folder))
}
