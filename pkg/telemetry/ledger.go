package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Ledger measures the group commit. It implements ledger.Observer.
type Ledger struct {
	items      prometheus.Histogram
	queued     prometheus.Histogram
	took       prometheus.Histogram
	lockMissed prometheus.Counter
	kept, void prometheus.Counter
}

// NewLedger registers the metrics of a ledger.
func NewLedger(registry prometheus.Registerer) *Ledger {
	seconds := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	l := &Ledger{
		items: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "txn_ledger_commit_items",
			Help:    "Movements per commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		queued: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "txn_ledger_queue_seconds",
			Help:    "How long the oldest movement of a commit waited in the queue.",
			Buckets: seconds,
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "txn_ledger_commit_seconds",
			Help:    "How long the database took for a commit, locks included.",
			Buckets: seconds,
		}),
		lockMissed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "txn_ledger_lock_missed_total",
			Help: "Movements that met an account locked by somebody outside their process.",
		}),
	}
	followed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "txn_ledger_followed_total",
		Help: "Commits prepared while another one was under way on the same accounts: kept, or void and run again.",
	}, []string{"outcome"})
	l.kept, l.void = followed.WithLabelValues("kept"), followed.WithLabelValues("void")
	registry.MustRegister(l.items, l.queued, l.took, l.lockMissed, followed)
	return l
}

// Committed records one commit.
func (l *Ledger) Committed(items int, queued, took time.Duration) {
	l.items.Observe(float64(items))
	l.queued.Observe(queued.Seconds())
	l.took.Observe(took.Seconds())
}

// LockMissed records movements that met a lock held by somebody else.
func (l *Ledger) LockMissed(operations int) { l.lockMissed.Add(float64(operations)) }

// Followed records a commit that followed another, and whether it was kept.
func (l *Ledger) Followed(kept bool) {
	if kept {
		l.kept.Inc()
	} else {
		l.void.Inc()
	}
}
