// Command withdrawal-fee charges a fee for each withdrawal from a deposit
// account.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/secrets"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	cache, err := secrets.New(secretsmanager.NewFromConfig(cfg))
	if err != nil {
		log.Fatal(err)
	}
	fees, err := newFees(dynamodb.NewFromConfig(cfg), cache, os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	handler.Start(handler.Each(fees.charge))
}
