// Command goaws serves SQS by goaws, in memory, on a free loopback port, which
// it prints. It is a process of its own, as `penstock dev` is.
package main

import (
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
	server := &http.Server{Handler: router.New(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
