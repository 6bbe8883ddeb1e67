package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/revocations"
	"github.com/penstock-dev/penstock/functions/session/sessiontest"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// The data API, as people and functions use it: HTTP, the real programs, the
// tokens of the test issuer, and function sessions.

const (
	storageTable = "penstock-local-storage"
	sessionKeys  = "penstock-local/function-session-keys"
)

// dataAPI is an environment with the data API and the bus alone.
type dataAPI struct {
	env      *local.Environment
	url      string
	snapshot *snapshots.Snapshot
	secrets  *secretsmanager.Client
	items    *dynamodb.Client
	minter   *session.Minter
}

func startDataAPI(t *testing.T, edit ...func(*snapshots.Snapshot)) *dataAPI {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	onlyStacks(snapshot, "bus", "storage")
	for _, e := range edit {
		e(snapshot)
	}
	env := start(t, snapshot, t.TempDir())
	t.Cleanup(func() { env.Close() })
	apis := env.HTTPAPIs()
	if len(apis) != 1 || apis[0].Name != "penstock-local-storage" {
		t.Fatalf("APIs %+v", apis)
	}
	cfg := awsConfig(env.Endpoint())
	a := &dataAPI{env: env, url: apis[0].URL, snapshot: snapshot, secrets: secretsmanager.NewFromConfig(cfg), items: dynamodb.NewFromConfig(cfg)}
	a.minter, err = session.NewMinter(session.Environment{Name: "penstock-local"}, session.NewKeys(a.secrets, sessionKeys))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// user signs a person in at the test issuer.
func (a *dataAPI) user(t *testing.T, name string) (token string) {
	t.Helper()
	answer, err := http.PostForm(a.env.TokenURL(), url.Values{"user": {name}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var said struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.Token == "" {
		t.Fatal(answer.Status, err)
	}
	return said.Token
}

func (a *dataAPI) session(t *testing.T, user string) (token string) {
	t.Helper()
	token, _, err := a.minter.Mint(t.Context(), session.Claims{User: user, Event: "event-of-" + user, Function: "mailer"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// reply is an answer of the API.
type reply struct {
	status int
	etag   string
	body   string
}

// do asks the API. headers come in pairs; a path is sent as it is.
func (a *dataAPI) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	base, _ := url.Parse(a.url)
	path, query, _ := strings.Cut(path, "?")
	r.URL.Opaque = "//" + base.Host + base.Path + path
	r.URL.RawQuery = query
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header.Get("ETag"), string(text)}
}

func (a *dataAPI) as(t *testing.T, token, method, path, body string, headers ...string) reply {
	t.Helper()
	return a.do(t, method, path, body, append([]string{"Authorization", "Bearer " + token}, headers...)...)
}

const place = "/rows/accounting/2026/invoices"

func (r reply) row(t *testing.T) (row struct {
	RowID, Container, Bucket, Dataset, ETag string
	Data                                    json.RawMessage
}) {
	t.Helper()
	var wire struct {
		RowID     string          `json:"row_id"`
		Container string          `json:"container"`
		Bucket    string          `json:"bucket"`
		Dataset   string          `json:"dataset"`
		ETag      string          `json:"etag"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(r.body), &wire); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	row.RowID, row.Container, row.Bucket, row.Dataset, row.ETag, row.Data = wire.RowID, wire.Container, wire.Bucket, wire.Dataset, wire.ETag, wire.Data
	return row
}

func TestTheDataAPI(t *testing.T) {
	a := startDataAPI(t)
	ann, bob := a.user(t, "ann"), a.user(t, "bob")
	for _, part := range []struct {
		name string
		run  func(t *testing.T, a *dataAPI, ann, bob string)
	}{
		{"a row is written, read, changed and deleted", rowLives},
		{"a change is made on a condition", conditions},
		{"a container is read by pages", pages},
		{"what cannot be is refused", misuse},
		{"a user sees and changes that user's rows alone", ownRows},
		{"a session stands for its user, and for nobody else", sessionStands},
		{"a revoked session is refused, and one minted later is not", revoked},
		{"every abuse is refused by the real programs", abuses},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, a, ann, bob) })
	}
	out, err := cloudformation.NewFromConfig(awsConfig(a.env.Endpoint())).ListExports(t.Context(), &cloudformation.ListExportsInput{})
	if err != nil || !slices.ContainsFunc(out.Exports, func(e cftypes.Export) bool { return *e.Name == "penstock-local-storage-url" && *e.Value == a.url }) {
		t.Errorf("exports %+v, %v", out, err)
	}
	for _, table := range []string{"GetItem", "PutItem", "Query", "DeleteItem"} {
		needed(t, a.env, "dynamodb:"+table, "table/"+storageTable)
	}
	needed(t, a.env, "dynamodb:BatchGetItem", "table/penstock-local-sessions")
}

func rowLives(t *testing.T, a *dataAPI, ann, _ string) {
	if r := a.as(t, ann, "GET", place+"/life", ""); r.status != 404 {
		t.Errorf("before: %+v", r)
	}
	made := a.as(t, ann, "PUT", place+"/life", `{"total": 12.50, "n": 12345678901234567890}`, "Content-Type", "application/json")
	if row := made.row(t); made.status != 201 || row.RowID != "life" || row.Container != "invoices" || row.Bucket != "2026" || row.Dataset != "accounting" || made.etag != `"`+row.ETag+`"` {
		t.Errorf("made: %+v", made)
	}
	got := a.as(t, ann, "GET", place+"/life", "")
	if got.status != 200 || string(got.row(t).Data) != `{"total":12.50,"n":12345678901234567890}` || got.etag != made.etag {
		t.Errorf("read: %+v", got)
	}
	changed := a.as(t, ann, "PUT", place+"/life", `[1, "é"]`) // and without a Content-Type
	if changed.status != 200 || changed.etag == made.etag || string(changed.row(t).Data) != `[1,"é"]` {
		t.Errorf("changed: %+v", changed)
	}
	if r := a.as(t, ann, "DELETE", place+"/life", ""); r.status != 204 || r.body != "" {
		t.Errorf("deleted: %+v", r)
	}
	if r := a.as(t, ann, "DELETE", place+"/life", ""); r.status != 404 {
		t.Errorf("deleted again: %+v", r)
	}
}

func conditions(t *testing.T, a *dataAPI, ann, _ string) {
	first := a.as(t, ann, "PUT", place+"/if", `1`, "If-None-Match", "*")
	second := a.as(t, ann, "PUT", place+"/if", `2`, "If-Match", first.etag)
	if first.status != 201 || second.status != 200 {
		t.Fatalf("%+v, %+v", first, second)
	}
	for _, c := range []struct {
		method, header, value string
		want                  int
	}{
		{"PUT", "If-None-Match", "*", 412},
		{"PUT", "If-Match", first.etag, 412},
		{"DELETE", "If-Match", first.etag, 412},
		{"PUT", "If-Match", "*", 400},
		{"PUT", "If-Match", first.etag + ", " + second.etag, 412}, // one ETag, which nothing has
		{"PUT", "If-None-Match", second.etag, 400},
		{"DELETE", "If-None-Match", "*", 400},
		{"DELETE", "If-Match", second.etag, 204},
		{"PUT", "If-Match", second.etag, 412},
	} {
		if r := a.as(t, ann, c.method, place+"/if", `3`, c.header, c.value); r.status != c.want {
			t.Errorf("%s with %s %s: %+v, want %d", c.method, c.header, c.value, r, c.want)
		}
	}
}

func pages(t *testing.T, a *dataAPI, ann, _ string) {
	const container = "/rows/accounting/2026/pages"
	for i := range 5 {
		if r := a.as(t, ann, "PUT", fmt.Sprintf("%s/row-%d", container, i), fmt.Sprint(i)); r.status != 201 {
			t.Fatal(r)
		}
	}
	var found []string
	query := "?limit=2"
	for range 10 {
		r := a.as(t, ann, "GET", container+query, "")
		var page struct {
			Rows []struct {
				RowID string `json:"row_id"`
			}
			Next string
		}
		if err := json.Unmarshal([]byte(r.body), &page); err != nil || r.status != 200 || len(page.Rows) > 2 {
			t.Fatal(r, err)
		}
		for _, row := range page.Rows {
			found = append(found, row.RowID)
		}
		if page.Next == "" {
			break
		}
		query = "?limit=2&next=" + page.Next
	}
	if got := strings.Join(found, " "); got != "row-0 row-1 row-2 row-3 row-4" {
		t.Error(got)
	}
	if r := a.as(t, ann, "GET", "/rows/accounting/2026/none", ""); r.status != 200 || r.body != `{"rows":[]}` {
		t.Errorf("an empty container: %+v", r)
	}
}

func misuse(t *testing.T, a *dataAPI, ann, _ string) {
	long := strings.Repeat("x", 101)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", place + "/a", `{`, 400},
		{"PUT", place + "/a", ``, 400},
		{"PUT", place + "/a", "\xff", 400},
		{"PUT", place + "/a", `"` + strings.Repeat("x", 384<<10) + `"`, 413},
		{"GET", place + "?limit=0", "", 400},
		{"GET", place + "?limit=101", "", 400},
		{"GET", place + "?limit=1&limit=2", "", 400},
		{"GET", place + "?next=%25", "", 400},
		{"GET", place + "?next=Li4v", "", 400}, // ../
		{"GET", "/rows/" + long + "/b/c", "", 400},
		{"GET", "/rows/a/b/c/" + long + long, "", 400},
		{"GET", "/rows/.hidden/b/c", "", 400},
		{"GET", "/rows/a/b/c/%20", "", 400},
		{"GET", "/rows/a/b/c/%C3%A9", "", 400},
		{"GET", "/rows/a/b/c/%00", "", 400},
		{"GET", "/rows/a/b", "", 404},
		{"GET", "/rows/a/b/c/d/e", "", 404},
		{"GET", "/", "", 404},
		{"POST", place + "/a", "{}", 404},
		{"PATCH", place + "/a", "{}", 404},
		{"DELETE", place, "", 404},
	} {
		if r := a.as(t, ann, c.method, c.path, c.body); r.status != c.want {
			t.Errorf("%s %.60s: %d %.200s, want %d", c.method, c.path, r.status, r.body, c.want)
		}
	}
	largest := `"` + strings.Repeat("x", 384<<10-2) + `"`
	if r := a.as(t, ann, "PUT", "/rows/"+long[:100]+"/"+long[:100]+"/"+long[:100]+"/"+long[:100]+long[:100], largest); r.status != 201 {
		t.Errorf("the largest row: %d %.200s", r.status, r.body)
	}
}

func ownRows(t *testing.T, a *dataAPI, ann, bob string) {
	path := place + "/mine"
	annRow := a.as(t, ann, "PUT", path, `"ann's"`)
	if r := a.as(t, bob, "GET", path, ""); r.status != 404 || r.body != a.as(t, bob, "GET", place+"/no-such-row", "").body {
		t.Errorf("another's row tells itself from one that is not there: %+v", r)
	}
	if r := a.as(t, bob, "DELETE", path, "", "If-Match", annRow.etag); r.status != 412 {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, bob, "DELETE", path, ""); r.status != 404 {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, bob, "PUT", path, `"bob's"`); r.status != 201 {
		t.Errorf("bob has no row of that name yet: %+v", r)
	}
	if r := a.as(t, bob, "GET", "/rows/accounting/2026/invoices", ""); strings.Contains(r.body, "ann's") || !strings.Contains(r.body, "bob's") {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, ann, "GET", path, ""); string(r.row(t).Data) != `"ann's"` {
		t.Errorf("%+v", r)
	}
	// No name of a user reaches into another's keys, whatever is in it.
	for _, name := range []string{"ann/accounting", "ann%2Faccounting", "ann/accounting/2026", "ann ", " ann", "ANN", "ann#", "*", "", "ann\x00", "ann/../ann", "../ann", `ann","user":"bob`} {
		if name == "" {
			continue // the issuer gives no such token
		}
		if r := a.as(t, a.user(t, name), "GET", path, ""); r.status != 404 {
			t.Errorf("%q reads %+v", name, r)
		}
		if r := a.as(t, a.session(t, name), "GET", path, ""); r.status != 404 {
			t.Errorf("a session of %q reads %+v", name, r)
		}
	}
	// The claim of a request's own is nothing.
	for _, header := range []string{"X-User", "User", "X-Amzn-Oidc-Identity", "X-Forwarded-User"} {
		if r := a.as(t, bob, "GET", path, "", header, "ann"); string(r.row(t).Data) != `"bob's"` {
			t.Errorf("%s: %+v", header, r)
		}
	}
	// The stream has what the trigger needs of a change.
	out, err := a.items.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(storageTable), Key: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "ann/accounting/2026/invoices"}, "sk": &types.AttributeValueMemberS{Value: "mine"},
	}})
	if err != nil || out.Item["owner"].(*types.AttributeValueMemberS).Value != "ann" || out.Item["dataset"].(*types.AttributeValueMemberS).Value != "accounting" {
		t.Errorf("%+v, %v", out, err)
	}
}

func sessionStands(t *testing.T, a *dataAPI, ann, bob string) {
	path := place + "/session"
	a.as(t, ann, "PUT", path, `1`)
	s := a.session(t, "ann")
	if r := a.as(t, s, "GET", path, ""); r.status != 200 || string(r.row(t).Data) != "1" {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, s, "PUT", path, `2`); r.status != 200 {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, ann, "GET", path, ""); string(r.row(t).Data) != "2" {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, a.session(t, "bob"), "GET", path, ""); r.status != 404 {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, bob, "GET", path, ""); r.status != 404 {
		t.Errorf("%+v", r)
	}
	if r := a.as(t, s, "DELETE", path, ""); r.status != 204 {
		t.Errorf("%+v", r)
	}
}

func revoked(t *testing.T, a *dataAPI, _, _ string) {
	table := &revocations.Table{Client: a.items, Name: "penstock-local-sessions"}
	keys := session.NewKeys(a.secrets, sessionKeys)
	verifier, err := session.NewVerifier(session.Environment{Name: "penstock-local"}, keys)
	if err != nil {
		t.Fatal(err)
	}
	var later []func() bool
	for i, kind := range []revocations.Kind{revocations.Session, revocations.Event, revocations.Function, revocations.User} {
		about := session.Claims{User: fmt.Sprintf("u%d", i), Event: fmt.Sprintf("e%d", i), Function: fmt.Sprintf("f%d", i)}
		mint := func() string {
			token, _, err := a.minter.Mint(t.Context(), about)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		token, other := mint(), a.session(t, "other")
		s, err := verifier.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if r := a.as(t, token, "GET", place, ""); r.status != 200 {
			t.Errorf("%s: before: %+v", kind, r)
		}
		value := map[revocations.Kind]string{revocations.Session: s.ID, revocations.Event: about.Event, revocations.Function: about.Function, revocations.User: about.User}[kind]
		if _, err := table.Revoke(t.Context(), kind, value); err != nil {
			t.Fatal(err)
		}
		for range 2 { // replayed
			if r := a.as(t, token, "GET", place, ""); r.status != 403 || r.body != `{"message":"Forbidden"}` {
				t.Errorf("%s: after: %+v", kind, r)
			}
		}
		if r := a.as(t, other, "GET", place, ""); r.status != 200 {
			t.Errorf("%s: another's: %+v", kind, r)
		}
		later = append(later, func() bool { return a.as(t, mint(), "GET", place, "").status == 200 })
	}
	for _, valid := range later {
		until(t, "a session of the next second is valid", valid)
	}
}

func abuses(t *testing.T, a *dataAPI, ann, _ string) {
	a.as(t, ann, "PUT", place+"/abused", `"theirs"`)
	good := a.session(t, "ann")
	current, err := a.secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(sessionKeys)})
	if err != nil {
		t.Fatal(err)
	}
	cases, err := sessiontest.Abuses("penstock-local", good, *current.SecretString)
	if err != nil {
		t.Fatal(err)
	}
	type attempt struct {
		name    string
		headers []string
	}
	var attempts []attempt
	for _, c := range cases {
		if strings.ContainsAny(c.Token, "\r\n") || strings.TrimSpace(c.Token) == good || c.Token == "" {
			continue // no HTTP client sends it, or it is another request; the package's own tests have it
		}
		attempts = append(attempts, attempt{c.Name, []string{"Authorization", "Bearer " + c.Token}})
	}
	flipped := ann[:len(ann)-8] + strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, ann[len(ann)-8:])
	for _, c := range []attempt{
		{"no header", nil},
		{"an empty header", []string{"Authorization", ""}},
		{"another scheme", []string{"Authorization", "Basic " + good}},
		{"no scheme", []string{"Authorization", good}},
		{"the scheme alone", []string{"Authorization", "Bearer"}},
		{"two tokens", []string{"Authorization", "Bearer " + good + " " + good}},
		{"two tokens by a comma", []string{"Authorization", "Bearer " + good + "," + good}},
		{"two headers", []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + ann}},
		{"twice the same header", []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}},
		{"another header", []string{"X-Authorization", "Bearer " + good}},
		{"a cookie", []string{"Cookie", "Authorization=Bearer " + good}},
		{"a person's token, changed", []string{"Authorization", "Bearer " + flipped}},
		{"a person's token without its signature", []string{"Authorization", "Bearer " + ann[:strings.LastIndex(ann, ".")+1]}},
		{"the function's own credentials", []string{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIAPENSTOCKLOCAL000/20261121/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature=x"}},
		{"headers above the limit", []string{"Authorization", "Bearer " + good, "X-Padding", strings.Repeat("x", 11_000)}},
	} {
		attempts = append(attempts, c)
	}
	if len(attempts) < 60 {
		t.Errorf("only %d attempts", len(attempts))
	}
	// In parallel: each goes through the authorizer's real program.
	var group sync.WaitGroup
	queue := make(chan attempt)
	for range 8 {
		group.Go(func() {
			for c := range queue {
				r := a.do(t, "GET", place+"/abused", "", c.headers...)
				if (r.status != 401 && r.status != 403 && r.status != 431) || strings.Contains(r.body, "theirs") {
					t.Errorf("%s: %+v", c.name, r)
				}
			}
		})
	}
	for _, c := range attempts {
		queue <- c
	}
	close(queue)
	group.Wait()
	for _, path := range []string{"/rows/accounting/2026/invoices%2Fabused", "/rows/accounting/2026%2Finvoices/abused", "/rows/accounting/../2026/invoices/abused", "/rows/..%2Fann%2Faccounting/2026/invoices/abused",
		"/rows/ann%2Faccounting/2026/invoices/abused", "/rows/accounting/2026/invoices/./abused", "/rows/accounting/2026/invoices/abused%00", "/rows/accounting/2026/invoices//abused", "/../../rows/accounting/2026/invoices/abused",
		"/rows/accounting/2026/invoices/%61bused%2f", "/rows/accounting/2026/%2e%2e/abused"} {
		if r := a.as(t, a.user(t, "eve"), "GET", path, ""); r.status != 400 && r.status != 404 {
			t.Errorf("eve reads %s: %+v", path, r)
		}
	}
	if r := a.as(t, good, "GET", place+"/abused", ""); r.status != 200 {
		t.Errorf("and the session that is none of it: %+v", r)
	}
}
