// Package chart_test checks the chart, and compose.yaml beside it. It is a module
// of its own, so that Helm and Kubernetes stay out of the service's go.mod.
//
//	go test . -update    # write testdata/golden again, after a look at the diff
package chart_test
