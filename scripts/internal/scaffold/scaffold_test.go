package scaffold

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/penstock-dev/penstock/events"
)

func TestNamesOfGoTypesReadAsGoDoes(t *testing.T) {
	for _, c := range []struct{ source, name, want string }{
		{"savings", "SAVINGS_DEPOSIT", "Deposit"},
		{"savings", "FEE_CHARGED", "FeeCharged"},
		{"savings", "SAVINGS_DEPOSIT.v2", "DepositV2"},
		{"savings", "SAVINGS", "Savings"},
		{"savings", "SAVINGS.v2", "SavingsV2"},
		{"savings", "SAVINGS_2ND", "Savings2nd"},
		{"core-banking", "USER_ID_CHANGED", "UserIDChanged"},
		{"shop", "OrderPlaced", "OrderPlaced"},
		{"shop", "orderPlaced", "OrderPlaced"},
		{"shop", "order_placed__", "OrderPlaced"},
		{"shop", "Shop_OrderPlaced", "OrderPlaced"},
		{"shop", "O", "O"},
	} {
		if got := goName(events.Type{Source: c.source, Name: c.name}, packageName(c.source)); got != c.want {
			t.Errorf("%s/%s is %s, want %s", c.source, c.name, got, c.want)
		}
	}
}

func TestNamesOfPackagesAreAllowed(t *testing.T) {
	for source, want := range map[string]string{
		"savings": "savings", "core-banking": "corebanking", "com.example.shop2": "comexampleshop2",
		"type": "typeevents", "internal": "internalevents", "latest": "latestevents", "main": "mainevents",
	} {
		if got := packageName(source); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
}

func TestTheCatalogueGetsTheTypeAndKeepsTheRest(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/catalogue.txtar")
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, f := range archive.Files {
		text[f.Name] = string(f.Data)
	}
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".want") || strings.HasSuffix(f.Name, ".error") {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			got := ""
			c, err := parseCatalogue("catalogue.go", f.Data)
			if err == nil {
				var data []byte
				data, err = c.with("example.com/project/events/shop", "shop", "Order")
				got = string(data)
			}
			if want := strings.TrimSpace(text[f.Name+".error"]); want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := text[f.Name+".want"]; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// newProject writes a project of an adopter's.
func newProject(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// contents is every file below a folder.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			files[name+"/"] = ""
			return err
		}
		data, err := os.ReadFile(filepath.Join(root, name))
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

const emptyCatalogue = "package catalogue\n\nimport \"github.com/penstock-dev/penstock/events\"\n\nvar All = events.NewCatalogue()\n"

func TestATypeGoesIntoThePackageThatItsSourceHas(t *testing.T) {
	root := newProject(t, map[string]string{
		"go.mod":           "module example.com/bank\n",
		Catalogue:          emptyCatalogue,
		"events/README.md": "",
		// It is named otherwise than the source, knows package events by another
		// name, has no constant Source, and is not formatted.
		"events/till/types.go": `package till

import bus "github.com/penstock-dev/penstock/events"

type  Sale struct{}

func (Sale) EventType() bus.Type { return bus.Type{"cash-desk", "SALE"} }
func (Sale) Schema() bus.Event { return Sale{} }
`,
	})
	written, err := Event(root, Options{Type: events.Type{Source: "cash-desk", Name: "REFUND"}})
	if err != nil {
		t.Fatal(err)
	}
	if written.GoType != "till.Refund" || written.Struct.Path != "events/till/types.go" || written.Struct.New {
		t.Errorf("written: %+v", written)
	}
	files := contents(t, root)
	for _, want := range []string{
		"type  Sale struct{}\n",
		"\n\n// Refund: say what happened",
		"// EventType implements [bus.Event].\nfunc (Refund) EventType() bus.Type {\n\treturn bus.Type{Source: \"cash-desk\", Name: \"REFUND\"}\n}\n",
	} {
		if !strings.Contains(files["events/till/types.go"], want) {
			t.Errorf("want %q in\n%s", want, files["events/till/types.go"])
		}
	}
	if !strings.Contains(files["events/till/samples.go"], "func SampleRefund(") {
		t.Errorf("the sample is\n%s", files["events/till/samples.go"])
	}
	if !strings.Contains(files[Catalogue], "\t\"example.com/bank/events/till\"\n") || !strings.Contains(files[Catalogue], "events.Describe[till.Refund](),\n") {
		t.Errorf("the catalogue is\n%s", files[Catalogue])
	}
}

func TestAProjectMayBeAFolderOfItsModule(t *testing.T) {
	top := newProject(t, map[string]string{"go.mod": "module example.com/mono", "bank/lib/list/list.go": emptyCatalogue})
	if _, err := Event(filepath.Join(top, "bank"), Options{Type: events.Type{Source: "shop", Name: "ORDER"}, Catalogue: "lib/list/list.go"}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, top)["bank/lib/list/list.go"]; !strings.Contains(got, `"example.com/mono/bank/lib/shop"`) {
		t.Errorf("the catalogue is\n%s", got)
	}
}

func TestNothingIsWrittenForWhatCannotBeDone(t *testing.T) {
	const shop = "package shop\n\nconst Source = \"shop\"\n\ntype Order struct{}\n"
	order := Options{Type: events.Type{Source: "shop", Name: "ORDER"}}
	for name, c := range map[string]struct {
		files map[string]string
		o     Options
		want  string
	}{
		"no module":          {map[string]string{Catalogue: emptyCatalogue}, order, "no Go module: "},
		"no catalogue":       {map[string]string{"go.mod": "module m"}, order, "no catalogue at events/catalogue/catalogue.go"},
		"a broken catalogue": {map[string]string{"go.mod": "module m", Catalogue: "package"}, order, "catalogue.go:1:8: expected 'IDENT'"},
		"a broken package": {map[string]string{"go.mod": "module m", Catalogue: emptyCatalogue, "events/shop/shop.go": "package"}, order,
			"shop.go:1:8: expected 'IDENT'"},
		"a malformed type": {map[string]string{"go.mod": "module m", Catalogue: emptyCatalogue}, Options{Type: events.Type{Source: "shop", Name: "a b"}}, `name "a b" must be letters`},
		"a taken Go name":  {map[string]string{"go.mod": "module m", Catalogue: emptyCatalogue, "events/shop/shop.go": shop}, order, "the Go name shop.Order exists already, in events/shop/shop.go"},
		"a taken name of the sample": {map[string]string{"go.mod": "module m", Catalogue: emptyCatalogue, "events/shop/shop.go": shop, "events/shop/a_test.go": "package shop\n\nfunc SampleSale() {}\n"},
			Options{Type: events.Type{Source: "shop", Name: "SALE"}}, "the Go name shop.SampleSale exists already, in events/shop/a_test.go"},
		"the name of the source's constant": {map[string]string{"go.mod": "module m", Catalogue: emptyCatalogue}, Options{Type: events.Type{Source: "shop", Name: "SOURCE"}},
			"the Go name shop.Source exists already"},
	} {
		t.Run(name, func(t *testing.T) {
			root := newProject(t, c.files)
			before := contents(t, root)
			_, err := Event(root, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if after := contents(t, root); !maps.Equal(before, after) {
				t.Errorf("the project was changed: %v", after)
			}
		})
	}
}

func TestWhatCannotBeWrittenWholeIsTakenBack(t *testing.T) {
	root := newProject(t, map[string]string{"go.mod": "module m", "a/there.go": "package a"})
	before := contents(t, root)
	err := write(root, []File{
		{Path: "b/new.go", New: true, data: []byte("package b")},
		{Path: "a/there.go", data: []byte("package changed")},
		{Path: "a/there.go", New: true, data: []byte("package a")}, // was made meanwhile
	})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want that the file exists", err)
	}
	if after := contents(t, root); !maps.Equal(before, after) {
		t.Errorf("the project was changed: %v", after)
	}
	err = write(root, []File{
		{Path: "a/there.go", data: []byte("package changed")},
		{Path: "a", data: []byte("a folder cannot be replaced")},
	})
	if err == nil {
		t.Error("a folder was replaced by a file")
	}
	if after := contents(t, root); !maps.Equal(before, after) {
		t.Errorf("the project was changed: %v", after)
	}
}
