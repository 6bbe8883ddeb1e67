package outboxdynamo_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
)

// printing stands in for *dynamodb.Client, so that the example runs anywhere:
// it prints the transaction that it is given.
type printing struct{}

func (printing) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	for _, item := range in.TransactItems {
		if item.Update != nil {
			fmt.Println("update in", *item.Update.TableName)
			continue
		}
		fmt.Println("put in", *item.Put.TableName)
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

// A withdrawal is taken from the balance and announced, or neither, and however
// often the request comes, once.
func Example() {
	ctx := context.Background()
	ob := outboxdynamo.New(printing{}, outboxdynamo.Config{Table: "shop-prod-outbox", MarksTable: "shop-prod-idempotency"})

	err := ob.InTx(ctx, func(s *outboxdynamo.Session) error {
		if err := s.Once("withdrawals/request-1"); err != nil {
			return err
		}
		s.Write(types.TransactWriteItem{Update: &types.Update{
			TableName:           aws.String("shop-prod-accounts"),
			Key:                 map[string]types.AttributeValue{"account": &types.AttributeValueMemberS{Value: "ACC-1001"}},
			UpdateExpression:    aws.String("SET balance = balance - :amount"),
			ConditionExpression: aws.String("balance >= :amount"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":amount": &types.AttributeValueMemberN{Value: "250"},
			},
		}})
		return s.PublishAfterCommit(ctx, savings.SampleWithdrawal())
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// put in shop-prod-idempotency
	// update in shop-prod-accounts
	// put in shop-prod-outbox
}
