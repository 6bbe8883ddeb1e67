// Command storage-trigger announces the changes of users' rows: events of package
// storage, made of what the stream of the storage table says.
//
//	a row is there that was not  ──▶ storage/STORAGE_INSERT
//	a row has other data         ──▶ storage/STORAGE_UPDATE
//	a row is gone                ──▶ storage/STORAGE_DELETE
//
// A change that leaves a row's data as they were is announced to nobody, so that
// a function which is told of a row and writes back what is there does not call
// itself. Of an item that is written again just as it was, with its ETag,
// DynamoDB tells nothing to begin with ("Change data capture for DynamoDB
// Streams"). A row that expired would be gone like any other, and be announced as
// deleted: but the table has no time to live.
//
// Every change is announced at least once: what the bus does not take, whatever
// the reason, is sent again, with the same id ([eventOf]), for half a day. Then a
// queue is told where in the stream it is, which keeps it for another half. An
// item that is no row of the data API is in the log, and counted, and holds up
// nothing.
package main

import (
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/functions/awsenv"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	t, err := newTrigger(eventbridge.NewFromConfig(cfg), os.Getenv, slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(t.handle)
}
