package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Audit exports the result of the continuous audit of the ledger.
type Audit struct {
	findings, last, took prometheus.Gauge
}

// NewAudit registers the metrics. Until the first pass, the time of the last is 0.
func NewAudit(registry prometheus.Registerer) *Audit {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	a := &Audit{
		findings: gauge("txn_ledger_audit_findings", "Broken promises that the last complete audit found; anything but 0 is an emergency."),
		last:     gauge("txn_ledger_audit_last_pass_timestamp_seconds", "When the last complete audit of this process ended."),
		took:     gauge("txn_ledger_audit_duration_seconds", "How long the last complete audit of this process took."),
	}
	registry.MustRegister(a.findings, a.last, a.took)
	return a
}

// Passed records one complete audit; see ledger.Auditor.
func (a *Audit) Passed(findings int, took time.Duration) {
	a.findings.Set(float64(findings))
	a.last.SetToCurrentTime()
	a.took.Set(took.Seconds())
}
