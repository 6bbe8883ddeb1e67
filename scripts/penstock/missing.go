package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/manifest"
)

// tellMissingSecrets names the secrets that functions read and that nobody has
// created yet: without one, a function fails every event.
func tellMissingSecrets(ctx context.Context, out io.Writer, root string, env *local.Environment) error {
	functions, err := manifest.Load(os.DirFS(root))
	if err != nil {
		return err
	}
	client := secretsmanager.NewFromConfig(awsConfig(env))
	for _, f := range slices.Concat(functions, manifest.System(functions)) {
		for _, name := range f.AllSecrets() {
			id := env.Names().Secret(name)
			_, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
			var missing *types.ResourceNotFoundException
			if errors.As(err, &missing) {
				create := "secrets create " + name
				if f.Kind() == manifest.KindHTTP {
					create = "functions rotate-secret " + f.Name + " --secret-file FILE"
				}
				fmt.Fprintf(out, "\n%s reads the secret %s, which does not exist yet. Create it:\n  penstock %s\n", f.Name, name, create)
			} else if err != nil {
				return fmt.Errorf("looking for the secret %s: %w", name, err)
			}
		}
	}
	return nil
}
