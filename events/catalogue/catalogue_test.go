package catalogue_test

import (
	"testing"

	"github.com/penstock-dev/penstock/events/catalogue"
	"github.com/penstock-dev/penstock/scripts/schemas/schemastest"
)

func TestEventTypes(t *testing.T) {
	schemastest.Check(t, catalogue.All, "./events/...")
}
