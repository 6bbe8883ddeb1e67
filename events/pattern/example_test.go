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
