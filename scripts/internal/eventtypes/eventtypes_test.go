package eventtypes_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
)

const order = `{
  "id": "O-1",
  "total": 12.50,
  "paid": true,
  "customer": {"name": "Ada", "note": null},
  "lines": [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2}],
  "tags": []
}`

func project(files ...string) fstest.MapFS {
	root := fstest.MapFS{}
	for _, f := range files {
		root["schemas/"+f+".schema.json"] = &fstest.MapFile{Data: []byte(`{"type": "object"}`)}
		root["schemas/"+f+".sample.json"] = &fstest.MapFile{Data: []byte(order)}
	}
	return root
}

func load(t *testing.T, root fstest.MapFS) *eventtypes.Types {
	t.Helper()
	types, err := eventtypes.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func TestATypeIsFoundByItsFullNameAndByANameThatIsUnique(t *testing.T) {
	types := load(t, project("shop/ORDER_PLACED", "shop/ORDER_PLACED.v2", "crm/CUSTOMER_MOVED", "crm/ORDER_NOTED", "shop/ORDER_NOTED"))
	for name, want := range map[string]string{
		"shop/ORDER_PLACED": "shop/ORDER_PLACED",
		"ORDER_PLACED":      "shop/ORDER_PLACED",
		"ORDER_PLACED.v2":   "shop/ORDER_PLACED.v2",
		"CUSTOMER_MOVED":    "crm/CUSTOMER_MOVED",
	} {
		got, err := types.Find(name)
		if err != nil || got.String() != want {
			t.Errorf("Find(%s) = %v, %v; want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"ORDER_NOTED":     `event type "ORDER_NOTED" is more than one: say crm/ORDER_NOTED or shop/ORDER_NOTED`,
		"CUSTMER_MOVED":   `no event type "CUSTMER_MOVED": did you mean crm/CUSTOMER_MOVED?`,
		"crm/CUSTMER":     `did you mean crm/CUSTOMER_MOVED?`,
		"shop/order_note": `did you mean shop/ORDER_NOTED`,
	} {
		_, err := types.Find(name)
		var misuse cli.Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%s) is the error %v; want a misuse that says %s", name, err, want)
		}
	}
}

func TestAProjectWithoutTypesSaysHowTheyAreMade(t *testing.T) {
	_, err := load(t, project()).Find("shop/ORDER_PLACED")
	if err == nil || !strings.Contains(err.Error(), "`go generate ./...` makes them") {
		t.Fatal(err)
	}
}

func TestAFileThatNamesNoTypeIsAnError(t *testing.T) {
	_, err := eventtypes.Load(project("Shop/ORDER"))
	if err == nil || !strings.Contains(err.Error(), "schemas/Shop/ORDER.schema.json") {
		t.Fatal(err)
	}
}

func TestASampleThatIsNoObjectNamesItsFile(t *testing.T) {
	root := project("shop/ORDER")
	for _, text := range []string{"", "[1]", "null", "{} {}", "{"} {
		root["schemas/shop/ORDER.sample.json"].Data = []byte(text)
		_, err := load(t, root).Sample(events.Type{Source: "shop", Name: "ORDER"})
		if err == nil || !strings.Contains(err.Error(), "schemas/shop/ORDER.sample.json: want one JSON object") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// closed is of types in which no object takes any key.
func closed(string) bool { return false }

func TestEditSetsAnyKeyOfAMap(t *testing.T) {
	maps := func(path string) bool { return path == "labels" || path == "limits" }
	const sample = `{"labels": {"a": "1"}, "limits": {"EUR": {"amount": 1}}}`
	for assignment, want := range map[string]string{
		"labels.b=2":               `"labels":{"a":"1","b":"2"}`,
		"labels.a=2":               `"labels":{"a":"2"}`,
		"labels={}":                `"labels":{}`,
		`limits.EUR={"amount": 2}`: `"EUR":{"amount":2}`,
		"limits.CHF.amount=3":      `"CHF":{"amount":3}`,
		`limits.CHF={"amount": 3}`: `"CHF":{"amount":3}`,
	} {
		got, err := eventtypes.Edit([]byte(sample), []byte(sample), []string{assignment}, maps)
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("--set %s makes %s, %v; want %s in it", assignment, got, err, want)
		}
	}
	for assignment, want := range map[string]string{
		"label=1":             `no path "label": did you mean labels?`,
		"labels.=1":           `no path "labels."`,
		"limits.CHF.amuont=1": `no path "limits.CHF.amuont": did you mean limits.CHF.amount?`,
	} {
		_, err := eventtypes.Edit([]byte(sample), []byte(sample), []string{assignment}, maps)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v; want %s", assignment, err, want)
		}
	}
}

func TestEditSetsWhatAPathNames(t *testing.T) {
	for assignment, want := range map[string]string{
		"total=9.99":               `"total":9.99`,
		"total=12345678901234567":  `"total":12345678901234567`,
		"total=much":               `"total":"much"`,
		"total=null":               `"total":null`,
		"id=1001":                  `"id":"1001"`, // the sample has text
		`id="1001"`:                `"id":"1001"`,
		"id=a=b":                   `"id":"a=b"`,
		"id=":                      `"id":""`,
		"paid=false":               `"paid":false`,
		"customer.name=Grace":      `"name":"Grace"`,
		"customer.note=7":          `"note":7`,
		`customer={"name":"G"}`:    `"customer":{"name":"G"}`,
		"lines[1].quantity=5":      `{"quantity":5,"sku":"B"}`,
		"lines.1.quantity=5":       `{"quantity":5,"sku":"B"}`,
		`lines=[{"sku":"C"}]`:      `"lines":[{"sku":"C"}]`,
		`lines[0]={"sku":"C"}`:     `[{"sku":"C"},{`,
		`tags=["a"]`:               `"tags":["a"]`,
		"customer.name= two words": `"name":" two words"`,
	} {
		got, err := eventtypes.Edit([]byte(order), []byte(order), []string{assignment}, closed)
		if err != nil || !json.Valid(got) || !strings.Contains(string(got), want) {
			t.Errorf("--set %s makes %s, %v; want %s in it", assignment, got, err, want)
		}
	}
}

func TestEditMakesAnObjectThatTheDataLeavesOut(t *testing.T) {
	got, err := eventtypes.Edit([]byte(`{"id":"O-2"}`), []byte(order), []string{"customer.name=Grace", "total=1"}, closed)
	if err != nil || string(got) != `{"customer":{"name":"Grace","note":null},"id":"O-2","total":1}` {
		t.Fatalf("%s, %v", got, err)
	}
}

func TestEditsInTurnSeeEachOther(t *testing.T) {
	got, err := eventtypes.Edit([]byte(order), []byte(order), []string{`lines=[{},{},{}]`, "lines[2].quantity=7"}, closed)
	if err != nil || !strings.Contains(string(got), `"lines":[{},{},{"quantity":7}]`) {
		t.Fatalf("%s, %v", got, err)
	}
}

func TestEditRefusesAPathThatTheSampleDoesNotHave(t *testing.T) {
	for assignment, want := range map[string]string{
		"totl=1":              `no path "totl": did you mean total?`,
		"customer.nam=x":      `no path "customer.nam": did you mean customer.name`,
		"lines[0].quanity=1":  `no path "lines[0].quanity": did you mean lines[0].quantity?`,
		"lines[2].quantity=1": `lines has 2 elements`,
		"lines[-1].sku=x":     `lines is a list: say which element, as in lines[0]`,
		"lines.sku=x":         `lines is a list: say which element, as in lines[0]`,
		"tags[0]=x":           `tags is an empty list in the sample`,
		"id.x=1":              `id holds no other values`,
		"id":                  `want path=value`,
		"=1":                  `no path ""`,
	} {
		_, err := eventtypes.Edit([]byte(order), []byte(order), []string{assignment}, closed)
		var misuse cli.Misuse
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v; want a misuse that says %s", assignment, err, want)
		}
	}
}

func TestWithoutEditsDataStaysAsItIs(t *testing.T) {
	got, err := eventtypes.Edit([]byte(order), []byte(order), nil, closed)
	if err != nil || string(got) != order {
		t.Fatalf("%s, %v", got, err)
	}
	for _, data := range []string{"", "[]", `"x"`, "{}{}"} {
		if _, err := eventtypes.Edit([]byte(data), []byte(order), nil, closed); err == nil {
			t.Errorf("%q passed as data", data)
		}
	}
}

func TestARawEventIsEncodedAsItsDataIs(t *testing.T) {
	raw := eventtypes.Raw{Type: events.Type{Source: "shop", Name: "ORDER"}, Data: []byte(`{"b":1,"a":2}`)}
	entry, err := events.Stamp(t.Context(), raw).Entry()
	if err != nil || entry.Type != raw.Type || !strings.HasSuffix(string(entry.Detail), `"data":{"b":1,"a":2}}`) {
		t.Fatalf("%s, %v", entry.Detail, err)
	}
}
