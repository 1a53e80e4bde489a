package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Census exports what is counted in the database from time to time: every process
// that counts tells the same.
type Census struct {
	endpoints, keys *prometheus.GaugeVec
}

// NewCensus registers the metrics. Until the first count, and while nothing can be
// counted, they have no values.
func NewCensus(registry prometheus.Registerer) *Census {
	c := &Census{
		endpoints: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "txn_webhook_endpoints", Help: "Webhook endpoints by status, the active ones counted up to 100,000.",
		}, []string{"status"}),
		keys: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "txn_api_keys_expiring",
			Help: "API keys that expire within this time and have no working successor; those of 1d are among those of 7d.",
		}, []string{"within"}),
	}
	registry.MustRegister(c.endpoints, c.keys)
	return c
}

// Counted sets both: endpoints by status, keys by the time within which they
// expire.
func (c *Census) Counted(endpoints, keys map[string]int64) {
	for status, n := range endpoints {
		c.endpoints.WithLabelValues(status).Set(float64(n))
	}
	for within, n := range keys {
		c.keys.WithLabelValues(within).Set(float64(n))
	}
}

// Unknown takes the values back: an old figure would pass for a new one.
func (c *Census) Unknown() {
	c.endpoints.Reset()
	c.keys.Reset()
}
