package chart_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sigsyaml "sigs.k8s.io/yaml"
)

// free are the values whose keys are the user's.
var free = []string{"annotations", "podAnnotations", "podLabels", "labels", "nodeSelector", "affinity", "env"}

// kubernetes says whether a value is handed on to the API server, which judges it.
func kubernetes(key string) bool {
	return slices.Contains([]string{"affinity", "tolerations", "extraEgress", "apiFrom", "metricsFrom", "to"}, key)
}

// groups returns the path of every object in the values, the top included.
func groups(values map[string]any, path ...string) (paths [][]string) {
	paths = append(paths, path)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if nested, ok := values[key].(map[string]any); ok && !slices.Contains(free, key) {
			paths = append(paths, groups(nested, append(slices.Clone(path), key)...)...)
		}
	}
	return paths
}

// at is YAML (JSON, in fact) that sets one value.
func at(t *testing.T, path []string, value any) string {
	t.Helper()
	for _, key := range slices.Backward(path) {
		value = map[string]any{key: value}
	}
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func defaults(t *testing.T) (values map[string]any) {
	t.Helper()
	text, err := os.ReadFile("txn/values.yaml")
	require.NoError(t, err)
	require.NoError(t, sigsyaml.UnmarshalStrict(text, &values))
	return values
}

// TestMisspeltValuesAreRefused in every group there is.
func TestMisspeltValuesAreRefused(t *testing.T) {
	t.Parallel()
	paths := groups(defaults(t))
	require.Greater(t, len(paths), 30)
	for _, path := range paths {
		_, err := tryRender(t, at(t, append(slices.Clone(path), "misspelt"), "1"))
		assert.ErrorContains(t, err, "misspelt", "in %s", strings.Join(path, "."))
	}
}

// TestEveryDefaultIsInTheSchema: a value of another type is refused, so no value
// is left to chance.
func TestEveryDefaultIsInTheSchema(t *testing.T) {
	t.Parallel()
	values := defaults(t)
	for _, path := range groups(values) {
		group := values
		for _, key := range path {
			group = group[key].(map[string]any)
		}
		for key := range group {
			if kubernetes(key) {
				continue
			}
			_, err := tryRender(t, at(t, append(slices.Clone(path), key), []any{map[string]any{"a": []any{}}}))
			assert.Error(t, err, "%s.%s", strings.Join(path, "."), key)
		}
	}
}

func TestValuesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, values := range []string{
		"image: {digest: latest}",
		"image: {pullPolicy: Sometimes}",
		"database: {existingSecret: ''}",
		"encryptionKeys: {existingSecret: 'Not A Name'}",
		"config: {rate_limit: {per_ip: '20 per minute'}}",
		"config: {webhooks: {timeout: 15}}",
		"config: {webhooks: {retry_schedule: []}}",
		"config: {log: {level: loud}}",
		"config: {api: {listen: ':80'}}", // the chart's own
		"api: {env: {lower: x}}",
		"api: {env: {TXN_LEDGER_COMMITTERS: 3}}",
		"api: {env: {TXN_DATABASE_URL: 'postgres://u:secret@db/txn'}}",
		"api: {resources: {limits: {memory: 256M}}}",
		"api: {resources: {limits: {memory: null}}}",
		"api: {topologySpread: Never}",
		"api: {service: {type: ExternalName}}",
		"api: {podDisruptionBudget: {maxUnavailable: 0}}",
		"api: {podDisruptionBudget: {maxUnavailable: some}}",
		"dispatcher: {service: {port: 80}}",
		"ingress: {enabled: true}",
		"serviceMonitor: {interval: often}",
	} {
		_, err := tryRender(t, values)
		assert.Error(t, err, values)
	}
	_, err := tryRender(t, "global: {anything: goes}")
	require.NoError(t, err, "a parent chart shares these with all its charts")
}
