// Package telemetry is how the binaries are watched: the registry of metrics with
// the Go runtime's, the HTTP server's and those of the database pool, and the way
// of traces to a collector.
//
// Every metric is named txn_…, in base units, with labels whose values are
// bounded: never an id, an address or a URL. docs/metrics.md lists them all.
package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// gatherTimeout bounds one scrape.
const gatherTimeout = 10 * time.Second

// NewRegistry returns a registry that already tells of process and runtime.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// Handler answers /metrics from the registry.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4,
		Timeout:             gatherTimeout,
		Registry:            registry,
	})
}
