// Command outbox-relay moves committed events from the outbox table to the bus.
//
// Lambda calls it with batches of the table's stream, as soon as something was
// committed. A schedule calls it every minute to sweep the table for what the
// stream has missed: a stream forgets its records after 24 hours, sent or not.
//
// An event leaves the table in one of two ways only: the bus has accepted it,
// or a person has deleted it. One that the bus will never take (refused, or
// unreadable) is set aside in the table with its reason, and holds up no other.
package main

import (
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/functions/awsenv"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	r, err := newRelay(eventbridge.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg), os.Getenv,
		slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(r.handle)
}
