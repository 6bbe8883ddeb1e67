package local

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/iam"
	"github.com/penstock-dev/penstock/infra/names"
)

// BenchmarkPermissions measures what deciding costs a call: the same calls, by
// the administrator and by a role whose statements have conditions, with the
// guard and without. Reading and publishing without a rule are the cheapest calls
// that there are.
func BenchmarkPermissions(b *testing.B) {
	e := &Environment{config: Config{DataDir: b.TempDir(), Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler)}}
	if err := e.open(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	if err := e.dynamodb.CreateTable(b.Context(), dynamodb.Table{Name: "marks", PartitionKey: dynamodb.KeyAttribute{Name: "k", Type: "S"}}); err != nil {
		b.Fatal(err)
	}
	if err := e.events.EnsureBus(eventbridge.Bus{Name: "b"}); err != nil {
		b.Fatal(err)
	}
	err := e.iam.EnsureRole(iam.Role{
		Name:  "r",
		Trust: json.RawMessage(`{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
		Inline: []iam.Document{{Name: "p", Text: json.RawMessage(`{"Statement":[
			{"Effect":"Allow","Action":"events:PutEvents","Resource":"*","Condition":{"StringEquals":{"events:source":"savings","events:detail-type":["FEE_CHARGED","FEE_WAIVED"]}}},
			{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:PutItem"],"Resource":"*","Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["f/*"]}}}]}`)}},
	})
	if err != nil {
		b.Fatal(err)
	}
	role, err := e.iam.ForFunction(e.iam.RoleARN("r"), "f")
	if err != nil {
		b.Fatal(err)
	}
	entries := strings.Repeat(`,{"EventBusName":"b","Source":"savings","DetailType":"FEE_WAIVED","Detail":"{\"a\":1}"}`, 10)[1:]
	for _, call := range []struct{ operation, body string }{
		{"AWSEvents.PutEvents", `{"Entries":[` + entries + `]}`},
		{"DynamoDB_20120810.GetItem", `{"TableName":"marks","Key":{"k":{"S":"f/1"}}}`},
		{"DynamoDB_20120810.PutItem", `{"TableName":"marks","Item":{"k":{"S":"f/1"}}}`},
	} {
		for _, who := range []struct {
			name, key string
			guarded   bool
		}{{"unguarded", role.AccessKeyID, false}, {"administrator", names.LocalAccessKeyID, true}, {"role", role.AccessKeyID, true}} {
			b.Run(call.operation+"/"+who.name, func(b *testing.B) {
				mux := e.mux()
				if !who.guarded {
					mux.Guard(nil)
				}
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequest("POST", "/", strings.NewReader(call.body))
					r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+who.key+"/20260101/us-east-1/any/aws4_request, SignedHeaders=host, Signature=x")
					r.Header.Set("X-Amz-Target", call.operation)
					w := httptest.NewRecorder()
					if mux.ServeHTTP(w, r); w.Code != 200 {
						b.Fatal(w.Body)
					}
				}
			})
		}
	}
}
