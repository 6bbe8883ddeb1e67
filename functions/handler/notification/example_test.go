package notification_test

import (
	"fmt"

	"github.com/penstock-dev/penstock/functions/handler/notification"
)

func Example() {
	templates, err := notification.Parse([]byte(`[{
		"name": "Large withdrawal",
		"event": "savings/SAVINGS_WITHDRAWAL",
		"condition": {"data": {"amount": [{"numeric": [">", 10000]}]}},
		"kind": "json",
		"body": "{\"to\": {data.owner}, \"text\": \"{data.amount} left account {data.accountId}.{data.note}\"}"
	}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := notification.ReadDetail([]byte(`{"data": {"owner": "Ann \"Al\" Example", "accountId": "ACC-1001", "amount": 12500.50}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range templates {
		if t.Holds(d) {
			fmt.Println(t.Render(d))
		}
	}
	// Output: {"to": "Ann \"Al\" Example", "text": "12500.50 left account ACC-1001."}
}
