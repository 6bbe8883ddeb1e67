package stacks

import (
	"fmt"
	"io/fs"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// DefaultEnvironment is the environment where none is asked for.
const DefaultEnvironment = "local"

// Environment reads the environment that the CDK was asked for, as in
// `cdk deploy -c env=prod`, from infra/environments.json of the project at
// root. Without -c it is DefaultEnvironment. It panics with an error if there
// is none of the name, or if the file has a fault.
func Environment(app awscdk.App, root fs.FS) manifest.Environment {
	name := DefaultEnvironment
	if asked := app.Node().TryGetContext(jsii.String("env")); asked != nil {
		name = fmt.Sprint(asked)
	}
	env, err := manifest.LoadEnvironment(root, name)
	if err != nil {
		panic(err)
	}
	return env
}
