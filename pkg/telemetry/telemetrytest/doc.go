// Package telemetrytest is what the tests of the binaries look at their telemetry
// with: a collector that takes traces over OTLP, the page that lists the metrics, and
// the memory that a process has. No program imports it.
package telemetrytest
