// Package disclosure finds secrets in what programs and tests write. The test kits
// record every secret that they make or are told; they look for all of them in
// the logs, metrics, traces, errors and command lines of what they start, and the
// runner of the suite (pkg/devstack/testrun) in everything that the suite prints.
// No program imports it.
package disclosure
