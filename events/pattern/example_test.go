package pattern_test

import (
	"fmt"
	"log"

	"github.com/penstock-dev/penstock/events/pattern"
)

func Example() {
	large, err := pattern.Parse([]byte(`{"source": ["savings"], "detail": {"data": {"amount": [{"numeric": [">", 1000]}]}}}`))
	if err != nil {
		log.Fatal(err)
	}
	urgent, err := pattern.Parse([]byte(`{"detail": {"data": {"tags": ["urgent"]}}}`))
	if err != nil {
		log.Fatal(err)
	}

	event, err := pattern.Decode([]byte(`{"source": "savings", "detail": {"data": {"amount": 1500, "tags": ["branch"]}}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("large:", large.MatchEvent(event))
	fmt.Println("urgent:", urgent.MatchEvent(event))

	_, err = pattern.Parse([]byte(`{"source": "savings"}`))
	fmt.Println(err)
	// Output:
	// large: true
	// urgent: false
	// event pattern: source: must be an object or an array, not a string: write ["savings"]
}

func ExamplePattern_Check() {
	filter, err := pattern.Parse([]byte(`{"data": {"amuont": [{"numeric": [">", 0]}], "channel": ["ATN"]}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filter.Check([]byte(`{"type": "object", "properties": {"data": {"type": "object", "properties": {
		"amount": {"type": "number"},
		"channel": {"type": "string", "enum": ["ATM", "BRANCH"]}
	}}}}`)))
	// Output:
	// data.amuont: there is no such field: did you mean data.amount?
	// data.channel: "ATN" never matches: the field is "ATM" or "BRANCH": did you mean "ATM"?
}
