//go:build !race

package main

// memoryBound is what a process may grow by.
const memoryBound = 64 << 20
