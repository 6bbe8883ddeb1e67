// Command portfolio-shares says which portfolios have which part of a class of
// instruments, to whoever calls it.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(shares) }
