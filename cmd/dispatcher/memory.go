package main

import (
	"os"
	"runtime/debug"
)

// A delivery leaves little behind, so that the collector's default would run it many
// times a second: a sixth of the process's CPU while a backlog is drained. The limit
// keeps a window full of large bodies from growing the heap by as much again.
const (
	gcPercent   = 400
	memoryLimit = 80 << 20 // bytes
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
