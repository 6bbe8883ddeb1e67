package local

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
)

type busPolicyProperties struct {
	EventBusName string
	StatementId  string //nolint:revive // CloudFormation's spelling
	Statement    struct {
		Sid, Effect       string
		Principal, Action json.RawMessage
		Resource          json.RawMessage
		Condition         map[string]map[string]string
	}
}

// Validate takes the one statement that has nothing to do here: on loopback
// every request counts as one by TLS.
func (p *busPolicyProperties) Validate() error {
	c := p.Statement.Condition
	if p.Statement.Effect != "Deny" || len(c) != 1 || len(c["Bool"]) != 1 || c["Bool"]["aws:SecureTransport"] != "false" {
		return fmt.Errorf("property Statement: the local environment supports none but one that denies what is not sent by TLS")
	}
	return nil
}

func (e *Environment) busPolicy(_ context.Context, _ cloudformation.Resource, p busPolicyProperties) (cloudformation.Attributes, error) {
	id := p.EventBusName + "|" + p.StatementId
	return cloudformation.Attributes{Ref: id}, nil
}
