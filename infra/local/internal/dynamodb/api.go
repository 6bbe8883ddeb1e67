package dynamodb

import "github.com/penstock-dev/penstock/infra/local/internal/awswire"

// Target is the prefix of X-Amz-Target for the operations; the protocol is AWS
// JSON 1.0.
const Target = "DynamoDB_20120810"

// Operations are the operations that the local environment serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"DescribeTable":      awswire.Op(s.describeTable),
		"ListTables":         awswire.Op(s.listTables),
		"DescribeTimeToLive": awswire.Op(s.describeTimeToLive),
		"ListTagsOfResource": awswire.Op(s.listTags),
		"PutItem":            awswire.Op(s.putItem),
		"GetItem":            awswire.Op(s.getItem),
		"UpdateItem":         awswire.Op(s.updateItem),
		"DeleteItem":         awswire.Op(s.deleteItem),
		"Query":              awswire.Op(s.query),
		"Scan":               awswire.Op(s.scan),
		"BatchWriteItem":     awswire.Op(s.batchWriteItem),
		"BatchGetItem":       awswire.Op(s.batchGetItem),
		"TransactWriteItems": awswire.Op(s.transactWriteItems),
		"TransactGetItems":   awswire.Op(s.transactGetItems),
	}
}
