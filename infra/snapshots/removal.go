package snapshots

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Removal is a resource that keeps events or data and that a deployment would
// delete, or replace by an empty one.
type Removal struct {
	Stack string
	Kind  string // queue, table, bus, archive or user pool
	Name  string // on AWS; the logical id where the template gives none

	// Replaced says that another is made in its place: what it is made of
	// changed, or its place in the templates.
	Replaced bool
}

func (r Removal) String() string {
	if r.Replaced {
		return fmt.Sprintf("%s %s (stack %s) would be replaced by an empty one", r.Kind, r.Name, r.Stack)
	}
	return fmt.Sprintf("%s %s (stack %s) would be deleted", r.Kind, r.Name, r.Stack)
}

// durable are the types that keep something, with the property that names them,
// and those whose change has CloudFormation replace the resource ("Update
// requires" in each type's page), besides the name.
var durable = map[string]struct {
	kind, name string
	replacedBy []string
}{
	"AWS::SQS::Queue":       {"queue", "QueueName", []string{"FifoQueue"}},
	"AWS::DynamoDB::Table":  {"table", "TableName", []string{"KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"}},
	"AWS::Events::EventBus": {"bus", "Name", nil},
	"AWS::Events::Archive":  {"archive", "ArchiveName", []string{"SourceArn"}},

	// "AWS::Cognito::UserPool": other changes of what people sign in with fail.
	"AWS::Cognito::UserPool": {"user pool", "UserPoolName", []string{"AliasAttributes", "UsernameAttributes", "UsernameConfiguration"}},
}

// kept is a resource that keeps something.
type kept struct {
	Removal
	properties map[string]any
	replacedBy []string
}

// Removals returns what is in the templates of one synthesis, by stack, and will
// be gone or empty after the deployment of those of a later one, sorted by stack
// and name.
func Removals(before, after map[string]json.RawMessage) ([]Removal, error) {
	was, err := keptIn(before)
	if err != nil {
		return nil, err
	}
	is, err := keptIn(after)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, k := range is {
		names[k.Kind+" "+k.Name] = true
	}
	var removals []Removal
	for place, old := range was {
		now, there := is[place]
		switch {
		case !there || now.Kind != old.Kind:
			old.Replaced = names[old.Kind+" "+old.Name]
		case now.Name != old.Name:
			old.Replaced = true
		case !slices.ContainsFunc(old.replacedBy, func(property string) bool {
			return !reflect.DeepEqual(old.properties[property], now.properties[property])
		}):
			continue
		default:
			old.Replaced = true
		}
		removals = append(removals, old.Removal)
	}
	slices.SortFunc(removals, func(a, b Removal) int {
		return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Name, b.Name))
	})
	return removals, nil
}

// keptIn finds what keeps something, by its place: stack and logical id.
func keptIn(templates map[string]json.RawMessage) (map[string]kept, error) {
	found := map[string]kept{}
	for stack, text := range templates {
		var template struct {
			Resources map[string]struct {
				Type       string
				Properties map[string]any
			}
		}
		if err := json.Unmarshal(text, &template); err != nil {
			return nil, fmt.Errorf("template of stack %s: %w", stack, err)
		}
		for id, r := range template.Resources {
			if d, ok := durable[r.Type]; ok {
				name, given := r.Properties[d.name].(string)
				if !given {
					name = id
				}
				found[stack+" "+id] = kept{Removal{Stack: stack, Kind: d.kind, Name: name}, r.Properties, d.replacedBy}
			}
		}
	}
	return found, nil
}

// Either names what may be removed, with commas between: an environment variable,
// and a key of the CDK's context.
const (
	AllowRemovalVariable = "PENSTOCK_ALLOW_REMOVAL"
	AllowRemovalContext  = "allowRemoval"
)

// CheckRemovals asks, by an error, whether what the templates after would remove
// of those before is meant, unless it is allowed by name.
func CheckRemovals(before, after map[string]json.RawMessage, allowed []string) error {
	removals, err := Removals(before, after)
	if err != nil {
		return err
	}
	var lines, names []string
	for _, r := range removals {
		if !slices.Contains(allowed, r.Name) {
			lines, names = append(lines, r.String()), append(names, r.Name)
		}
	}
	if lines == nil {
		return nil
	}
	list := strings.Join(names, ",")
	return fmt.Errorf(`%s
with all that is in there. Is that meant? If it is, say so to the cdk command, or as the snapshots are made:
  -c %s=%s
  %s=%s %s
If not, put it back; a subscription whose events are to be kept for some days is deleted by a tombstone`,
		strings.Join(lines, "\n"), AllowRemovalContext, list, AllowRemovalVariable, list, Command)
}
