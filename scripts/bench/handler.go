package main

var handlers = suite{"handler", "The runtime of functions", []part{
	{"decode", "MB a second from Lambda's payload to typed events to the response, against aws-lambda-go's types with encoding/json", decoding},
	{"middleware_overhead", "ms a batch of 1,000 events that the standard middlewares take besides decoding", overhead},
}}
