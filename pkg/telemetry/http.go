package telemetry

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HTTP counts and times requests.
type HTTP struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	// series holds what has been resolved: a look-up by label values costs a
	// microsecond, this one does not.
	series sync.Map // of seriesKey to series
}

type seriesKey struct {
	route, method string
	status        int
}

type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// NewHTTP registers the metrics of a server.
func NewHTTP(registry prometheus.Registerer) *HTTP {
	h := &HTTP{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "txn_http_requests_total",
			Help: "Requests by route pattern, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "txn_http_request_duration_seconds",
			Help:    "Time from the end of the request's headers to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
	}
	registry.MustRegister(h.requests, h.duration)
	return h
}

// Observe records one answered request. An empty route, and a method that HTTP
// does not define, share one label each, so that callers cannot make series up.
func (h *HTTP) Observe(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "unmatched"
	}
	if !KnownMethod(method) {
		method = "OTHER"
	}
	key := seriesKey{route: route, method: method, status: status}
	found, _ := h.series.Load(key)
	resolved, ok := found.(series)
	if !ok {
		resolved = series{
			requests: h.requests.WithLabelValues(route, method, strconv.Itoa(status)),
			duration: h.duration.WithLabelValues(route, method),
		}
		h.series.Store(key, resolved)
	}
	resolved.requests.Inc()
	resolved.duration.Observe(took.Seconds())
}

// KnownMethod reports whether HTTP defines the method (RFC 9110 §9, RFC 5789).
func KnownMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE":
		return true
	default:
		return false
	}
}
