// Command webhook runs the functions on HTTP: those whose manifest has "http" in
// place of a program. Each runs as a function of its own, under its own name, with
// a role that follows from its manifest, which is in its zip at the path that it
// has in the project. What it does is told by package functions/webhook.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/penstock-dev/penstock/functions/awsenv"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/functions/webhook"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

func main() {
	cfg, err := awsenv.Config()
	if err != nil {
		log.Fatal(err)
	}
	d, err := newDeliverer(os.DirFS(os.Getenv("LAMBDA_TASK_ROOT")), os.Getenv, cfg)
	if err != nil {
		log.Fatal(err)
	}
	handler.Start(handler.Records(d))
}

// newDeliverer reads what the deployment has put into the zip and the variables.
func newDeliverer(zip fs.FS, getenv func(string) string, cfg aws.Config) (*webhook.Deliverer, error) {
	name := getenv("PENSTOCK_FUNCTION")
	file := path.Join("functions", name, "function.json")
	data, err := fs.ReadFile(zip, file)
	if err != nil {
		return nil, err
	}
	var manifest struct {
		HTTP struct {
			Secret         string            `json:"secret"`
			TimeoutSeconds int               `json:"timeoutSeconds"`
			Headers        map[string]string `json:"headers"`
		} `json:"http"`
		Subscriptions []struct {
			Name  string `json:"name"`
			Event string `json:"event"`
		} `json:"subscriptions"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	secrets := secretsmanager.NewFromConfig(cfg)
	c := webhook.Config{
		Function: name,
		URL:      getenv("PENSTOCK_WEBHOOK_URL"), // the environment may have another than the manifest
		Headers:  manifest.HTTP.Headers,
		Timeout:  time.Duration(manifest.HTTP.TimeoutSeconds) * time.Second,
		Loopback: getenv("PENSTOCK_EGRESS") == "local",
		Secret:   webhook.NewSecret(secrets, getenv("PENSTOCK_APP")+"/"+getenv("PENSTOCK_ENV")+"/"+manifest.HTTP.Secret),
		Attempts: map[string]int{},
	}
	if getenv("PENSTOCK_SESSION_KEYS") != "" {
		env, keys, err := session.FromEnvironment(secrets)
		if err != nil {
			return nil, err
		}
		if c.Sessions, err = session.NewMinter(env, keys); err != nil {
			return nil, err
		}
	}
	var retries map[string]struct {
		MaxReceiveCount int `json:"maxReceiveCount"`
	}
	if text := getenv("PENSTOCK_RETRIES"); text != "" {
		if err := json.Unmarshal([]byte(text), &retries); err != nil {
			return nil, fmt.Errorf("PENSTOCK_RETRIES is %q, which the deployment makes of the manifest: %w", text, err)
		}
	}
	for subscription, r := range retries {
		c.Attempts[subscription] = r.MaxReceiveCount
	}
	items := dynamodb.NewFromConfig(cfg)
	if table := getenv("PENSTOCK_DELIVERIES_TABLE"); table != "" {
		days, err := strconv.Atoi(getenv("PENSTOCK_DELIVERIES_DAYS"))
		if err != nil {
			return nil, fmt.Errorf("PENSTOCK_DELIVERIES_DAYS is %q, and must be a whole number: the deployment sets it", getenv("PENSTOCK_DELIVERIES_DAYS"))
		}
		c.Log = deliveries.Log{API: items, Table: table, Days: days}
	}
	gone := &disabler{
		function: name, lambda: getenv("AWS_LAMBDA_FUNCTION_NAME"), mappings: lambda.NewFromConfig(cfg),
		stops: &stops.Switch{Mappings: lambda.NewFromConfig(cfg), Items: items, Table: getenv("PENSTOCK_STATE_TABLE")},
	}
	for _, s := range manifest.Subscriptions {
		gone.subscriptions = append(gone.subscriptions, subscription{Name: s.Name, Event: s.Event})
	}
	if err := gone.readQueues(getenv("PENSTOCK_QUEUES")); err != nil {
		return nil, err
	}
	c.Disable = gone.disable
	return webhook.New(c)
}
