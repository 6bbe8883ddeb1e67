package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces a file of the project at root, or makes it; whole or not at
// all, whenever the program dies. file is its path in the project, with slashes.
// What is there keeps its permissions.
func WriteFile(root, file string, data []byte) error {
	to := filepath.Join(root, filepath.FromSlash(file))
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(to); err == nil {
		mode = info.Mode().Perm()
	}
	// In the root, so that it is no file of a function's for a moment.
	temp, err := os.CreateTemp(root, ".penstock-new-")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), to)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err
}
