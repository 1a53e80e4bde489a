// Package memory sets Go's garbage collector up for processes whose requests leave
// little behind.
package memory

import (
	"os"
	"runtime/debug"
)

// gcPercent lets the heap grow to five times what is live, a few megabytes: by its
// default the collector would run dozens of times a second, for a sixth to a seventh
// of the CPU under load.
const gcPercent = 400

// Tune sets the collector up, unless GOGC or GOMEMLIMIT say otherwise. limit, in
// bytes, keeps what is live for once from multiplying too: near it the collector
// runs as often as it must.
func Tune(limit int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}
