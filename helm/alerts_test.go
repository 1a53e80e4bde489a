package chart_test

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lastAudit is a metric whose value is a moment: scenes begin there.
const lastAudit = "txn_ledger_audit_last_pass_timestamp_seconds"

// scene is what Prometheus has recorded, with a sample of each series a minute.
type scene struct {
	start  time.Time
	length time.Duration
	series []promql.Series
}

// steady is a service of which every scrape says the same, for hours.
func steady(t *testing.T) scene {
	t.Helper()
	s := scene{length: 7 * time.Hour}
	known := scrapes(t)
	for _, sample := range known {
		if sample.labels.Get(model.MetricNameLabel) == lastAudit {
			s.start = time.Unix(int64(sample.value), 0)
		}
	}
	require.Greater(t, s.start.Year(), 2025, "the scrape has an audit")
	for _, sample := range known {
		s.record(sample.labels, slices.Repeat([]float64{sample.value}, int(s.length/time.Minute)+1))
	}
	return s
}

// record adds a series; NaN is a sample that is missing.
func (s *scene) record(metric labels.Labels, values []float64) {
	series := promql.Series{Metric: metric}
	for minute, value := range values {
		if !math.IsNaN(value) {
			at := s.start.Add(time.Duration(minute) * time.Minute)
			series.Floats = append(series.Floats, promql.FPoint{T: at.UnixMilli(), F: value})
		}
	}
	s.series = append(s.series, series)
}

// with replaces metrics by series in the notation of Prometheus' own rule tests:
// `1+2x3` is 1 3 5 7, `1x3` is 1 1 1 1, and `_` is no sample.
func (s scene) with(t *testing.T, descriptions ...string) scene {
	t.Helper()
	s.series, s.length = slices.Clone(s.series), 0
	parsed := make(map[string]labels.Labels, len(descriptions))
	values := make(map[string][]float64, len(descriptions))
	replaced := map[string]bool{}
	for _, description := range descriptions {
		metric, sequence, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(description)
		require.NoError(t, err, description)
		for _, value := range sequence {
			if value.Omitted {
				value.Value = math.NaN()
			}
			values[description] = append(values[description], value.Value)
		}
		parsed[description] = labels.NewBuilder(metric).Set("namespace", "money").Set("instance", "one").Set("job", "txn").Labels()
		replaced[metric.Get(model.MetricNameLabel)] = true
		s.length = max(s.length, time.Duration(len(sequence)-1)*time.Minute)
	}
	s.series = slices.DeleteFunc(s.series, func(old promql.Series) bool { return replaced[old.Metric.Get(model.MetricNameLabel)] })
	for _, description := range descriptions {
		s.record(parsed[description], values[description])
	}
	return s
}

// Querier makes a scene the storage of an engine.
func (s scene) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		found := &seriesSet{at: -1}
		for _, series := range s.series {
			if (sample{labels: series.Metric}).selected(matchers) {
				found.series = append(found.series, promql.NewStorageSeries(series))
			}
		}
		return found
	}}, nil
}

