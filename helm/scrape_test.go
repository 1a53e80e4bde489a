package chart_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample is one line of a scrape, with the labels that Prometheus adds.
type sample struct {
	labels labels.Labels
	value  float64
}

// added are the labels of a target.
var added = []string{"instance", "job", "namespace"}

// scrapes are what an API and a dispatcher tell, as their own tests keep it: see
// cmd/api/scrape_test.go and cmd/dispatcher/scrape_test.go.
func scrapes(t *testing.T) (all []sample) {
	t.Helper()
	for _, service := range []string{"api", "dispatcher"} {
		file, err := os.Open(filepath.Join("testdata", "scrapes", service+".prom"))
		require.NoError(t, err)
		text := expfmt.NewTextParser(model.UTF8Validation)
		families, err := text.TextToMetricFamilies(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		for _, name := range slices.Sorted(maps.Keys(families)) {
			lines, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, families[name])
			require.NoError(t, err)
			for _, line := range lines {
				told := labels.NewBuilder(labels.EmptyLabels())
				for label, value := range line.Metric {
					told.Set(string(label), string(value))
				}
				told.Set("job", "txn-"+service).Set("instance", service+"-0").Set("namespace", "money")
				all = append(all, sample{told.Labels(), float64(line.Value)})
			}
		}
	}
	require.Greater(t, len(all), 100)
	return all
}

// selected says whether a selector finds the sample.
func (s sample) selected(matchers []*labels.Matcher) bool {
	return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) })
}

// requireAnswer checks that each selector of an expression finds something in the
// scrapes, and that what it is grouped by are labels of that.
func requireAnswer(t *testing.T, known []sample, where, text string) {
	t.Helper()
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	require.NoError(t, err, "%s: %s", where, text)
	for _, selector := range parser.ExtractSelectors(expression) {
		found := slices.ContainsFunc(known, func(s sample) bool { return s.selected(selector) })
		assert.True(t, found, "%s: no scrape has %v", where, selector)
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		aggregate, ok := node.(*parser.AggregateExpr)
		if !ok {
			return nil
		}
		for _, selector := range parser.ExtractSelectors(aggregate) {
			for _, label := range aggregate.Grouping {
				has := slices.ContainsFunc(known, func(s sample) bool { return s.selected(selector) && s.labels.Has(label) })
				assert.True(t, has, "%s: %v has no label %s", where, selector, label)
			}
		}
		return nil
	})
}

// family is the name of a metric without what histograms add.
func family(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}
