// Package scenario is what the benchmark measures: each scenario a figure, most
// of them beside a yardstick that is measured in the same round, so that what
// the machine does meanwhile hits both.
package scenario
