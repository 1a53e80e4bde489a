package dispatch

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// BenchmarkBroadcast sends one event to 10,000 endpoints of a business while
// another business commits 50 events a second, half of them to an endpoint that
// is busy all the time and half, by turns, to one of many that hardly ever are.
// It reports when the last endpoint of the broadcast had its event, and the
// other's lag from commit to receipt meanwhile and before.
func BenchmarkBroadcast(b *testing.B) {
	const endpoints, quiet, before, during = 10_000, 50, 3 * time.Second, 5 * time.Second
	for range b.N {
		b.StopTimer()
		k := newKit(b)
		loud, other := k.business(), k.business()
		var received atomic.Int64
		done := make(chan struct{})
		crowd := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if received.Add(1) == endpoints {
				close(done)
			}
		}))
		b.Cleanup(crowd.Close)
		k.endpoints(loud, crowd.URL, endpoints)
		w := newLagWatch(b)
		_, _, err := k.store.Create(k.db.Gorm, other, webhook.Fields{URL: w.URL, EventTypes: []string{string(models.EventTransactionCreated)}})
		require.NoError(b, err)
		seldom := make([]models.BusinessID, quiet)
		for i := range seldom {
			seldom[i] = k.business()
			_, _, err = k.store.Create(k.db.Gorm, seldom[i], webhook.Fields{URL: w.URL, EventTypes: []string{"*"}})
			require.NoError(b, err)
		}
		k.exec(`VACUUM ANALYZE`)
		stop := k.start(func(d *Dispatcher) { d.log.Logger.SetOutput(io.Discard) })
		ctx, cancel := context.WithCancel(context.Background())
		notifier := outbox.NewNotifier(k.db)
		go notifier.Run(ctx)
		var steady sync.WaitGroup
		steady.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-tick.C
				business := other
				if n%2 == 1 {
					business = seldom[n/2%quiet]
				}
				w.committed(k.commit(b, business))
				notifier.Wake()
			}
		})
		time.Sleep(before)
		b.StartTimer()
		start := time.Now()
		k.commit(b, loud)
		notifier.Wake()
		<-done
		last := time.Since(start)
		b.StopTimer()
		time.Sleep(max(0, during-last))
		cancel()
		steady.Wait()
		k.settled(30 * time.Second)
		stop()
		require.EqualValues(b, endpoints, received.Load())
		_, calm := w.lags(time.Time{}, start)
		half, worst := w.lags(start, start.Add(last))
		b.ReportMetric(last.Seconds(), "last-s")
		b.ReportMetric(half, "other-p50-ms")
		b.ReportMetric(worst, "other-p99-ms")
		b.ReportMetric(calm, "calm-p99-ms")
	}
}

// endpoints registers n endpoints at one address.
func (k *kit) endpoints(business models.BusinessID, url string, n int) {
	k.t.Helper()
	for range n {
		_, _, err := k.store.Create(k.db.Gorm, business, webhook.Fields{URL: url, EventTypes: []string{"*"}})
		require.NoError(k.t, err)
	}
}

// commit appends one event of a kilobyte.
func (k *kit) commit(b *testing.B, business models.BusinessID) models.EventID {
	b.Helper()
	event := models.Event{
		BusinessID: business, ID: models.NewID[models.EventPrefix](), Type: models.EventTransactionCreated,
		Body: []byte(`{"data":"` + strings.Repeat("x", 1000) + `"}`), CreatedAt: database.Now(),
	}
	ctx := context.Background()
	require.NoError(b, k.db.InPgxTx(ctx, func(tx pgx.Tx) error { return outbox.AppendMany(ctx, tx, []models.Event{event}) }))
	return event.ID
}

// lagWatch is a receiver that remembers how long after its commit an event came.
type lagWatch struct {
	*httptest.Server
	mu      sync.Mutex
	at      map[string]time.Time
	arrived map[string]time.Time
}

func newLagWatch(b *testing.B) *lagWatch {
	b.Helper()
	w := &lagWatch{at: make(map[string]time.Time), arrived: make(map[string]time.Time)}
	w.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		_, _ = io.Copy(io.Discard, r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.arrived[r.Header.Get(webhook.HeaderID)] = now
	}))
	b.Cleanup(w.Close)
	return w
}

func (w *lagWatch) committed(id models.EventID) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[id.String()] = now
}

// lags returns the median and the 99th percentile, in milliseconds, of what was
// committed in an interval.
func (w *lagWatch) lags(from, to time.Time) (p50, p99 float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lags []time.Duration
	for id, at := range w.at {
		if at.After(from) && at.Before(to) {
			lags = append(lags, w.arrived[id].Sub(at))
		}
	}
	slices.Sort(lags)
	return float64(lags[len(lags)/2].Microseconds()) / 1000, float64(lags[len(lags)*99/100].Microseconds()) / 1000
}
