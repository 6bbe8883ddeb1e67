package expression

import "github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"

// KeyCondition says which items a Query is about.
type KeyCondition struct {
	Partition attribute.Value
	Sort      *SortCondition // nil: the whole partition
}

// SortCondition is a condition on the sort key. Operator is one of = < <= > >=
// BETWEEN begins_with; Values are its operands: two for BETWEEN, else one.
type SortCondition struct {
	Operator string
	Values   []attribute.Value
}

// KeyCondition takes the text of a KeyConditionExpression for a table with the
// given keys; sortKey is empty if it has none. It is a condition that looks at
// nothing but the keys. The types of its values are not checked against the
// table's.
func (s *Scope) KeyCondition(text, partitionKey, sortKey string) (*KeyCondition, error) {
	c, err := s.Condition("KeyConditionExpression", text)
	if err != nil {
		return nil, err
	}
	on := map[string]SortCondition{}
	if err := s.keyConditions(c.root, on); err != nil {
		return nil, err
	}
	if len(on) > 2 {
		return nil, invalid("Conditions can be of length 1 or 2 only")
	}
	partition, ok := on[partitionKey]
	if !ok {
		return nil, invalid("Query condition missed key schema element: %s", partitionKey)
	}
	if partition.Operator != "=" || len(on) == 2 && sortKey == "" {
		return nil, invalid("Query key condition not supported")
	}
	out := &KeyCondition{Partition: partition.Values[0]}
	if len(on) == 2 {
		sort, ok := on[sortKey]
		if !ok {
			return nil, invalid("Query condition missed key schema element: %s", sortKey)
		}
		out.Sort = &sort
	}
	return out, nil
}

// turned is a comparison read from the right.
var turned = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// keyConditions collects the conditions that AND joins, by attribute.
func (s *Scope) keyConditions(n *node, on map[string]SortCondition) error {
	switch n.text {
	case "AND":
		if err := s.keyConditions(n.args[0], on); err != nil {
			return err
		}
		return s.keyConditions(n.args[1], on)
	case "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with":
	default:
		return invalid("Invalid operator used in KeyConditionExpression: %s", n.text)
	}
	condition := SortCondition{Operator: n.text}
	name := ""
	for i, a := range n.args {
		switch a.kind {
		case functionNode:
			return invalid("KeyConditionExpressions cannot contain nested operations")
		case valueNode:
			condition.Values = append(condition.Values, *s.valueOf(a))
			continue
		}
		switch {
		case name != "":
			return invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		case len(a.path) > 1:
			return invalid("KeyConditionExpressions cannot have conditions on nested attributes")
		case i > 0 && turned[n.text] == "":
			return invalid("Invalid condition in KeyConditionExpression: %s operator must have the key attribute as its first operand", n.text)
		case i > 0:
			condition.Operator = turned[n.text]
		}
		name = s.resolve(a.path)[0].name
	}
	if name == "" {
		return invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	}
	if _, again := on[name]; again {
		return invalid("KeyConditionExpressions must only contain one condition per key")
	}
	on[name] = condition
	return nil
}
