// Command trade-allocated takes note of each trade that has been allocated.
package main

import "github.com/penstock-dev/penstock/functions/handler"

func main() { handler.Start(handler.Batch(record)) }
