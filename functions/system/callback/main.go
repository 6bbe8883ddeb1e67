// Command callback sends the results of asynchronous calls to those who wait for
// them: a connector gave a callback URL with its call.
//
//	connector ── call ──▶ Lambda ──▶ function
//	                        │ its destination: the record of how the call ended
//	                        ▼
//	                       bus ── rule: calls with a callback URL ──▶ queue ──▶ callback ── POST ──▶ URL
//
// The life of a result:
//
//  1. The message is read: the record of Lambda's destination, with the request
//     and the response beside it. One that is none goes to the DLQ.
//  2. The result is POSTed to the URL, if its host is on the environment's list
//     ("callbackHosts"), by HTTPS, and to a public address; see package egress. It
//     is signed by the secret callback-signing.
//  3. A status of 2xx ends it. Any other, and a failure to send, is tried again
//     later and later, by the queue; 429 and 503 with Retry-After after that. What
//     is refused for good, and what has failed for the last time, goes to the DLQ
//     with the reason.
//
// The body is that of the function's response, in its content type. Headers say
// the rest:
//
//	X-Call-Id           the id that the caller was given; of a repetition the same
//	X-Function-Name     as it was called: "printer" or "printer.billing"
//	X-Function-Status   the status of the function's response; 500 of a function
//	                    that failed, 502 of one whose response is none
//	X-Duration-Seconds  from the call to the result, with the time that it waited
//	X-Function-Error    only if there is no response of the function: Unhandled (it
//	                    failed), EventAgeExceeded (it was throttled for too long)
//	                    and so on; the body is then Lambda's JSON about the error
//	webhook-id, webhook-timestamp, webhook-signature
//	                    by the rules of Standard Webhooks; the id is the call's
//
// A result may be sent twice, as everything here: a receiver knows a repetition
// by its id.
package main

import (
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/handler/queue"
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
	s, err := newSender(cache, queue.New(cfg), os.Getenv, slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(s.handle)
}
