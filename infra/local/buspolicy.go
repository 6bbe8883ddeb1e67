package local

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

type busPolicyProperties struct {
	EventBusName string
	StatementId  string //nolint:revive // CloudFormation's spelling
	Statement    json.RawMessage
}

func (p *busPolicyProperties) Validate() error {
	_, err := policy.Parse(fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[%s]}`, p.Statement))
	return err
}

func (e *Environment) busPolicy(_ context.Context, _ cloudformation.Resource, p busPolicyProperties) (cloudformation.Attributes, error) {
	err := e.events.EnsureStatement(p.EventBusName, p.StatementId, p.Statement)
	return cloudformation.Attributes{Ref: p.EventBusName + "|" + p.StatementId}, err
}
