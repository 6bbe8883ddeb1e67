package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// FunctionsDir is the folder that holds a folder for each function.
const FunctionsDir = "functions"

// FileName is the name of a manifest, in the function's folder.
const FileName = "function.json"

// Load reads the manifests of all functions of the project at root, which are
// the files functions/*/function.json, sorted by name, with their notification
// templates. The error joins every
// fault of every manifest, each beginning with its file; then there are no
// functions. A project without functions has none, and no error.
func Load(root fs.FS) ([]Function, error) {
	tables, err := LoadTables(root)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(root, path.Join(FunctionsDir, "*", FileName)) // sorted
	if err != nil {
		return nil, err
	}
	var functions []Function
	var faults []error
	for _, file := range files {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, err
		}
		f, err := Parse(file, data)
		if err == nil {
			err = inFile(file, errors.Join(append(split(f.Validate(tables)), f.checkFolder(root))...))
		}
		if err == nil {
			err = f.loadNotifications(root)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		functions = append(functions, f)
	}
	if len(faults) == 0 {
		faults = split(checkNotificationNames(functions))
	}
	for i := range functions {
		if err := functions[i].loadCalls(functions); err != nil {
			return nil, err // it was found right above
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return functions, nil
}

// Parse decodes the manifest that was read from file, a path in the project,
// and fills in its defaults. It does not validate.
func Parse(file string, data []byte) (Function, error) {
	f := Function{Dir: path.Dir(file)}
	err := decode(file, data, &f)
	return f, err
}

// inFile puts the file's name before each fault that err joins.
func inFile(file string, err error) error {
	var faults []error
	for _, fault := range split(err) {
		faults = append(faults, fmt.Errorf("%s: %w", file, fault))
	}
	return errors.Join(faults...)
}

// split returns the faults that errors.Join made err of.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
