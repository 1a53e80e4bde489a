package main

import (
	"os"
	"runtime/debug"
)

// A request leaves little behind, so the live heap is a few megabytes and the
// collector's default would run it dozens of times a second: a seventh of the
// CPU under load. Letting the heap grow to five times what is live costs some
// tens of megabytes; the limit keeps a burst of large batches from multiplying
// too.
const (
	gcPercent   = 400
	memoryLimit = 96 << 20 // bytes
)

// tuneMemory sets the collector up, unless GOGC or GOMEMLIMIT say otherwise.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
