package main

var localSuite = suite{"local", "The local environment", []part{
	{"end_to_end", "events a second from PutEvents to the function that has handled them, in batches of 500", endToEnd},
	{"end_to_end_p99", "ms from PutEvents until an event is handled, for 99 of 100: 500 a second, batches of up to 10, no window", endToEndLatency},
	{"sqs", "messages a second through SQS, in tens by 8 clients, against goaws, which keeps them in memory", queueing},
	{"match", "events a second that are matched with the rules of a bus, by one core and in its time", matching},
	{"ready", "s from the start of penstock dev with 20 functions until it is ready, and its memory then", readiness},
}}
