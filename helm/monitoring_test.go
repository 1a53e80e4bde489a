package chart_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestAlertRules reads the rules as Prometheus does, and asks the scrapes. What they
// fire on is TestEveryAlertFires.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	known := scrapes(t)
	sections := headings(t, "../docs/runbook.md")
	runbook, err := os.ReadFile("../docs/runbook.md")
	require.NoError(t, err)
	rules := alertRules(t)
	require.Greater(t, len(rules), 10)
	for _, rule := range rules {
		requireAnswer(t, known, rule.Alert, rule.Expr)
		assert.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
		section, ok := strings.CutPrefix(rule.Annotations["runbook_url"], "https://github.com/txn-service/txn/blob/main/docs/runbook.md#")
		assert.True(t, ok, rule.Alert)
		assert.Contains(t, sections, section, rule.Alert)
		assert.Contains(t, string(runbook), rule.Alert, "who is woken looks for its name")
	}
}

// headings are the anchors of a page's sections, as GitHub makes them.
func headings(t *testing.T, page string) (anchors []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(match[1]), "")
		anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
	}
	return anchors
}

// TestQueriesOfTheRunbook: what it tells to look at in Prometheus is there.
func TestQueriesOfTheRunbook(t *testing.T) {
	t.Parallel()
	known, asked := scrapes(t), 0
	for _, page := range []string{"../docs/runbook.md", "../docs/operations.md"} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(block[1]) {
				if query, _, _ := strings.Cut(line, "#"); strings.TrimSpace(query) != "" {
					requireAnswer(t, known, page, query)
					asked++
				}
			}
		}
	}
	require.Greater(t, asked, 10)
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

// TestDashboard: Grafana can read it, every panel asks for what there is, and
// nothing that a dispatcher tells is left out.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text := find[*corev1.ConfigMap](t, render(t, matrix(t)["full"]), "payments-txn-dashboard").Data["txn.json"]
	var dashboard struct {
		UID    string
		Panels []struct {
			ID          int
			Type, Title string
			Targets     []struct{ Expr string }
			GridPos     struct{ X, Y, W, H int }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &dashboard))
	require.NotEmpty(t, dashboard.UID)
	require.Greater(t, len(dashboard.Panels), 20)
	known := scrapes(t)
	ids, places, shown := map[int]bool{}, map[string]bool{}, ""
	for _, panel := range dashboard.Panels {
		assert.False(t, ids[panel.ID], "%s: id %d is there twice", panel.Title, panel.ID)
		place := fmt.Sprint(panel.GridPos.X, panel.GridPos.Y)
		assert.False(t, places[place], "%s lies on another panel", panel.Title)
		ids[panel.ID], places[place] = true, true
		if panel.Type == "row" {
			continue
		}
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			requireAnswer(t, known, panel.Title, strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*").Replace(target.Expr))
			shown += target.Expr + "\n"
		}
	}
	for _, sample := range known {
		name := family(sample.labels.Get(model.MetricNameLabel))
		if sample.labels.Get("job") == "txn-dispatcher" && !strings.HasPrefix(name, "txn_database_pool_") {
			assert.Contains(t, shown, name, "no panel shows it")
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
