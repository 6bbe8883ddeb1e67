package sqs

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// What a queue's policy may have ("Amazon SQS policy quotas").
const (
	maxPolicyBytes      = 8192
	maxPolicyStatements = 20
	maxPolicyActions    = 7 // a statement
)

// parsePolicy reads a queue's policy.
func parsePolicy(document string) (*policy.Policy, error) {
	p, err := policy.Parse([]byte(document))
	if err != nil {
		return nil, awswire.Errorf("InvalidAttributeValue", "Policy: %v", err)
	}
	if n := len(document); n > maxPolicyBytes {
		return nil, overLimit("Policy: a policy has at most %d bytes (got %d)", maxPolicyBytes, n)
	}
	return p, nil
}

// policyDocument is a policy with its statements as they were written.
type policyDocument struct {
	Version   string            `json:",omitempty"`
	ID        string            `json:"Id,omitempty"`
	Statement []json.RawMessage // in the order of the document
}

// sid returns the id of a statement; empty if it has none.
func sid(statement json.RawMessage) string {
	var s struct{ Sid string }
	_ = json.Unmarshal(statement, &s) // the policy was parsed when it was set
	return s.Sid
}

// editPolicy makes a queue's policy what edit makes of it; a policy left
// without a statement is removed.
func (s *Service) editPolicy(name string, edit func(*policyDocument) error) error {
	return s.editAttributes(name, func(a Attributes) error {
		doc := policyDocument{Version: "2008-10-17", ID: s.ARN(name) + "/SQSDefaultPolicy"}
		if text := a["Policy"]; text != "" {
			doc = policyDocument{}
			if err := json.Unmarshal([]byte(text), &doc); err != nil {
				return err
			}
		}
		if err := edit(&doc); err != nil {
			return err
		}
		if len(doc.Statement) == 0 {
			delete(a, "Policy")
			return nil
		}
		text, err := json.Marshal(doc)
		a["Policy"] = string(text)
		return err
	})
}

var validAccount = regexp.MustCompile(`^\d{12}$`)

// AddPermission adds a statement to a queue's policy, which allows accounts to
// do actions (like SendMessage, or * for all) with the queue.
func (s *Service) AddPermission(name, label string, accounts, actions []string) error {
	if !validName(label) {
		return awswire.Errorf("InvalidParameterValue", "Value %q for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length", label)
	}
	if len(accounts) == 0 {
		return awswire.Errorf("MissingParameter", "The request must contain the parameter AWSAccountIds")
	}
	if len(actions) == 0 {
		return awswire.Errorf("MissingParameter", "The request must contain the parameter Actions")
	}
	if n := len(actions); n > maxPolicyActions {
		return overLimit("%d Actions were found, maximum allowed is %d", n, maxPolicyActions)
	}
	var principals, allowed []string
	for _, account := range accounts {
		if !validAccount.MatchString(account) {
			return awswire.Errorf("InvalidParameterValue", "Value %q for parameter PrincipalId is invalid. Reason: want the 12 digits of an account", account)
		}
		principals = append(principals, "arn:aws:iam::"+account+":root")
	}
	operations := s.Operations()
	for _, action := range actions {
		if _, known := operations[action]; !known && action != "*" {
			return awswire.Errorf("InvalidParameterValue", "Value SQS:%s for parameter ActionName is invalid. Reason: Please refer to the appropriate WSDL for a list of valid actions", action)
		}
		allowed = append(allowed, "SQS:"+action)
	}
	statement, err := json.Marshal(struct {
		Sid, Effect string
		Principal   map[string]any
		Action      any
		Resource    string
	}{label, "Allow", map[string]any{"AWS": oneOrMany(principals)}, oneOrMany(allowed), s.ARN(name)})
	if err != nil {
		return err
	}
	return s.editPolicy(name, func(doc *policyDocument) error {
		if slices.ContainsFunc(doc.Statement, func(s json.RawMessage) bool { return sid(s) == label }) {
			return awswire.Errorf("InvalidParameterValue", "Value %s for parameter Label is invalid. Reason: Already exists", label)
		}
		if len(doc.Statement) >= maxPolicyStatements {
			return overLimit("the policy of queue %q has %d statements, the most that it may have", name, len(doc.Statement))
		}
		doc.Statement = append(doc.Statement, statement)
		return nil
	})
}

// RemovePermission removes the statement with the label from a queue's policy.
func (s *Service) RemovePermission(name, label string) error {
	return s.editPolicy(name, func(doc *policyDocument) error {
		i := slices.IndexFunc(doc.Statement, func(s json.RawMessage) bool { return label != "" && sid(s) == label })
		if i < 0 {
			return awswire.Errorf("InvalidParameterValue", "Value %s for parameter Label is invalid. Reason: can't find label", label)
		}
		doc.Statement = slices.Delete(doc.Statement, i, i+1)
		return nil
	})
}

// oneOrMany is how a policy writes a list: a lone element stands by itself.
func oneOrMany(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func overLimit(format string, args ...any) error {
	e := awswire.Errorf("OverLimit", format, args...)
	e.Status = http.StatusForbidden
	return e
}
