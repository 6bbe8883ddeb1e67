// Package house holds the tests of what holds for the project as a whole.
package house
