// The CDK app: `cdk deploy --all -c env=dev`, or whatever environment of
// environments.json. A project that uses Penstock has this program, with a name
// of its own for the application.
package main

import (
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/penstock-dev/penstock/infra/stacks"
)

//go:generate go test ./stacks -run TestSnapshots -update

func main() {
	defer stacks.Exit()
	root := os.DirFS(".")
	app := awscdk.NewApp(nil)
	stacks.New(app, &stacks.Props{Root: root, App: "penstock", Env: stacks.Environment(app, root)}).Synth()
}
