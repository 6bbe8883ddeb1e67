package dynamodb

import "github.com/penstock-dev/penstock/infra/local/internal/awswire"

// Target and Version name the service's wire protocol.
const (
	Target  = "DynamoDB_20120810"
	Version = "1.0"
)

// Operations are the operations that the local environment serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"DescribeTable":      awswire.Op(s.describeTable),
		"ListTables":         awswire.Op(s.listTables),
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
