package scenarios

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// attributeValue returns the DynamoDB value that v holds.
func attributeValue(v reflect.Value) (types.AttributeValue, bool) {
	if !v.CanInterface() {
		return nil, false
	}
	value, ok := v.Interface().(types.AttributeValue)
	return value, ok
}

// attributeText writes a DynamoDB value on one line, which shows its type and,
// other than the rest of an answer, that it is empty.
func attributeText(value types.AttributeValue) string {
	set := func(kind string, members []string) string {
		return kind + "<" + strings.Join(slices.Sorted(slices.Values(members)), " ") + ">"
	}
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return fmt.Sprintf("%q", v.Value)
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberB:
		return fmt.Sprintf("b%q", v.Value)
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	case *types.AttributeValueMemberNULL:
		return "null"
	case *types.AttributeValueMemberSS:
		return set("SS", v.Value)
	case *types.AttributeValueMemberNS:
		return set("NS", v.Value)
	case *types.AttributeValueMemberBS:
		var members []string
		for _, m := range v.Value {
			members = append(members, string(m))
		}
		return set("BS", members)
	case *types.AttributeValueMemberL:
		var elements []string
		for _, e := range v.Value {
			elements = append(elements, attributeText(e))
		}
		return "[" + strings.Join(elements, " ") + "]"
	case *types.AttributeValueMemberM:
		var members []string
		for _, name := range slices.Sorted(maps.Keys(v.Value)) {
			members = append(members, name+":"+attributeText(v.Value[name]))
		}
		return "{" + strings.Join(members, " ") + "}"
	}
	return fmt.Sprintf("%T", value)
}

// Short forms of DynamoDB's values.

type item = map[string]types.AttributeValue

func s(value string) types.AttributeValue       { return &types.AttributeValueMemberS{Value: value} }
func n(value any) types.AttributeValue          { return &types.AttributeValueMemberN{Value: fmt.Sprint(value)} }
func b(value string) types.AttributeValue       { return &types.AttributeValueMemberB{Value: []byte(value)} }
func ss(members ...string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: members} }
func ns(members ...string) types.AttributeValue { return &types.AttributeValueMemberNS{Value: members} }
func list(elements ...types.AttributeValue) types.AttributeValue {
	return &types.AttributeValueMemberL{Value: elements}
}
func object(members item) types.AttributeValue { return &types.AttributeValueMemberM{Value: members} }
func boolean(value bool) types.AttributeValue  { return &types.AttributeValueMemberBOOL{Value: value} }
func null() types.AttributeValue               { return &types.AttributeValueMemberNULL{Value: true} }
