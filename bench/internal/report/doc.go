// Package report turns the runs of a benchmark into medians and ratios, and
// those into a table for people or JSON for programs.
package report
