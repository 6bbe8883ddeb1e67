package local

import (
	"context"
	"fmt"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/secretsmanager"
)

type secretProperties struct {
	Name                 string
	Description          string
	GenerateSecretString secretsmanager.Generate
	Tags                 tags
}

func (p *secretProperties) Validate() error {
	if p.Name == "" {
		return fmt.Errorf("property Name is missing: a secret without a name is not supported by the local environment")
	}
	if err := p.GenerateSecretString.Check(); err != nil {
		return fmt.Errorf("property GenerateSecretString: %w", err)
	}
	return nil
}

// secret makes a secret with a value that nobody has seen; one that is there
// keeps its own, as on AWS it does while GenerateSecretString stays the same.
func (e *Environment) secret(_ context.Context, _ cloudformation.Resource, p secretProperties) (cloudformation.Attributes, error) {
	arn, err := e.secrets.Ensure(p.Name, p.Description, p.Tags.values(), p.GenerateSecretString)
	return cloudformation.Attributes{Ref: arn, Att: map[string]string{"Id": arn}}, err
}

func (e *Environment) removeSecret(_ context.Context, _ cloudformation.Resource, p secretProperties) (string, error) {
	return "", e.secrets.Discard(p.Name)
}
