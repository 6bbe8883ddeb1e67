// Command withdrawal-fee charges a fee for each withdrawal from a deposit
// account.
package main

import (
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/handler"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	fees, err := newFees(dynamodb.NewFromConfig(cfg), os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	handler.Start(handler.Each(fees.charge))
}