// seriesSet is a storage.SeriesSet of a slice.
type seriesSet struct {
	series []storage.Series
	at     int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series              { return s.series[s.at] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// alarm is an alert that has come to fire.
type alarm struct {
	labels map[string]string
	value  float64
}

// alarms evaluates a rule every minute, as Prometheus does, and returns the alerts
// that fire: those that there were at every minute of the rule's `for`.
func (s scene) alarms(t *testing.T, rule rulefmt.Rule) (fired []alarm) {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	query, err := engine.NewRangeQuery(t.Context(), s, promql.NewPrometheusQueryOpts(false, 0, nil), rule.Expr, s.start, s.start.Add(s.length), time.Minute)
	require.NoError(t, err)
	defer query.Close()
	result := query.Exec(t.Context())
	require.NoError(t, result.Err)
	matrix, err := result.Matrix()
	require.NoError(t, err)
	for _, series := range matrix {
		var since, before int64
		for _, point := range series.Floats {
			if point.T-before > time.Minute.Milliseconds() {
				since = point.T
			}
			before = point.T
			if point.T-since >= time.Duration(rule.For).Milliseconds() {
				fired = append(fired, alarm{series.Metric.Map(), point.F})
				break
			}
		}
	}
	return fired
}

// say expands an annotation as Prometheus does.
func (a alarm) say(t *testing.T, text string) string {
	t.Helper()
	data := template.AlertTemplateData(a.labels, nil, "", promql.Sample{F: a.value})
	said, err := template.NewTemplateExpander(t.Context(), "{{$labels := .Labels}}{{$value := .Value}}"+text, "alert", data, 0, nil, nil, nil).Expand()
	require.NoError(t, err)
	return said
}

func alertRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	rules, problems := rulefmt.ParseFile("txn/files/alerts.yaml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, problems)
	require.Len(t, rules.Groups, 1)
	return rules.Groups[0].Rules
}

// emergencies is, for each alert, what must raise it, what it then says, and what
// comes near and must not.
var emergencies = map[string]struct {
	fires, quiet []string
	summary      string
}{
	"TxnInvariantBroken": {
		fires:   []string{`txn_ledger_audit_findings 0x5 2x5`},
		quiet:   []string{`txn_ledger_audit_findings 0x60`},
		summary: "The audit found 2 accounts or businesses whose books do not add up.",
	},
	"TxnAuditStale": { // minutes since the start of the scene, see moments
		fires:   []string{lastAudit + ` -1440x400`},
		quiet:   []string{lastAudit + ` -1000x400`},
		summary: "No audit of the ledger has ended for a day.",
	},
	"TxnErrorRate": {
		fires: []string{
			`txn_http_requests_total{code="201",method="POST",route="/v1/transactions"} 0+98x30`,
			`txn_http_requests_total{code="503",method="POST",route="/v1/transactions"} 0+2x30`,
		},
		quiet: []string{
			`txn_http_requests_total{code="201",method="POST",route="/v1/transactions"} 0+991x30`,
			`txn_http_requests_total{code="500",method="POST",route="/v1/transactions"} 0+9x30`,
			`txn_http_requests_total{code="503",method="GET",route="/readyz"} 0+600x30`,
		},
		summary: "2% of the API's requests fail.",
	},
	"TxnAPIMissing": {
		fires:   []string{`txn_ratelimit_in_memory _x30`},
		quiet:   []string{`txn_ratelimit_in_memory 0x30`},
		summary: "No API tells its metrics.",
	},
	"TxnLatency": {
		fires: []string{
			`txn_http_request_duration_seconds_bucket{le="0.5",method="POST",route="/v1/transactions"} 0+90x30`,
			`txn_http_request_duration_seconds_bucket{le="1",method="POST",route="/v1/transactions"} 0+100x30`,
			`txn_http_request_duration_seconds_bucket{le="+Inf",method="POST",route="/v1/transactions"} 0+100x30`,
		},
		quiet: []string{
			`txn_http_request_duration_seconds_bucket{le="0.5",method="POST",route="/v1/transactions"} 0+1000x30`,
			`txn_http_request_duration_seconds_bucket{le="1",method="POST",route="/v1/transactions"} 0+1005x30`,
			`txn_http_request_duration_seconds_bucket{le="+Inf",method="POST",route="/v1/transactions"} 0+1005x30`,
			`txn_http_request_duration_seconds_bucket{le="0.5",method="GET",route="/v1/accounts/:id/entries"} 0+1x30`,
			`txn_http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/v1/accounts/:id/entries"} 0+100x30`,
		},
		summary: "One in a hundred movements of money takes longer than 950ms.",
	},
	"TxnQueueSlow": {
		fires: []string{
			`txn_ledger_queue_seconds_bucket{le="0.5"} 0+90x30`, `txn_ledger_queue_seconds_bucket{le="1"} 0+100x30`,
			`txn_ledger_queue_seconds_bucket{le="+Inf"} 0+100x30`,
		},
		quiet: []string{
			`txn_ledger_queue_seconds_bucket{le="0.25"} 0+90x30`, `txn_ledger_queue_seconds_bucket{le="0.5"} 0+100x30`,
			`txn_ledger_queue_seconds_bucket{le="+Inf"} 0+100x30`,
		},
		summary: "Movements wait 950ms for their commit to begin.",
	},
	"TxnCommitSlow": {
		fires: []string{
			`txn_ledger_commit_seconds_bucket{le="0.5"} 0+90x30`, `txn_ledger_commit_seconds_bucket{le="1"} 0+100x30`,
			`txn_ledger_commit_seconds_bucket{le="+Inf"} 0+100x30`,
		},
		quiet: []string{
			`txn_ledger_commit_seconds_bucket{le="0.25"} 0+90x30`, `txn_ledger_commit_seconds_bucket{le="0.5"} 0+100x30`,
			`txn_ledger_commit_seconds_bucket{le="+Inf"} 0+100x30`,
		},
		summary: "PostgreSQL takes 950ms for a commit.",
	},
	"TxnDatabasePoolSaturated": {
		fires:   []string{`txn_database_pool_connections_acquired 9x30`, `txn_database_pool_connections_max 10x30`},
		quiet:   []string{`txn_database_pool_connections_acquired 8x30`, `txn_database_pool_connections_max 10x30`},
		summary: "one uses 90% of its database connections.",
	},
	"TxnDispatcherErrors": {
		fires:   []string{`txn_dispatcher_errors_total{step="fan-out"} 0+7x30`},
		quiet:   []string{`txn_dispatcher_errors_total{step="fan-out"} 0+5x30`, `txn_dispatcher_errors_total{step="claim"} 0+5x30`},
		summary: "The dispatchers' step fan-out fails again and again.",
	},
	"TxnRedisDown": {
		fires:   []string{`txn_ratelimit_in_memory 1x30`, `txn_ratelimit_redis_failures_total 0+20x30`},
		quiet:   []string{`txn_ratelimit_in_memory 1x30`, `txn_ratelimit_redis_failures_total 0x30`}, // there is none
		summary: "one cannot reach Redis.",
	},
	"TxnOutboxAge": {
		fires:   []string{`txn_outbox_oldest_seconds 61x30`},
		quiet:   []string{`txn_outbox_oldest_seconds 60x30`},
		summary: "The oldest event has waited 1m 1s to be fanned out.",
	},
	"TxnLanesOverdue": {
		fires:   []string{`txn_lanes_oldest_due_seconds 61x30`},
		quiet:   []string{`txn_lanes_oldest_due_seconds 60x30`},
		summary: "An endpoint has waited 1m 1s for a dispatcher.",
	},
	"TxnDispatchersMissing": {
		fires:   []string{`txn_dispatcher_slots _x30`},
		quiet:   []string{`txn_dispatcher_slots 512x30`},
		summary: "No dispatcher tells its metrics.",
	},
	"TxnDeliveriesFailed": {
		fires:   []string{`txn_webhook_attempts_total{outcome="5xx",status="failed"} 0x10 7x60`},
		quiet:   []string{`txn_webhook_attempts_total{outcome="5xx",status="failed"} 7x70`, `txn_webhook_attempts_total{outcome="5xx",status="pending"} 0+9x70`},
		summary: "7 deliveries were given up within the hour.",
	},
	"TxnEndpointsDisabled": {
		fires:   []string{`txn_webhook_endpoints{status="disabled"} 3x70 5x70`},
		quiet:   []string{`txn_webhook_endpoints{status="disabled"} 3x70 2x70`, `txn_webhook_endpoints{status="active"} 3x70 5x70`},
		summary: "2 webhook endpoints more are disabled than an hour ago.",
	},
	"TxnKeysExpiring": {
		fires:   []string{`txn_api_keys_expiring{within="7d"} 2x70`},
		quiet:   []string{`txn_api_keys_expiring{within="7d"} 0x70`},
		summary: "2 API keys expire within seven days.",
	},
	"TxnKeysExpireToday": {
		fires:   []string{`txn_api_keys_expiring{within="1d"} 1x70`, `txn_api_keys_expiring{within="7d"} 1x70`},
		quiet:   []string{`txn_api_keys_expiring{within="1d"} 0x70`, `txn_api_keys_expiring{within="7d"} 1x70`},
		summary: "1 API keys expire within a day.",
	},
}

// moments turns minutes since the start into what Prometheus records of a moment.
func (s scene) moments() scene {
	for _, series := range s.series {
		if series.Metric.Get(model.MetricNameLabel) != lastAudit {
			continue
		}
		for i, point := range series.Floats {
			if point.F <= 0 {
				series.Floats[i].F = float64(s.start.Unix()) + point.F*60
			}
		}
	}
	return s
}

// TestEveryAlertFires on what it is for, after its `for`, and not a little below.
func TestEveryAlertFires(t *testing.T) {
	t.Parallel()
	base := steady(t)
	rules := alertRules(t)
	require.Len(t, emergencies, len(rules), "each alert has an emergency, and no emergency is without")
	for _, rule := range rules {
		t.Run(rule.Alert, func(t *testing.T) {
			t.Parallel()
			emergency, ok := emergencies[rule.Alert]
			require.True(t, ok)
			fired := base.with(t, emergency.fires...).moments().alarms(t, rule)
			require.Len(t, fired, 1)
			assert.Equal(t, emergency.summary, fired[0].say(t, rule.Annotations["summary"]))
			assert.NotContains(t, fired[0].say(t, rule.Annotations["description"]), "{{")
			if !strings.Contains(rule.Expr, "absent") {
				assert.Equal(t, "money", fired[0].labels["namespace"], "it says which installation")
			}
			require.Empty(t, base.with(t, emergency.quiet...).moments().alarms(t, rule))
		})
	}
}

// TestAHealthyServiceRaisesNoAlert: nothing fires on scrapes of services that have
// nothing to do, whatever they have been through before.
func TestAHealthyServiceRaisesNoAlert(t *testing.T) {
	t.Parallel()
	base := steady(t)
	for _, rule := range alertRules(t) {
		assert.Empty(t, base.alarms(t, rule), rule.Alert)
	}
}

// TestEmergenciesLookLikeScrapes: a series that no service exports would prove
// nothing.
func TestEmergenciesLookLikeScrapes(t *testing.T) {
	t.Parallel()
	shape := func(metric labels.Labels) string {
		var names []string
		metric.Range(func(l labels.Label) {
			if !slices.Contains(added, l.Name) && l.Name != model.MetricNameLabel {
				names = append(names, l.Name)
			}
		})
		return metric.Get(model.MetricNameLabel) + fmt.Sprint(names)
	}
	known := map[string]bool{}
	for _, sample := range scrapes(t) {
		known[shape(sample.labels)] = true
	}
	for alert, emergency := range emergencies {
		for _, description := range slices.Concat(emergency.fires, emergency.quiet) {
			metric, _, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(description)
			require.NoError(t, err, description)
			assert.True(t, known[shape(metric)], "%s: no scrape has %s", alert, shape(metric))
		}
	}
}
