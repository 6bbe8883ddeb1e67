// Command breaker stops subscriptions that fail, and looks after those that are
// stopped; package stops says what that means.
//
// It is called in two ways:
//
//   - by a subscription's alarm, once too many of its events fail. The breaker
//     records the stop, disables the mapping, publishes
//     penstock/SUBSCRIPTION_STOPPED, and tells people by the topic;
//   - every minute by a schedule. It brings the mappings of stopped subscriptions
//     in line with their records, publishes and tells what was not told yet (what
//     a person has done with the command, or what it died over), and tries those
//     functions again whose manifests ask for it ("probeAfterMinutes").
//
// Everything may be delivered twice: a stop that is recorded is not recorded
// again; its event has the same id each time, and people may be told twice.
package main

import (
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/functions/awsenv"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	b, err := newBreaker(clients{
		lambda: awslambda.NewFromConfig(cfg), items: dynamodb.NewFromConfig(cfg), alarms: cloudwatch.NewFromConfig(cfg),
		queues: sqs.NewFromConfig(cfg), topics: sns.NewFromConfig(cfg), bus: eventbridge.NewFromConfig(cfg),
	}, os.Getenv, slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(b.handle)
}
