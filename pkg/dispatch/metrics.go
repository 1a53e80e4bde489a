package dispatch

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

const backlogTimeout = 2 * time.Second

// metrics are those of one dispatcher. Labels are bounded: no tenant and no
// endpoint is one.
type metrics struct {
	attempts *prometheus.CounterVec
	latency  prometheus.Histogram
	lag      prometheus.Histogram
	stale    prometheus.Counter
	expired  prometheus.Counter
	troubles *prometheus.CounterVec
}

// steps are those that a dispatcher can fail at; see trouble.
var steps = []string{
	"claim", "clock", "complete", "disable", "expire", "fan-out", "fetch", "heartbeat", "notify", "presence", "probe", "release", "replay",
}

// failures are the outcomes of attempts but the one that ends a delivery well.
var failures = []string{
	outcomeRedirect, outcomeClient, outcomeServer, outcomeTimeout, outcomeTransport, outcomeRefused, outcomeOther,
}

func newMetrics() *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "txn_webhook_attempts_total",
			Help: "Delivery attempts by outcome of the request and state of the delivery after it.",
		}, []string{"outcome", "status"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "txn_webhook_attempt_seconds", Help: "Duration of delivery attempts.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "txn_webhook_lag_seconds", Help: "From the event to the receipt of its first successful delivery attempt, replays left out.",
			Buckets: []float64{.0025, .005, .01, .015, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600},
		}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "txn_webhook_stale_results_total", Help: "Outcomes that came too late: the delivery had moved on.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "txn_webhook_expired_total", Help: "Deliveries that ended without another attempt: older than the whole retry schedule, of an endpoint whose breaker was open.",
		}),
		troubles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "txn_dispatcher_errors_total", Help: "Statements of the dispatcher that failed, by step.",
		}, []string{"step"}),
	}
	// All at 0 from the start: a rate has no first value to begin with otherwise.
	for _, step := range steps {
		m.troubles.WithLabelValues(step)
	}
	m.attempts.WithLabelValues(outcomeDelivered, string(models.DeliveryDelivered))
	for _, outcome := range failures {
		m.attempts.WithLabelValues(outcome, string(models.DeliveryPending))
		m.attempts.WithLabelValues(outcome, string(models.DeliveryFailed))
	}
	return m
}

func (m *metrics) attempt(j *job, a *answer, v *verdict) {
	m.attempts.WithLabelValues(v.outcome, string(v.status)).Inc()
	m.latency.Observe(a.latency.Seconds())
	if v.status == models.DeliveryDelivered && j.due.Run == 1 {
		m.lag.Observe(max(0, time.Since(j.message.CreatedAt)).Seconds())
	}
}

var (
	slotsDesc   = prometheus.NewDesc("txn_dispatcher_slots", "Requests that can be in flight at once.", nil, nil)
	busyDesc    = prometheus.NewDesc("txn_dispatcher_slots_busy", "Requests in flight.", nil, nil)
	heldDesc    = prometheus.NewDesc("txn_dispatcher_lanes", "Lanes leased by this process.", nil, nil)
	queuedDesc  = prometheus.NewDesc("txn_dispatcher_queued", "Deliveries fetched and not sent yet.", nil, nil)
	probingDesc = prometheus.NewDesc("txn_dispatcher_breakers_open", "Held lanes whose circuit breaker is not closed.", nil, nil)
	listenDesc  = prometheus.NewDesc("txn_dispatcher_listening", "1 while notifications arrive, 0 while only polling works.", nil, nil)
	outboxDesc  = prometheus.NewDesc("txn_outbox_events", "Events that wait to be fanned out, counted up to 100,000.", nil, nil)
	ageDesc     = prometheus.NewDesc("txn_outbox_oldest_seconds", "Age of the oldest event that waits to be fanned out.", nil, nil)
	pendingDesc = prometheus.NewDesc("txn_webhook_deliveries_pending", "Deliveries that are not at their end, as the last ANALYZE found.", nil, nil)
	breakerDesc = prometheus.NewDesc("txn_webhook_breakers", "Endpoints whose circuit breaker is open, or half-open: being probed.", []string{"state"}, nil)
	peersDesc   = prometheus.NewDesc("txn_dispatchers", "Dispatchers that run.", nil, nil)
	replaysDesc = prometheus.NewDesc("txn_webhook_replays_open", "Replays that are not done yet.", nil, nil)
	dueDesc     = prometheus.NewDesc("txn_lanes_due", "Lanes that wait for a dispatcher.", nil, nil)
	dueAgeDesc  = prometheus.NewDesc("txn_lanes_oldest_due_seconds", "How long the longest waiting lane has been due.", nil, nil)
	leasedDesc  = prometheus.NewDesc("txn_lanes_leased", "Lanes leased by all dispatchers.", nil, nil)
)

// Describe implements prometheus.Collector.
func (d *Dispatcher) Describe(descs chan<- *prometheus.Desc) {
	for _, c := range d.metrics.collectors() {
		c.Describe(descs)
	}
	for _, desc := range []*prometheus.Desc{
		slotsDesc, busyDesc, heldDesc, queuedDesc, probingDesc, listenDesc, outboxDesc, ageDesc, dueDesc, dueAgeDesc, leasedDesc,
		pendingDesc, breakerDesc, peersDesc, replaysDesc,
	} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector. The state of the outbox is read when
// it is asked for, and left out while the database is away.
func (d *Dispatcher) Collect(values chan<- prometheus.Metric) {
	for _, c := range d.metrics.collectors() {
		c.Collect(values)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		values <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	use := d.scheduler.usage()
	gauge(slotsDesc, float64(d.options.Slots))
	gauge(busyDesc, float64(use.inFlight))
	gauge(heldDesc, float64(use.lanes))
	gauge(queuedDesc, float64(use.queued))
	gauge(probingDesc, float64(use.probing))
	listening := 0.0
	if d.listener.Healthy() {
		listening = 1
	}
	gauge(listenDesc, listening)
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	backlog, err := outbox.ReadBacklog(ctx, d.db)
	if err != nil {
		return
	}
	gauge(outboxDesc, float64(backlog.Events))
	gauge(ageDesc, backlog.OldestAge.Seconds())
	gauge(dueDesc, float64(backlog.LanesDue))
	gauge(dueAgeDesc, backlog.OldestDue.Seconds())
	gauge(leasedDesc, float64(backlog.LanesLeased))
	gauge(pendingDesc, float64(backlog.Pending))
	gauge(breakerDesc, float64(backlog.BreakersOpen), "open")
	gauge(breakerDesc, float64(backlog.BreakersHalfOpen), "half_open")
	gauge(peersDesc, float64(backlog.Dispatchers))
	gauge(replaysDesc, float64(backlog.Replays))
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.attempts, m.latency, m.lag, m.stale, m.expired, m.troubles}
}
