package local

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

type managedPolicyProperties struct {
	ManagedPolicyName string
	Description       string
	Path              string
	PolicyDocument    json.RawMessage
}

func (p *managedPolicyProperties) Validate() error {
	_, err := policy.Parse(p.PolicyDocument)
	return err
}

// managedPolicy takes a policy that is attached to nobody.
func (e *Environment) managedPolicy(_ context.Context, _ cloudformation.Resource, p managedPolicyProperties) (cloudformation.Attributes, error) {
	arn := fmt.Sprintf("arn:aws:iam::%s:policy/%s", e.config.Account, p.ManagedPolicyName)
	return cloudformation.Attributes{Ref: arn, Att: map[string]string{"PolicyArn": arn}}, nil
}
