// Package telemetrytest is what the tests of the binaries look at their telemetry
// with: a collector that takes traces over OTLP, and the page that lists the
// metrics. No program imports it.
package telemetrytest
