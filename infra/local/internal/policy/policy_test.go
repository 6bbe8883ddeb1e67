package policy

import (
	"strings"
	"testing"
)

const queueARN = "arn:aws:sqs:us-east-1:1:q"

// with are the keys of a rule's request, and others.
func with(more map[string][]string) Keys {
	service := ServiceKeys("arn:aws:events:us-east-1:1:rule/b/r", "1")
	return func(key string) []string {
		if values, ok := more[key]; ok {
			return values
		}
		return service(key)
	}
}

func TestAPolicyAllowsWhatAStatementAllowsAndNoneDenies(t *testing.T) {
	request := func(edit ...func(*Request)) Request {
		r := Request{Service: "events.amazonaws.com", Action: "sqs:SendMessage", Resource: queueARN,
			Keys: with(nil)}
		for _, e := range edit {
			e(&r)
		}
		return r
	}
	const allow = `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + queueARN + `"`
	for _, c := range []struct {
		name       string
		statements string
		request    Request
		want       bool
	}{
		{"nothing said", ``, request(), false},
		{"allowed", allow + `}`, request(), true},
		{"another action", allow + `}`, request(func(r *Request) { r.Action = "sqs:DeleteMessage" }), false},
		{"another resource", allow + `}`, request(func(r *Request) { r.Resource += "2" }), false},
		{"another service", allow + `}`, request(func(r *Request) { r.Service = "sns.amazonaws.com" }), false},
		{"condition holds", allow + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:1:rule/b/?"}}}`, request(), true},
		{"condition fails", allow + `,"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:events:us-east-1:1:rule/b/x"}}}`, request(), false},
		{"one of several values", allow + `,"Condition":{"StringEquals":{"aws:SourceArn":["x","arn:aws:events:us-east-1:1:rule/b/r"]}}}`, request(), true},
		{"the key is missing", allow + `,"Condition":{"StringEquals":{"aws:PrincipalArn":"o"}}}`, request(), false},
		{"not equal holds for a missing key", allow + `,"Condition":{"StringNotEquals":{"aws:PrincipalArn":"o"}}}`, request(), true},
		{"for all values", allow + `,"Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"a#*"}}}`, request(func(r *Request) { r.Keys = with(map[string][]string{"dynamodb:leadingkeys": []string{"a#1", "a#2"}}) }), true},
		{"for all values but one", allow + `,"Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"a#*"}}}`, request(func(r *Request) { r.Keys = with(map[string][]string{"dynamodb:leadingkeys": []string{"a#1", "b#2"}}) }), false},
		{"denied", allow + `},{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}`, request(), false},
		{"a denial whose condition fails", allow + `},{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, request(), true},
	} {
		p, err := Parse([]byte(`{"Version":"2012-10-17","Statement":[` + c.statements + `]}`))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := p.Allows(c.request); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	for document, want := range map[string]string{
		`{"Statement":[{"Effect":"Maybe"}]}`:                                                       "Allow or Deny",
		`{"Statement":[{"Sid":"s","Effect":"Allow","NotAction":"x"}]}`:                             "NotAction",
		`{"Statement":[{"Sid":"s","Effect":"Allow","Condition":{"Odd":{"aws:SourceArn":"b"}}}]}`:   `"s": condition operator Odd`,
		`{"Statement":[{"Effect":"Allow","Principal":{"Federated":"x"}}]}`:                         "kind Federated",
		`{"Statement":[{"Sid":"s","Effect":"Allow","Condition":{"Bool":{"a:b":"c"}}}]}`:            `"s": condition key a:b`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"a:${aws:username}"}]}`: "policy variables",
		`{"Statement":`: "policy document",
	} {
		if _, err := Parse([]byte(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", document, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":["a"],"Resource":"*"}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		if p, err := Parse([]byte(document)); err == nil {
			p.Allows(Request{Action: "a", Resource: "r"})
		}
	})
}
