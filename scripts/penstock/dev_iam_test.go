package main

import (
	"bytes"
	"testing"

	"github.com/penstock-dev/penstock/infra/local"
)

// someGrants are grants of two roles.
func someGrants() []local.Grant {
	return []local.Grant{
		{Role: "a", Policy: "p", Statement: "#1", Action: "sqs:SendMessage", Resource: "q", Used: true},
		{Role: "a", Policy: "p", Statement: "Put", Action: "dynamodb:PutItem", Resource: "t", Conditions: []string{"StringLike dynamodb:leadingkeys a/*"}},
		{Role: "b", Policy: "p", Statement: "#1", Action: "sqs:*", Resource: "<q>"},
	}
}

func TestTheReportListsWhatWasNeverUsedFirst(t *testing.T) {
	const table = `USED   ROLE  POLICY  STATEMENT  ACTION            RESOURCE  CONDITIONS
never  a     p       Put        dynamodb:PutItem  t         StringLike dynamodb:leadingkeys a/*
never  b     p       #1         sqs:*             <q>       
yes    a     p       #1         sqs:SendMessage   q         
`
	const asJSON = `[
  {
    "role": "a",
    "policy": "p",
    "statement": "Put",
    "action": "dynamodb:PutItem",
    "resource": "t",
    "conditions": [
      "StringLike dynamodb:leadingkeys a/*"
    ],
    "used": false
  },
  {
    "role": "b",
    "policy": "p",
    "statement": "#1",
    "action": "sqs:*",
    "resource": "<q>",
    "used": false
  },
  {
    "role": "a",
    "policy": "p",
    "statement": "#1",
    "action": "sqs:SendMessage",
    "resource": "q",
    "used": true
  }
]
`
	for want, json := range map[string]bool{table: false, asJSON: true} {
		var got bytes.Buffer
		if err := writeGrants(&got, someGrants(), json); err != nil || got.String() != want {
			t.Errorf("%v\ngot\n%s\nwant\n%s", err, &got, want)
		}
	}
}

func TestWhatWasNeverUsedIsCountedByRole(t *testing.T) {
	const want = "permissions: 2 of 3 grants were never used since --reset: a 1, b 1 (--iam-report - lists them)\n"
	if got := unusedInShort(someGrants()); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got := unusedInShort(someGrants()[:1]); got != "" {
		t.Errorf("all were used: %q", got)
	}
}
