package chart_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

var (
	helmLine   = regexp.MustCompile(`(?m)^ *helm (install|upgrade|test) .*$`)
	helmValue  = regexp.MustCompile(`--set ([a-zA-Z.]+)=([^ ]+)`)
	secretLine = regexp.MustCompile(`(?m)^ *kubectl create secret generic ([a-z-]+) --from-literal=([a-z]+)=`)
)

// TestThePagesInstallTheChart: what README.md and docs/operations.md tell people to
// type installs the chart, whose pods find the Secrets that they have made before.
func TestThePagesInstallTheChart(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"../README.md", "../docs/operations.md"} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		installed := 0
		for _, line := range helmLine.FindAllString(string(text), -1) {
			words := strings.Fields(line)
			require.Equal(t, "txn", words[2], "the release: %s", line)
			if words[1] == "test" {
				continue
			}
			require.Equal(t, "helm/txn", words[3], line)
			r := render(t, valuesOf(line), "txn")
			installed++
			secrets := secretLine.FindAllStringSubmatch(string(text), -1)
			require.Len(t, secrets, 2, page)
			for _, made := range secrets {
				require.True(t, r.reads(made[1], made[2]), "%s: nothing reads %s of %s", page, made[2], made[1])
			}
			find[*batchv1.Job](t, r, "txn-migrate")
			find[*corev1.Pod](t, r, "txn-smoke-test")
		}
		require.Equal(t, 1, installed, page)
	}
}

// valuesOf is what the --set of a line mean, as YAML.
func valuesOf(line string) string {
	var values strings.Builder
	for _, match := range helmValue.FindAllStringSubmatch(line, -1) {
		keys := strings.Split(match[1], ".")
		for depth, key := range keys {
			values.WriteString(strings.Repeat("  ", depth) + key + ":")
			if depth < len(keys)-1 {
				values.WriteString("\n")
			}
		}
		values.WriteString(" " + match[2] + "\n")
	}
	return values.String()
}

// reads reports whether a container gets a key of a Secret.
func (r *rendered) reads(secret, key string) bool {
	for _, pod := range r.pods() {
		for _, container := range pod.Spec.Containers {
			for _, variable := range container.Env {
				if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil && from.SecretKeyRef.Name == secret && from.SecretKeyRef.Key == key {
					return true
				}
			}
		}
	}
	return false
}
