package main

import (
	"os"
	"runtime/debug"
)

// Of memory, `dev` keeps little alive (some 20 MB, plus 200 bytes for each
// message that waits) and makes much garbage under load: at the runtime's usual
// pace collecting it takes a sixth of the time. It is let grow to four times
// what is alive, but to memoryLimit at most: near that the usual pace returns.
const (
	garbagePercent = 400
	memoryLimit    = 1 << 30
)

// paceGarbage sets how much garbage may gather, unless the user's GOGC or
// GOMEMLIMIT says so.
func paceGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// returnGarbage gives what starting has left behind back to the system: what
// follows may be hours of nothing to do.
func returnGarbage() { debug.FreeOSMemory() }
