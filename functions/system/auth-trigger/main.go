// Command auth-trigger announces what people do with their accounts in a user
// pool of Cognito: events of package auth.
//
//	post authentication              ──▶ auth/AUTH_LOGIN
//	post confirmation, of a sign-up  ──▶ auth/AUTH_REGISTER
//
// A person waits while it runs, and is turned away if it fails. So it never
// does, and gives each way a second at most:
//
//  1. The event is put on the bus.
//  2. If that does not succeed in time, it goes into a queue, from which this
//     program, called with its messages, puts it on the bus later.
//  3. If that does not either, it is lost: a line of the log has it, and a metric
//     counts it, which has an alarm.
//
// Cognito waits for 5 seconds, and calls up to three times ("Customizing user
// pool workflows with Lambda triggers"). An event made by a repeated call has the
// same id, see [eventOf].
package main

import (
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/functions/awsenv"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	t, err := newTrigger(eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg), os.Getenv, slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(t.handle)
}
