//go:build race

package stacks_test

func init() { raceDetector = true }
