// Command storage-api is the data API: it reads and writes the rows of users, by
// dataset, bucket and container, over HTTP.
//
//	GET    /rows/{dataset}/{bucket}/{container}        a page of rows: ?limit=50&next=…
//	GET    /rows/{dataset}/{bucket}/{container}/{row}  one
//	PUT    /rows/{dataset}/{bucket}/{container}/{row}  writes it: the body is its data, any JSON
//	DELETE /rows/{dataset}/{bucket}/{container}/{row}
//
// Whoever asks sees and changes the rows of one user, whom the authorizer names
// (storage-authorizer); it is no part of the request that could be made up. What
// another user has is not there: 404, whether it exists or not.
//
// A row has an ETag. If-Match makes a change only if the row still has it,
// If-None-Match: * only if there is none: else 412.
package main

import (
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/system/storage-api/rows"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	table := os.Getenv("PENSTOCK_STORAGE_TABLE")
	if table == "" {
		log.Fatal("PENSTOCK_STORAGE_TABLE is not set: on Lambda it always is")
	}
	a := &api{table: &rows.Table{Client: dynamodb.NewFromConfig(cfg), Name: table}, logger: slog.New(slog.NewJSONHandler(os.Stdout, nil))}
	lambda.Start(a.handle)
}
