package telemetry

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolMetric is one figure of the pool's statistics.
type poolMetric struct {
	description *prometheus.Desc
	kind        prometheus.ValueType
	read        func(*pgxpool.Stat) float64
}

// pool collects the statistics of a pgx pool when it is scraped.
type pool struct {
	stat    func() *pgxpool.Stat
	metrics []poolMetric
}

// NewPool returns a collector of a database pool's statistics.
func NewPool(stat func() *pgxpool.Stat) prometheus.Collector {
	metric := func(name, help string, kind prometheus.ValueType, read func(*pgxpool.Stat) float64) poolMetric {
		return poolMetric{prometheus.NewDesc("txn_database_pool_"+name, help, nil, nil), kind, read}
	}
	return &pool{stat: stat, metrics: []poolMetric{
		metric("connections", "Open connections.", prometheus.GaugeValue,
			func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) }),
		metric("connections_max", "Cap on open connections.", prometheus.GaugeValue,
			func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) }),
		metric("connections_acquired", "Connections in use.", prometheus.GaugeValue,
			func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) }),
		metric("acquires_total", "Connections borrowed.", prometheus.CounterValue,
			func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) }),
		metric("acquires_waited_total", "Borrows that found no idle connection.", prometheus.CounterValue,
			func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) }),
		metric("acquires_cancelled_total", "Borrows given up before a connection came.", prometheus.CounterValue,
			func(s *pgxpool.Stat) float64 { return float64(s.CanceledAcquireCount()) }),
		metric("acquire_seconds_total", "Time spent waiting for connections.", prometheus.CounterValue,
			func(s *pgxpool.Stat) float64 { return s.AcquireDuration().Seconds() }),
		metric("connections_opened_total", "Connections opened.", prometheus.CounterValue,
			func(s *pgxpool.Stat) float64 { return float64(s.NewConnsCount()) }),
	}}
}

// Describe implements prometheus.Collector.
func (p *pool) Describe(descriptions chan<- *prometheus.Desc) {
	for _, m := range p.metrics {
		descriptions <- m.description
	}
}

// Collect implements prometheus.Collector.
func (p *pool) Collect(metrics chan<- prometheus.Metric) {
	stat := p.stat()
	for _, m := range p.metrics {
		metrics <- prometheus.MustNewConstMetric(m.description, m.kind, m.read(stat))
	}
}
