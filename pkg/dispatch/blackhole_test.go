package dispatch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// blackHole is an endpoint that never answers.
func (k *kit) blackHole(business models.BusinessID) models.WebhookID {
	k.t.Helper()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	k.t.Cleanup(func() { close(over); server.CloseClientConnections(); server.Close() })
	row, _, err := k.store.Create(k.db.Gorm, business, webhook.Fields{URL: server.URL, EventTypes: []string{"*"}})
	require.NoError(k.t, err)
	return row.ID
}

// pending gives an endpoint n deliveries of one event that have waited for a while.
func (k *kit) pending(business models.BusinessID, endpoint models.WebhookID, n int, age time.Duration) {
	k.t.Helper()
	id := models.NewID[models.EventPrefix]()
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at)
		VALUES ($1, $2, 'transaction.created', '{}', now() - $3::interval)`, business, id, age)
	k.exec(`INSERT INTO webhook_deliveries (business_id, id, event_id, webhook_id, next_attempt_at, sequence, created_at)
		SELECT $1, uuid_v7(now(), n), CASE n WHEN 1 THEN $2 ELSE uuid_v7(now(), n) END, $3, now() - $5::interval, n, now() - $5::interval
		FROM generate_series(1, $4) n`, business, id, endpoint, n, age)
	k.exec(`INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT business_id, event_id, 'transaction.created', '{}', now() FROM webhook_deliveries WHERE webhook_id = $1
		ON CONFLICT DO NOTHING`, endpoint)
	k.exec(`UPDATE webhook_lanes SET due_at = now(), touches = touches + 1 WHERE webhook_id = $1`, endpoint)
}

// A dead endpoint's backlog is not touched row by row, and its neighbours do not
// notice it.
func TestABlackHoleCostsAFewUpdates(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	hole := k.blackHole(business)
	k.pending(business, hole, 3000, 0)
	k.exec(`CREATE TABLE before AS SELECT id, xmin::text AS version FROM webhook_deliveries`)
	neighbour := k.receiver(business, nil)
	k.start(func(d *Dispatcher) {
		d.options.Schedule = webhook.Schedule{time.Hour, time.Hour}
		d.client.timeout = 2 * time.Second // the neighbour answers in time even on a busy machine
	})
	k.events(business, 200)
	k.eventually(30*time.Second, func() bool { return neighbour.distinct() == 200 }, "the neighbour has everything")
	k.eventually(30*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE webhook_id = $1 AND breaker_failures >= $2 AND blocked_until > now()`, hole, breakerThreshold) == 1
	}, "the breaker is open")
	updated := k.count(`SELECT count(*) FROM webhook_deliveries d JOIN before b ON b.id = d.id WHERE d.xmin::text <> b.version`)
	require.Positive(t, updated)
	require.Less(t, updated, 100)
}

// What a dead endpoint has kept waiting for longer than the whole schedule ends in
// steps beside the heartbeats: nothing else that the process holds is lost
// meanwhile.
func TestADeadEndpointsOldBacklogEnds(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	hole := k.blackHole(business)
	const n = 3*outbox.ExpireStep + 100
	k.pending(business, hole, n, 3*time.Hour)
	k.exec(`UPDATE webhook_lanes SET breaker_failures = $1, failing_since = now() - '2 hours'::interval`, breakerThreshold)
	var d *Dispatcher
	k.start(func(started *Dispatcher) {
		d = started
		d.options.Schedule = webhook.Schedule{time.Hour}
		d.client.timeout = 200 * time.Millisecond
	})
	k.eventually(20*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'`) <= 1
	}, "all but the probe have ended")
	require.Equal(t, n-1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND attempt_count = 0
		AND failure_reason LIKE '%whole retry schedule%'`))
	k.eventually(5*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL AND blocked_until > now()`) == 1
	}, "the lane is given back")
	require.InDelta(t, n-1, counterOf(t, d, "txn_webhook_expired_total"), 0)
}

// BenchmarkBlackHole commits 200 events a second to 99 endpoints and reports
// their lag, first beside a black hole with a backlog of 100,000 and then without
// it.
func BenchmarkBlackHole(b *testing.B) {
	const endpoints, backlog, span = 99, 100_000, 10 * time.Second
	for range b.N {
		k := newKit(b)
		dead := k.business()
		hole := k.blackHole(dead)
		w := newLagWatch(b)
		others := make([]models.BusinessID, endpoints)
		for i := range others {
			others[i] = k.business()
			_, _, err := k.store.Create(k.db.Gorm, others[i], webhook.Fields{URL: w.URL, EventTypes: []string{"*"}})
			require.NoError(b, err)
		}
		k.pending(dead, hole, backlog, 0)
		k.exec(`CREATE TABLE before AS SELECT id, xmin::text AS version FROM webhook_deliveries`)
		k.exec(`VACUUM ANALYZE`)
		var p99 [2]float64
		for round, with := range []bool{true, false} {
			if !with {
				k.exec(`UPDATE webhook_lanes SET blocked_until = 'infinity', due_at = 'infinity' WHERE webhook_id = $1`, hole)
			}
			stop := k.start(func(d *Dispatcher) {
				d.log.Logger.SetOutput(io.Discard)
				d.options.Schedule = webhook.Schedule{time.Hour}
				d.client.timeout = 15 * time.Second
			})
			ctx, cancel := context.WithTimeout(context.Background(), span)
			notifier := outbox.NewNotifier(k.db)
			var running sync.WaitGroup
			running.Go(func() { notifier.Run(ctx) })
			start, tick := time.Now(), time.NewTicker(5*time.Millisecond)
			for n := 0; ctx.Err() == nil; n++ {
				<-tick.C
				w.committed(k.commit(b, others[n%endpoints]))
				notifier.Wake()
			}
			tick.Stop()
			end := time.Now()
			k.eventually(10*time.Second, func() bool {
				return k.count(`SELECT (SELECT count(*) FROM webhook_outbox) +
					(SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND webhook_id <> $1)`, hole) == 0
			}, "the others' deliveries")
			cancel()
			running.Wait()
			stop()
			_, p99[round] = w.lags(start, end)
		}
		b.ReportMetric(p99[0], "with-p99-ms")
		b.ReportMetric(p99[1], "without-p99-ms")
		b.ReportMetric(p99[0]/p99[1], "ratio")
		b.ReportMetric(float64(k.count(`SELECT count(*) FROM webhook_deliveries d JOIN before b ON b.id = d.id WHERE d.xmin::text <> b.version`)), "updates")
	}
}

// counterOf reads one of a dispatcher's metrics.
func counterOf(t *testing.T, d *Dispatcher, name string) (value float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(d)
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				value += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			return value
		}
	}
	require.Fail(t, fmt.Sprintf("no metric %s", name))
	return 0
}
