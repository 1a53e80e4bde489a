package chart_test

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestAlertRules reads the rules as Prometheus does.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	rules, problems := rulefmt.ParseFile("txn/files/alerts.yaml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, problems)
	known := metrics(t)
	for _, rule := range rules.Groups[0].Rules {
		knownMetrics(t, known, rule.Alert, rule.Expr)
		assert.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
		assert.Regexp(t, `^https://github\.com/txn-service/txn/blob/main/docs/runbook\.md#[a-z-]+$`, rule.Annotations["runbook_url"], rule.Alert)
	}
	require.Len(t, rules.Groups, 1)
	require.Greater(t, len(rules.Groups[0].Rules), 10)
}

// TestPrometheusRuleHoldsTheRules, with the templates that are Prometheus' left
// alone.
func TestPrometheusRuleHoldsTheRules(t *testing.T) {
	t.Parallel()
	rule := find[*monitoringv1.PrometheusRule](t, render(t, matrix(t)["full"]), "payments-txn")
	text, err := os.ReadFile("txn/files/alerts.yaml")
	require.NoError(t, err)
	require.Len(t, rule.Spec.Groups[0].Rules, strings.Count(string(text), "- alert:"))
	require.Equal(t, "prometheus", rule.Labels["release"])
	require.Contains(t, rule.Spec.Groups[0].Rules[0].Annotations["summary"], "{{ $value }}")
}

// TestDashboard: Grafana can read it, and every panel asks for what there is.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text := find[*corev1.ConfigMap](t, render(t, matrix(t)["full"]), "payments-txn-dashboard").Data["txn.json"]
	var dashboard struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &dashboard))
	require.NotEmpty(t, dashboard.UID)
	require.Greater(t, len(dashboard.Panels), 10)
	known := metrics(t)
	for _, panel := range dashboard.Panels {
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			knownMetrics(t, known, panel.Title, strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*").Replace(target.Expr))
		}
	}
}

// TestServiceMonitorFindsBothServices by labels that the API's own Service, which
// may be public, does not have.
func TestServiceMonitorFindsBothServices(t *testing.T) {
	t.Parallel()
	r := render(t, matrix(t)["full"])
	monitor := find[*monitoringv1.ServiceMonitor](t, r, "payments-txn")
	var found []string
	for _, o := range r.objects {
		if service, ok := o.typed.(*corev1.Service); ok && labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
			found = append(found, service.Name)
			require.Equal(t, monitor.Spec.Endpoints[0].Port, service.Spec.Ports[0].Name)
		}
	}
	require.ElementsMatch(t, []string{"payments-txn-api-metrics", "payments-txn-dispatcher-metrics"}, found)
}

func TestMonitoringIsOffUnlessWanted(t *testing.T) {
	t.Parallel()
	for _, o := range render(t, "").objects {
		require.NotContains(t, []string{"ServiceMonitor", "PrometheusRule"}, o.kind())
		require.NotContains(t, o.GetName(), "dashboard")
	}
}

// knownMetrics checks an expression and that the services export what it asks for.
func knownMetrics(t *testing.T, known func(string) bool, name, text string) {
	t.Helper()
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	require.NoError(t, err, "%s: %s", name, text)
	selectors := parser.ExtractSelectors(expression)
	require.NotEmpty(t, selectors, name)
	for _, selector := range selectors {
		for _, matcher := range selector {
			if matcher.Name == model.MetricNameLabel {
				assert.True(t, known(matcher.Value), "%s: nothing exports %s", name, matcher.Value)
			}
		}
	}
}

// metrics tells the names that the sources of the services export.
func metrics(t *testing.T) func(string) bool {
	t.Helper()
	names := map[string]bool{"process_resident_memory_bytes": true}
	whole, ofPool := regexp.MustCompile(`"(txn_[a-z_]+)"`), regexp.MustCompile(`metric\("([a-z_]+)"`)
	require.NoError(t, filepath.WalkDir("../pkg", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range whole.FindAllSubmatch(source, -1) {
			names[string(match[1])] = true
		}
		for _, match := range ofPool.FindAllSubmatch(source, -1) {
			names["txn_database_pool_"+string(match[1])] = true
		}
		return err
	}))
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	return func(name string) bool { return names[name] || names[suffix.ReplaceAllString(name, "")] }
}
