// Command goaws serves SQS by goaws, in memory, on a free loopback port, which
// it prints. It is a process of its own, as `penstock dev` is.
//
// Its answers to SendMessageBatch name a member otherwise than SQS does, so that
// clients do not see which messages were taken, and compare no checksums. That
// is mended here: both sides' clients have the same to do.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/Admiral-Piett/goaws/app/gosqs"
	"github.com/Admiral-Piett/goaws/app/models"
	"github.com/Admiral-Piett/goaws/app/router"
	"github.com/sirupsen/logrus"
)

func main() {
	logrus.SetLevel(logrus.ErrorLevel) // it would write a line a message
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	models.CurrentEnvironment.Region = "us-east-1"
	models.CurrentEnvironment.AccountID = "000000000000"
	models.CurrentEnvironment.Host, models.CurrentEnvironment.Port = "127.0.0.1", port
	models.CurrentEnvironment.QueueAttributeDefaults.VisibilityTimeout = 30
	models.CurrentEnvironment.QueueAttributeDefaults.MaximumMessageSize = 262_144
	go gosqs.PeriodicTasks(time.Second, nil)
	fmt.Println("http://" + listener.Addr().String())
	server := &http.Server{Handler: readable(router.New()), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// readable answers SendMessageBatch as clients read it.
func readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessageBatch" {
			w = renaming{w}
		}
		next.ServeHTTP(w, r)
	})
}

type renaming struct{ http.ResponseWriter }

// Write is called once with all of an answer.
func (w renaming) Write(answer []byte) (int, error) {
	_, err := w.ResponseWriter.Write(bytes.Replace(answer, []byte(`"SendMessageBatchResultEntry":`), []byte(`"Successful":`), 1))
	return len(answer), err
}
