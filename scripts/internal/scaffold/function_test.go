package scaffold

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestAFunctionThatCannotBeWrittenLeavesNothingBehind(t *testing.T) {
	for name, spoil := range map[string]func(w *WrittenFunction, files map[string][]byte){
		"a new folder": func(_ *WrittenFunction, files map[string][]byte) { files["no/such/folder"] = nil },
		"an empty folder": func(w *WrittenFunction, files map[string][]byte) {
			if err := os.MkdirAll(w.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			files["no/such/folder"] = nil
		},
		"somebody was faster": func(w *WrittenFunction, _ map[string][]byte) {
			if err := os.MkdirAll(w.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(w.Dir, "main.go"), []byte("mine"), 0o666); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := newProject(t, map[string]string{"cdk.json": "{}", "go.mod": "module m"})
			o := FunctionOptions{Template: "streaming-events", Name: "fee"}
			w := &WrittenFunction{Dir: filepath.Join(root, "functions", "fee"), Project: root}
			files, err := w.render(o)
			if err != nil {
				t.Fatal(err)
			}
			spoil(w, files)
			before := contents(t, root)
			if err := w.write(files, nil, nil); err == nil {
				t.Fatal("it was written")
			}
			if after := contents(t, root); !maps.Equal(after, before) {
				t.Errorf("before %q, after %q", before, after)
			}
		})
	}
}

func TestAFailureToMoveTheFolderLeavesNothingBehind(t *testing.T) {
	root := newProject(t, map[string]string{"cdk.json": "{}", "functions": "a file, where a folder must be"})
	before := contents(t, root)
	_, err := Function(FunctionOptions{Template: "streaming-events", Name: "fee", Dir: filepath.Join(root, "functions", "fee"), Module: "example.com/m"})
	if invalid, ok := errors.AsType[*InvalidError](err); err == nil || ok {
		t.Errorf("got %v, which is invalid: %v", err, invalid)
	}
	if after := contents(t, root); !maps.Equal(after, before) {
		t.Errorf("before %q, after %q", before, after)
	}
}
