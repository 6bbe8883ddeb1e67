package main

var functions = suite{"handler", "What runs around a function", []part{
	{"decode", "MB a second from Lambda's payload to typed events to the response, against aws-lambda-go's types with encoding/json", decoding},
	{"middleware_overhead", "ms that the standard middlewares take for 1,000 events besides decoding", overhead},
	{"cold_start", "ms from a function's start to its first poll of Lambda, against a bare aws-lambda-go handler", coldStart},
	{"binary_size", "MB of a function's program, against a bare aws-lambda-go handler", binarySize},
}}
