package local

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/sqs"
)

// watch is a guard that notes what is asked, and denies everything if it is told
// to.
type watch struct {
	deny  bool
	asked []string
}

func (w *watch) Principal(string) (awswire.Principal, error) { return w, nil }

func (w *watch) Authorize(a awswire.Access) error {
	line := a.Action + " " + strings.Replace(a.Resource, ":us-east-1:000000000000:", ":", 1)
	line = strings.Replace(line, " arn:aws:", " ", 1)
	if a.Keys != nil {
		if keys := a.Keys("dynamodb:leadingkeys"); keys != nil {
			line += " dynamodb:leadingkeys=" + strings.Join(keys, ",")
		}
	}
	w.asked = append(w.asked, line)
	if w.deny {
		return awswire.Errorf("AccessDeniedException", "denied")
	}
	return nil
}

// accessCase is a case of testdata/access.txt.
type accessCase struct {
	operation string // as it is registered
	request   string // "JSON", "form", or "METHOD /path [body]"
	asks      []string
}

func accessCases(t *testing.T) []accessCase {
	t.Helper()
	text, err := os.ReadFile("testdata/access.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []accessCase
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		if strings.HasPrefix(block, "#") {
			continue
		}
		lines := strings.Split(block, "\n")
		c := accessCase{operation: lines[0], asks: lines[1:]}
		if strings.Contains(lines[0], "/2015-03-31/") {
			c.request, c.asks = lines[1], lines[2:]
		} else {
			c.operation, c.request, _ = strings.Cut(lines[0], " ")
		}
		out = append(out, c)
	}
	return out
}

// send sends the request of a case, and returns the answer.
func (c accessCase) send(mux *awswire.Mux) *httptest.ResponseRecorder {
	method, path, body, service := "POST", "/", c.request, "any"
	if !strings.HasPrefix(c.request, "{") && strings.Contains(c.request, " /") {
		method, path, _ = strings.Cut(c.request, " ")
		path, body, _ = strings.Cut(path, " ")
	}
	prefix, name, _ := strings.Cut(c.operation, ".")
	isForm := path == "/" && !strings.HasPrefix(c.request, "{")
	if isForm {
		service, body = prefix, "Action="+name+"&"+body
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=x")
	if isForm {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else if path == "/" {
		r.Header.Set("X-Amz-Target", c.operation)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestEveryOperationAsksForWhatAWSAsks(t *testing.T) {
	e := &Environment{
		config: Config{DataDir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler)},
	}
	e.setDeployed([]cloudformation.Stack{{Name: "shop-local-bus", ID: "arn:aws:cloudformation:us-east-1:000000000000:stack/shop-local-bus/id"}})
	if err := e.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	for _, name := range []string{"tab", "tub"} {
		if err := e.dynamodb.CreateTable(t.Context(), dynamodb.Table{Name: name, PartitionKey: dynamodb.KeyAttribute{Name: "k", Type: "S"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"q", "other"} {
		if err := e.sqs.EnsureQueue(name, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	redrive := sqs.Attributes{"RedrivePolicy": `{"deadLetterTargetArn":"` + e.sqs.ARN("other") + `","maxReceiveCount":"1"}`}
	if err := e.sqs.EnsureQueue("source", redrive, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.events.EnsureBus(eventbridge.Bus{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	guard := &watch{}
	mux := e.mux()
	mux.Guard(guard)

	covered := map[string]bool{}
	for _, c := range accessCases(t) {
		covered[c.operation] = true
		needsNone := slices.Equal(c.asks, []string{"none"})
		if !needsNone {
			guard.deny, guard.asked = true, nil
			if w := c.send(mux); !strings.Contains(w.Body.String(), "AccessDenied") {
				t.Errorf("%s: refused, it answers %d %s", c.operation, w.Code, w.Body)
			}
		}
		guard.deny, guard.asked = false, nil
		w := c.send(mux)
		if needsNone {
			c.asks = nil
		}
		if !slices.Equal(guard.asked, c.asks) {
			t.Errorf("%s asks for\n\t%s\nwant\n\t%s\n(answer: %d %s)", c.operation, strings.Join(guard.asked, "\n\t"), strings.Join(c.asks, "\n\t"), w.Code, w.Body)
		}
	}
	for _, name := range mux.Registered() {
		// The other protocols of a service have the same operations.
		older := strings.NewReplacer("sqs.", "AmazonSQS.", "monitoring.", "GraniteServiceVersion20100801.").Replace(name)
		if covered[older] || name == "POST /service/GraniteServiceVersion20100801/operation/{operation}" {
			continue
		}
		if !covered[name] {
			t.Errorf("%s: testdata/access.txt does not say what it asks permission for", name)
		}
	}
}
