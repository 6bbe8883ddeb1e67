package cloudformation_test

import (
	"context"
	"fmt"
	"log"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
)

func Example() {
	template, err := cloudformation.Parse("shop-local", []byte(`{
		"Resources": {
			"QueueUrl": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/shop/queue", "Value": {"Ref": "Queue"}}},
			"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "shop-local-orders", "DelaySeconds": "5"}}
		}
	}`))
	if err != nil {
		log.Fatal(err)
	}

	type queue struct {
		QueueName    string
		DelaySeconds int
	}
	types := cloudformation.Types{
		"AWS::SQS::Queue": cloudformation.Provide(
			func(_ context.Context, r cloudformation.Resource, p queue) (cloudformation.Attributes, error) {
				fmt.Printf("%s: queue %s, delay %d s\n", r.LogicalID, p.QueueName, p.DelaySeconds)
				return cloudformation.Attributes{Ref: "http://127.0.0.1:4566/000000000000/" + p.QueueName}, nil
			}),
		"AWS::SSM::Parameter": cloudformation.Provide(
			func(_ context.Context, r cloudformation.Resource, p struct{ Name, Value string }) (cloudformation.Attributes, error) {
				fmt.Printf("%s: parameter %s is %s\n", r.LogicalID, p.Name, p.Value)
				return cloudformation.Attributes{Ref: p.Name}, nil
			}),
	}
	env := cloudformation.Environment{AccountID: "000000000000", Region: "eu-central-1"}
	if _, err := cloudformation.Deploy(context.Background(), env, types, nil, template); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Queue: queue shop-local-orders, delay 5 s
	// QueueUrl: parameter /shop/queue is http://127.0.0.1:4566/000000000000/shop-local-orders
}
