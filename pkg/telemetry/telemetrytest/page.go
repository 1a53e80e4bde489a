package telemetrytest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/disclosure"
)

// labels are all that metrics may have. Another one needs a reason, and a bound.
var labels = []string{"code", "kind", "le", "method", "outcome", "route", "state", "status", "step", "within"}

// maxSeries bounds one metric of one process that has served a test; a histogram
// has a series per bucket.
const maxSeries = 200

var (
	// helpLine and typeLine are the comments of the exposition format, sampleLine one
	// of its series.
	helpLine   = regexp.MustCompile(`^# HELP (\S+) (.*)$`)
	typeLine   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
	// unbounded is what no label may have for a value: an id, an address, a URL.
	unbounded = regexp.MustCompile(`_[0-9a-z]{26}$|[0-9a-f]{8}-|://|\d+\.\d+\.\d+|[?&=@]`)
	// row is a line of the page.
	row = regexp.MustCompile("^\\| `(txn_[a-z0-9_]+)` \\| (api|dispatcher|both) \\| (\\w+) \\| (.*) \\| (.*) \\|$")
)

// metric is one line of the page, or what a process says about itself.
type metric struct {
	kind, labels, help string
}

// RequireMetrics checks what a process answered to a scrape against the rules of
// Prometheus for names, against the bounds of labels, and against the page that
// lists all metrics: neither may have one that the other has not.
func RequireMetrics(t testing.TB, page, binary, scrape string) {
	t.Helper()
	require.Empty(t, disclosure.In(scrape), "the metrics tell secrets")
	problems, err := promlint.New(strings.NewReader(scrape)).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		require.False(t, strings.HasPrefix(problem.Metric, "txn_"), "%s: %s", problem.Metric, problem.Text)
	}
	exported, documented := parse(t, scrape), read(t, page, binary)
	for name, m := range exported {
		require.Contains(t, documented, name, "add it to %s:\n| `%s` | %s | %s | %s | %s |", page, name, binary, m.kind, m.labels, m.help)
		require.Equal(t, documented[name], m, "%s in %s", name, page)
	}
	for name := range documented {
		require.Contains(t, exported, name, "%s says that %s exports it", page, binary)
	}
}

// parse reads our own metrics out of a scrape and checks their labels.
func parse(t testing.TB, scrape string) map[string]metric {
	t.Helper()
	metrics, names, series := map[string]metric{}, map[string][]string{}, map[string]int{}
	family := ""
	for line := range strings.Lines(scrape) {
		line = strings.TrimSuffix(line, "\n")
		if match := helpLine.FindStringSubmatch(line); match != nil {
			family = match[1]
			metrics[family] = metric{help: match[2]}
			continue
		}
		if match := typeLine.FindStringSubmatch(line); match != nil {
			metrics[family] = metric{kind: match[2], help: metrics[family].help}
			continue
		}
		match := sampleLine.FindStringSubmatch(line)
		if match == nil || !strings.HasPrefix(family, "txn_") {
			continue
		}
		series[family]++
		for _, pair := range labelPair.FindAllStringSubmatch(match[2], -1) {
			require.Contains(t, labels, pair[1], "%s has a new label", family)
			require.NotRegexp(t, unbounded, pair[2], "%s{%s}", family, pair[1])
			if pair[1] != "le" && !slices.Contains(names[family], pair[1]) {
				names[family] = append(names[family], pair[1])
			}
		}
	}
	for name, m := range metrics {
		if !strings.HasPrefix(name, "txn_") {
			delete(metrics, name)
			continue
		}
		require.NotZero(t, series[name], name)
		require.LessOrEqual(t, series[name], maxSeries, name)
		slices.Sort(names[name])
		m.labels = strings.Join(names[name], ", ")
		metrics[name] = m
	}
	return metrics
}

// read returns the rows of the page that are about a binary.
func read(t testing.TB, page, binary string) map[string]metric {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	metrics, last := map[string]metric{}, ""
	for line := range strings.Lines(string(text)) {
		match := row.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			require.NotContains(t, line, "| `txn_", "a row that is none")
			continue
		}
		require.Greater(t, match[1], last, "in the order of the alphabet")
		last = match[1]
		if match[2] == binary || match[2] == "both" {
			metrics[match[1]] = metric{kind: match[3], labels: strings.ReplaceAll(match[4], "`", ""), help: match[5]}
		}
	}
	require.NotEmpty(t, metrics)
	return metrics
}
