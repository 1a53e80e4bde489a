package apitest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// RequireScrape fails the test unless a scrape has every metric, with the same
// labels, that the golden scrape in file has: what alert rules and the dashboard are
// tested against stays true. Values and what is new do not matter. With update the
// scrape becomes the golden one.
func RequireScrape(tb testing.TB, file, scrape string, update bool) {
	tb.Helper()
	scrape = ours(scrape)
	if update {
		require.NoError(tb, os.WriteFile(file, []byte(scrape), 0o600))
	}
	golden, err := os.ReadFile(file)
	require.NoError(tb, err)
	told := shapes(scrape)
	for _, shape := range shapes(string(golden)) {
		require.Contains(tb, told, shape, "%s has it, the scrape has not: if that is right, pass -update, then test helm", file)
	}
}

// ours leaves the Go runtime's metrics out, which change with Go.
func ours(scrape string) string {
	var kept strings.Builder
	for line := range strings.Lines(scrape) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "txn_") || strings.HasPrefix(name, "process_resident_memory_bytes") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

var (
	sampleLine = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
)

// shapes are the metrics of a scrape with the names of their labels, each once.
func shapes(scrape string) (all []string) {
	for _, line := range sampleLine.FindAllStringSubmatch(scrape, -1) {
		shape := line[1]
		for _, label := range labelName.FindAllStringSubmatch(line[2], -1) {
			shape += " " + label[1]
		}
		if !slices.Contains(all, shape) {
			all = append(all, shape)
		}
	}
	return all
}
