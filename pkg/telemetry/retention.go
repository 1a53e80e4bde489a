package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Retention counts what was deleted because of its age.
type Retention struct{ deleted *prometheus.CounterVec }

// NewRetention registers the metric, at 0 for every kind: what is there from the
// start can be alerted on when it first rises.
func NewRetention(registry prometheus.Registerer, kinds ...string) *Retention {
	r := &Retention{deleted: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "txn_retention_deleted_total", Help: "Rows deleted because of their age, by kind; a failed_delivery cannot be replayed any more.",
	}, []string{"kind"})}
	registry.MustRegister(r.deleted)
	for _, kind := range kinds {
		r.deleted.WithLabelValues(kind)
	}
	return r
}

// Deleted records a step; see retention.Sweeper.
func (r *Retention) Deleted(kind string, rows int64) {
	r.deleted.WithLabelValues(kind).Add(float64(rows))
}
