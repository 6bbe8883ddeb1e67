package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/penstock-dev/penstock/infra/names"
)

// TablesFile is where a project declares its tables.
const TablesFile = "infra/tables.json"

// Table is a DynamoDB table. Its keys are strings.
type Table struct {
	PartitionKey string `json:"partitionKey"`      // required
	SortKey      string `json:"sortKey,omitempty"` // empty: the table has none
}

// Tables are a project's tables by their short names.
type Tables map[string]Table

// Lower case, since a table's name becomes an environment variable's in upper.
var tableName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// LoadTables reads and validates infra/tables.json of the project at root. A
// project without the file has no tables.
func LoadTables(root fs.FS) (Tables, error) {
	data, err := fs.ReadFile(root, TablesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Tables{}, nil
	}
	if err != nil {
		return nil, err
	}
	tables := Tables{}
	if err := decode(TablesFile, data, &tables); err != nil {
		return nil, err
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if err := tables[name].validate(name); err != nil {
			faults = append(faults, fmt.Errorf("%s: table %q: %w", TablesFile, name, err))
		}
	}
	return tables, errors.Join(faults...)
}

func (t Table) validate(name string) error {
	switch {
	case !tableName.MatchString(name):
		return errors.New("its name must be lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen")
	case slices.Contains(names.Tables, name):
		return errors.New("Penstock keeps a table of this name itself: choose another")
	case t.PartitionKey == "":
		return errors.New(`it needs a "partitionKey"`)
	case t.PartitionKey == t.SortKey:
		return fmt.Errorf("partition key and sort key are both %q: they must differ", t.SortKey)
	case len(t.PartitionKey) > 255 || len(t.SortKey) > 255:
		return errors.New("a key's name has at most 255 characters") // DynamoDB, "AttributeDefinition"
	}
	return nil
}
