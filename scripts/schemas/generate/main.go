// Command generate writes the files under schemas/ from the project's event
// types. An adopter has the same program, with a catalogue of its own.
package main

import (
	"github.com/penstock-dev/penstock/events/catalogue"
	"github.com/penstock-dev/penstock/scripts/schemas"
)

func main() { schemas.Main(catalogue.All) }
