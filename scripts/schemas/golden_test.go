package schemas_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

func TestTheFilesOfEachCase(t *testing.T) {
	dir := made(t)
	for name, archive := range cases(t) {
		t.Run(name, func(t *testing.T) {
			got := generatedFiles(t, filepath.Join(dir, name))
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") })
				archive.Files = append(archive.Files, got...)
				write(t, filepath.Join("testdata", name+".txtar"), txtar.Format(archive))
				return
			}
			want := map[string]string{}
			for _, file := range archive.Files {
				if strings.HasPrefix(file.Name, "want/") {
					want[file.Name] = string(file.Data)
				}
			}
			for _, file := range got {
				if want[file.Name] != string(file.Data) {
					t.Errorf("%s is\n%s\nwant\n%s", file.Name, file.Data, want[file.Name])
				}
				delete(want, file.Name)
			}
			for file := range want {
				t.Errorf("%s is not made", file)
			}
		})
	}
}

// generatedFiles are what the generator made in a case's folder.
func generatedFiles(t *testing.T, dir string) []txtar.File {
	t.Helper()
	var files []txtar.File
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path != "errors" && !strings.HasPrefix(path, "schemas/") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files = append(files, txtar.File{Name: "want/" + path, Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
