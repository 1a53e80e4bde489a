//go:build race

package main

// memoryBound is what a process may grow by, under the race detector, which keeps
// several bytes for each.
const memoryBound = 256 << 20
