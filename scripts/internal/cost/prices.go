package cost

import "github.com/penstock-dev/penstock/infra/local/meter"

// PricesOf is when the prices below were last looked up, and PricesIn the region
// whose list prices they are: in US dollars, of the first tier, on demand, and
// with no free tier taken off. Other regions have others.
const (
	PricesOf = "2026-11-21"
	PricesIn = "us-east-1"
)

const (
	million  = 1e6
	gigabyte = 1 << 30
)

// price is what one piece of a unit costs.
type price struct {
	service string
	dollars float64
	source  string // the title of AWS's page
}

// prices of what is counted, by unit. A unit that is not here is not billed.
var prices = map[meter.Unit]price{
	meter.CustomEvent:      {"EventBridge", 1.00 / million, "Amazon EventBridge pricing"},
	meter.ReplayedEvent:    {"EventBridge", 1.00 / million, "Amazon EventBridge pricing"},
	meter.ArchivedByte:     {"EventBridge", 0.10 / gigabyte, "Amazon EventBridge pricing"},
	meter.QueueRequest:     {"SQS", 0.40 / million, "Amazon SQS pricing"},
	meter.FunctionRequest:  {"Lambda", 0.20 / million, "AWS Lambda Pricing"},
	meter.FunctionGBSecond: {"Lambda", 0.0000133334, "AWS Lambda Pricing"}, // arm64
	meter.TableRead:        {"DynamoDB", 0.125 / million, "Amazon DynamoDB pricing"},
	meter.TableWrite:       {"DynamoDB", 0.625 / million, "Amazon DynamoDB pricing"},
	meter.LogByte:          {"CloudWatch Logs", 0.50 / gigabyte, "Amazon CloudWatch pricing"},
	meter.SecretCall:       {"Secrets Manager", 0.05 / 10_000, "AWS Secrets Manager pricing"},
	meter.TopicRequest:     {"SNS", 0.50 / million, "Amazon SNS pricing"},
	meter.APIRequest:       {"API Gateway", 1.00 / million, "Amazon API Gateway pricing"},
	meter.Email:            {"SNS", 2.00 / 100_000, "Amazon SNS pricing"},
}

// Prices by the month, whatever passes.
const (
	alarmMetricMonth  = 0.10 // "Amazon CloudWatch pricing": of each metric that a standard alarm looks at
	customMetricMonth = 0.30 // "Amazon CloudWatch pricing"
	dashboardMonth    = 3.00 // "Amazon CloudWatch pricing"
	secretMonth       = 0.40 // "AWS Secrets Manager pricing"
	keyMonth          = 1.00 // "AWS Key Management Service pricing"
)

// idlePolls is how many receives Lambda makes on an empty queue in a month of
// 730 hours, each billed. AWS does not say how many pollers a mapping has; this
// takes one for each of the five batches that a mapping begins with
// ("Configuring scaling behavior for SQS event source mappings"), and long polls
// of 20 s.
const idlePolls = 5 * 730 * 3600 / 20
