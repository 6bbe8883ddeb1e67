// Package cdkcli knows the CDK's command, `cdk`, which deploys what the CDK app
// describes. Its test deploys a whole environment with it.
package cdkcli

import "fmt"

// Major and Minor are of the version of the npm package aws-cdk that the README
// and the tests use. The command reads what older libraries wrote, and refuses
// what newer ones did ("AWS CDK CLI versioning").
const Major, Minor = 2, 1148

// Package is what npx runs.
var Package = fmt.Sprintf("aws-cdk@%d.%d.1", Major, Minor)
