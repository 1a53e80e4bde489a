package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	sigsyaml "sigs.k8s.io/yaml"
)

func TestLint(t *testing.T) {
	t.Parallel()
	for name, text := range matrix(t) {
		var values map[string]any
		require.NoError(t, sigsyaml.Unmarshal([]byte(text), &values))
		for _, message := range lint.RunAll(chartDir, values, "money").Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, message)
			}
		}
	}
}
