package dynamodb

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The actions of a transaction on the table accounts.

func txPut(t testing.TB, text, condition string) types.TransactWriteItem {
	p := &types.Put{TableName: aws.String("accounts"), Item: item(t, text)}
	if condition != "" {
		p.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Put: p}
}

func txDelete(t testing.TB, pk, condition string) types.TransactWriteItem {
	d := &types.Delete{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"`+pk+`"}}`)}
	if condition != "" {
		d.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Delete: d}
}

func txCheck(t testing.TB, pk, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"`+pk+`"}}`), ConditionExpression: &condition}}
}

// txAdd adds to the attribute n.
func txAdd(t testing.TB, pk string, n int) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"`+pk+`"}}`),
		UpdateExpression:          aws.String("SET n = if_not_exists(n, :zero) + :n"),
		ExpressionAttributeValues: item(t, fmt.Sprintf(`{":zero":{"N":"0"},":n":{"N":"%d"}}`, n))}}
}

func TestATransactionWritesAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		actions func(t *testing.T) []types.TransactWriteItem
		codes   string // of the cancellation reasons; empty: it commits
		want    string // the items new, ann and bob
	}{
		{"all conditions hold", func(t *testing.T) []types.TransactWriteItem {
			return []types.TransactWriteItem{txPut(t, `{"pk":{"S":"new"}}`, "attribute_not_exists(pk)"), txAdd(t, "ann", 2), txDelete(t, "bob", "n = n2"), txCheck(t, "none", "attribute_not_exists(pk)")}
		}, "", `{"pk":{"S":"new"}} {"n":{"N":"3"},"pk":{"S":"ann"}} -`},
		{"two conditions do not", func(t *testing.T) []types.TransactWriteItem {
			return []types.TransactWriteItem{txPut(t, `{"pk":{"S":"new"}}`, ""), txPut(t, `{"pk":{"S":"ann"}}`, "attribute_not_exists(pk)"), txAdd(t, "carol", 1), txCheck(t, "bob", "n > n2")}
		}, "None ConditionalCheckFailed None ConditionalCheckFailed", "-  "},
		{"an update that the item does not allow", func(t *testing.T) []types.TransactWriteItem {
			return []types.TransactWriteItem{txPut(t, `{"pk":{"S":"new"}}`, ""), txAdd(t, "text", 1), txCheck(t, "none", "attribute_exists(pk)")}
		}, "None ValidationError ConditionalCheckFailed", "-  "},
		{"what does not fit the table comes before any condition", func(t *testing.T) []types.TransactWriteItem {
			return []types.TransactWriteItem{txCheck(t, "none", "attribute_exists(pk)"), txPut(t, `{"pk":{"N":"1"}}`, ""), txPut(t, `{"pk":{"N":"2"}}`, "")}
		}, "None ValidationError None", "-  "},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := client(t, accounts)
			before := []string{`{"n":{"N":"1"},"pk":{"S":"ann"}}`, `{"n":{"N":"1"},"n2":{"N":"1"},"pk":{"S":"bob"}}`}
			putAll(t, client, "accounts", append(before, `{"n":{"S":"text"},"pk":{"S":"text"}}`)...)
			_, err := client.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: c.actions(t)})
			if c.codes == "" && err != nil {
				t.Fatal(err)
			}
			if c.codes != "" {
				var codes []string
				for _, r := range cancellation(t, err) {
					codes = append(codes, *r.Code)
					if (r.Message == nil) != (*r.Code == "None") {
						t.Errorf("reason %s has the message %q", *r.Code, aws.ToString(r.Message))
					}
				}
				if got := strings.Join(codes, " "); got != c.codes {
					t.Errorf("reasons are %s, want %s", got, c.codes)
				}
				expect(t, err, "", "TransactionCanceledException: Transaction cancelled, please refer cancellation reasons for specific reasons ["+strings.ReplaceAll(c.codes, " ", ", ")+"]")
				c.want = "- " + strings.Join(before, " ")
			}
			var after []string
			for _, pk := range []string{"new", "ann", "bob"} {
				one := get(t, client, "accounts", `{"pk":{"S":"`+pk+`"}}`)
				if one == "" {
					one = "-"
				}
				after = append(after, one)
			}
			if got := strings.Join(after, " "); got != c.want {
				t.Errorf("afterwards the items are %s, want %s", got, c.want)
			}
		})
	}
}

func TestACancellationReasonShowsTheItemIfAskedTo(t *testing.T) {
	c := client(t, accounts)
	putAll(t, c, "accounts", `{"pk":{"S":"ann"},"n":{"N":"1"}}`)
	shown := txPut(t, `{"pk":{"S":"ann"}}`, "attribute_not_exists(pk)")
	shown.Put.ReturnValuesOnConditionCheckFailure = "ALL_OLD"
	_, err := c.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{shown, txCheck(t, "bob", "attribute_exists(pk)")}})
	reasons := cancellation(t, err)
	if got := text(reasons[0].Item); got != `{"n":{"N":"1"},"pk":{"S":"ann"}}` || reasons[1].Item != nil || *reasons[0].Message != "The conditional request failed" {
		t.Errorf("got %s, %v, %s", got, reasons[1].Item, *reasons[0].Message)
	}
}

func TestATransactionThatIsMalformedIsRefusedWhole(t *testing.T) {
	s, _ := open(t, t.TempDir(), accounts)
	action := func(kind, rest string) string {
		return `{"` + kind + `":{"TableName":"accounts",` + rest + `}}`
	}
	put := func(pk string) string { return action("Put", `"Item":{"pk":{"S":"`+pk+`"}}`) }
	var many, large []string
	for i := range 101 {
		many = append(many, put(fmt.Sprint(i)))
	}
	for i := range 11 {
		large = append(large, action("Put", fmt.Sprintf(`"Item":{"pk":{"S":"%d"},"x":{"S":%q}}`, i, strings.Repeat("x", 390<<10))))
	}
	for _, c := range []struct{ name, items, more, want string }{
		{"no actions", "", "", "ValidationException: 1 validation error detected: Value '[]' at 'transactItems'"},
		{"101 actions", strings.Join(many, ","), "", "ValidationException: 1 validation error detected: Value '[101 members]' at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"},
		{"100 actions", strings.Join(many[:100], ","), "", ""},
		{"more than 4 MB", strings.Join(large, ","), "", "ValidationException: Transaction payload size cannot exceed 4194304 bytes"},
		{"an item twice", put("a") + "," + action("ConditionCheck", `"Key":{"pk":{"S":"a"}},"ConditionExpression":"attribute_exists(a)"`), "", "ValidationException: Transaction request cannot include multiple operations on one item"},
		{"an empty action", "{}", "", "ValidationException: TransactItems can only contain one of Check, Put, Update or Delete"},
		{"two actions in one", `{"Put":{"TableName":"accounts","Item":{"pk":{"S":"a"}}},"Delete":{"TableName":"accounts","Key":{"pk":{"S":"b"}}}}`, "", "ValidationException: TransactItems can only contain one of"},
		{"a check without condition", action("ConditionCheck", `"Key":{"pk":{"S":"a"}}`), "", "ValidationException: 1 validation error detected: Value null at 'transactItems.1.member.conditionCheck.conditionExpression'"},
		{"an update without expression", put("a") + "," + action("Update", `"Key":{"pk":{"S":"b"}}`), "", "ValidationException: 1 validation error detected: Value null at 'transactItems.2.member.update.updateExpression'"},
		{"a condition that does not parse", action("Put", `"Item":{"pk":{"S":"a"}},"ConditionExpression":"hello!"`), "", "ValidationException: Invalid ConditionExpression: Syntax error;"},
		{"an update of a put", action("Put", `"Item":{"pk":{"S":"a"}},"UpdateExpression":"SET a = b"`), "", "ValidationException: parameter TransactItems[0].Put.UpdateExpression is not supported"},
		{"an undefined value", action("Put", `"Item":{"pk":{"S":"a"}},"ConditionExpression":"a = :v"`), "", "ValidationException: Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :v"},
		{"an unused name", action("Put", `"Item":{"pk":{"S":"a"}},"ConditionExpression":"attribute_exists(a)","ExpressionAttributeNames":{"#x":"x"}`), "", "ValidationException: Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"},
		{"an option that there is not", action("Put", `"Item":{"pk":{"S":"a"}},"ReturnValuesOnConditionCheckFailure":"none"`), "", "ValidationException: 1 validation error detected: Value 'none' at 'returnValuesOnConditionCheckFailure'"},
		{"a table that is not there", `{"Put":{"TableName":"nowhere","Item":{"pk":{"S":"a"}}}}`, "", "ResourceNotFoundException: Requested resource not found"},
		{"a token too long", put("a"), `,"ClientRequestToken":"` + strings.Repeat("x", 37) + `"`, "ValidationException: 1 validation error detected: Value 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' at 'clientRequestToken'"},
		{"metrics", put("a"), `,"ReturnItemCollectionMetrics":"ALL"`, "ValidationException: 1 validation error detected: Value 'ALL' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := call(t, s, "TransactWriteItems", `{"TransactItems":[`+c.items+`]`+c.more+`}`)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestATokenMakesARepetitionDoNothing(t *testing.T) {
	dir := t.TempDir()
	s, closeAll := open(t, dir, accounts)
	c := connect(t, s)
	transact := func(token string, actions ...types.TransactWriteItem) error {
		_, err := c.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{ClientRequestToken: &token, TransactItems: actions})
		return err
	}
	count := func(want string) {
		t.Helper()
		if got := get(t, c, "accounts", `{"pk":{"S":"ann"}}`); got != `{"n":{"N":"`+want+`"},"pk":{"S":"ann"}}` {
			t.Errorf("the item is %s, want n = %s", got, want)
		}
	}
	for range 2 {
		if err := transact("one", txAdd(t, "ann", 1)); err != nil {
			t.Fatal(err)
		}
	}
	count("1")
	expect(t, transact("one", txAdd(t, "ann", 2)), "", "IdempotentParameterMismatchException: ")
	expect(t, transact("one", txAdd(t, "bob", 1)), "", "IdempotentParameterMismatchException: ")

	// A transaction that was cancelled did not use its token up.
	expect(t, transact("two", txCheck(t, "bob", "attribute_exists(pk)"), txAdd(t, "ann", 1)), "", "TransactionCanceledException: ")
	putAll(t, c, "accounts", `{"pk":{"S":"bob"}}`)
	if err := transact("two", txCheck(t, "bob", "attribute_exists(pk)"), txAdd(t, "ann", 1)); err != nil {
		t.Fatal(err)
	}
	count("2")

	closeAll()
	s, _ = open(t, dir)
	c = connect(t, s)
	if err := transact("one", txAdd(t, "ann", 1)); err != nil {
		t.Fatal(err)
	}
	count("2")
}

func TestATokenLivesForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, closeAll := open(t, t.TempDir(), accounts)
		defer closeAll()
		add := func() string {
			must(t, s, "TransactWriteItems", `{"ClientRequestToken":"token","TransactItems":[{"Update":{"TableName":"accounts","Key":{"pk":{"S":"ann"}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"1"}}}}]}`)
			return must(t, s, "GetItem", `{"TableName":"accounts","Key":{"pk":{"S":"ann"}},"ProjectionExpression":"n"}`)
		}
		time.Sleep(7 * time.Minute) // so that the token's life spans two generations
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{0, "1"}, {9 * time.Minute, "1"}, {time.Minute - time.Second, "1"}, {time.Second, "2"}, {time.Minute, "2"}, {time.Hour, "3"},
		} {
			time.Sleep(step.after)
			synctest.Wait() // for a sweep of old tokens
			if got, want := add(), `{"Item":{"n":{"N":"`+step.want+`"}}}`; got != want {
				t.Errorf("after %v more: got %s, want %s", step.after, got, want)
			}
		}
	})
}

func TestTransactGetItems(t *testing.T) {
	s, _ := open(t, t.TempDir(), accounts)
	c := connect(t, s)
	putAll(t, c, "accounts", `{"pk":{"S":"a"},"x":{"N":"1"},"y":{"N":"2"}}`, `{"pk":{"S":"b"}}`)
	read := func(pk, projection string) types.TransactGetItem {
		g := &types.Get{TableName: aws.String("accounts"), Key: item(t, `{"pk":{"S":"`+pk+`"}}`)}
		if projection != "" {
			g.ProjectionExpression = &projection
		}
		return types.TransactGetItem{Get: g}
	}
	out, err := c.TransactGetItems(t.Context(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{read("b", ""), read("none", ""), read("a", "y"), read("a", "zz")}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.Responses {
		got = append(got, text(r.Item))
	}
	if got := strings.Join(got, "|"); got != `{"pk":{"S":"b"}}||{"y":{"N":"2"}}|{}` {
		t.Errorf("got %s", got)
	}
	wrong := read("a", "")
	wrong.Get.Key = item(t, `{"pk":{"N":"1"}}`)
	_, err = c.TransactGetItems(t.Context(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{read("a", ""), wrong}})
	if reasons := cancellation(t, err); *reasons[0].Code != "None" || *reasons[1].Code != "ValidationError" {
		t.Errorf("reasons are %s, %s", *reasons[0].Code, *reasons[1].Code)
	}
	one := `{"Get":{"TableName":"accounts","Key":{"pk":{"S":"a"}}}}`
	_, err = call(t, s, "TransactGetItems", `{"TransactItems":[`+one+strings.Repeat(","+one, 100)+`]}`)
	if want := "ValidationException: 1 validation error detected: Value '[101 members]' at 'transactItems'"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Transfers between accounts, by many at once, in both directions, leave the
// sum as it was; readers never see half of one.
func TestConcurrentTransactionsKeepTheSum(t *testing.T) {
	const accountCount, workers, transfers = 8, 16, 25
	s, _ := open(t, t.TempDir(), accounts)
	for i := range accountCount {
		must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"accounts","Item":{"pk":{"S":"%d"},"n":{"N":"100"}}}`, i))
	}
	sum := func(in string) int {
		total := 0
		for _, part := range strings.Split(in, `"n":{"N":"`)[1:] {
			var n int
			if _, err := fmt.Sscanf(part, "%d", &n); err != nil {
				t.Error(err)
			}
			total += n
		}
		return total
	}
	var gets []string
	for i := range accountCount {
		gets = append(gets, fmt.Sprintf(`{"Get":{"TableName":"accounts","Key":{"pk":{"S":"%d"}}}}`, i))
	}
	readAll := `{"TransactItems":[` + strings.Join(gets, ",") + `]}`
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := sum(must(t, s, "TransactGetItems", readAll)); got != accountCount*100 {
				t.Errorf("a reader saw the sum %d", got)
				return
			}
		}
	})
	for w := range workers {
		writers.Go(func() {
			for i := range transfers {
				from, to := (w+i)%accountCount, (w+i*3+1)%accountCount
				if from == to {
					continue
				}
				must(t, s, "TransactWriteItems", fmt.Sprintf(`{"TransactItems":[
					{"Update":{"TableName":"accounts","Key":{"pk":{"S":"%d"}},"UpdateExpression":"SET n = n - :x","ExpressionAttributeValues":{":x":{"N":"%d"}}}},
					{"Update":{"TableName":"accounts","Key":{"pk":{"S":"%d"}},"UpdateExpression":"ADD n :x","ExpressionAttributeValues":{":x":{"N":"%d"}}}}]}`, from, i, to, i))
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if got := sum(must(t, s, "Scan", `{"TableName":"accounts"}`)); got != accountCount*100 {
		t.Errorf("the sum is %d, want %d", got, accountCount*100)
	}
}

func TestConditionsOnOneItemAreSerialised(t *testing.T) {
	s, _ := open(t, t.TempDir(), accounts)
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			_, err := call(t, s, "PutItem", fmt.Sprintf(`{"TableName":"accounts","Item":{"pk":{"S":"lock"},"owner":{"N":"%d"}},"ConditionExpression":"attribute_not_exists(pk)"}`, i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				lost++
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 31 {
		t.Errorf("%d took the lock and %d did not", won, lost)
	}
}
