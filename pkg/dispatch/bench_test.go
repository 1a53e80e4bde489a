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
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// BenchmarkDrain delivers a backlog of 1 KB events: from the outbox through
// fan-out, signature and HTTP to the recorded attempt. Run it with a fixed
// number of deliveries, such as -benchtime 40000x.
func BenchmarkDrain(b *testing.B) {
	b.Run("endpoints=100", func(b *testing.B) { benchmarkDrain(b, 100, 16) })
	b.Run("endpoints=1", func(b *testing.B) { benchmarkDrain(b, 1, 384) })
}

func benchmarkDrain(b *testing.B, endpoints, concurrency int) {
	b.Helper()
	k := newKit(b)
	var received atomic.Int64
	done := make(chan struct{})
	want := int64(max(b.N, endpoints) / endpoints * endpoints)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if received.Add(1) == want {
			close(done)
		}
	}))
	b.Cleanup(server.Close)
	business := k.business()
	// One type per group of endpoints would make the fan-out's filter do nothing:
	// every endpoint belongs to a business of its own, as in a service with tenants.
	businesses := make([]models.BusinessID, endpoints)
	for i := range businesses {
		businesses[i] = business
		if endpoints > 1 {
			businesses[i] = k.business()
		}
		_, _, err := k.store.Create(k.db.Gorm, businesses[i], webhook.Fields{
			URL: server.URL, EventTypes: []string{"transaction.*"}, MaxConcurrency: concurrency,
		})
		require.NoError(b, err)
	}
	k.backlog(businesses, int(want)/endpoints)
	k.exec(`VACUUM ANALYZE`)
	log := logrus.New()
	log.SetFormatter(&logrus.JSONFormatter{})
	log.SetOutput(io.Discard)
	d, err := New(k.db, Options{
		ListenURL: k.url, Keyring: k.keyring, Slots: 512, AllowInsecure: true, Schedule: webhook.Schedule{time.Second},
	}, log)
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	b.ResetTimer()
	start := time.Now()
	go func() { defer close(ended); d.Run(ctx) }()
	<-done
	b.ReportMetric(float64(want)/time.Since(start).Seconds(), "deliveries/s")
	b.StopTimer()
	k.settled(30 * time.Second)
	stop()
	<-ended
	require.Equal(b, want, received.Load(), "nothing twice")
}

// backlog commits n events for every business.
func (k *kit) backlog(businesses []models.BusinessID, n int) {
	k.t.Helper()
	body := []byte(`{"data":"` + strings.Repeat("x", 1000) + `"}`)
	for from := 0; from < n; from += 100 {
		var events []models.Event
		for _, business := range businesses {
			for range min(100, n-from) {
				events = append(events, models.Event{
					BusinessID: business, ID: models.NewID[models.EventPrefix](), Type: models.EventTransactionCreated,
					Body: body, CreatedAt: database.Now(),
				})
			}
		}
		tx, err := k.db.Pool.Begin(k.t.Context())
		require.NoError(k.t, err)
		require.NoError(k.t, outbox.AppendMany(k.t.Context(), tx, events))
		require.NoError(k.t, tx.Commit(k.t.Context()))
	}
}

// BenchmarkLag commits 200 events a second one by one, each followed by the
// wake-up that the API sends, and reports how long they take to the receiver.
func BenchmarkLag(b *testing.B) {
	k := newKit(b)
	var mu sync.Mutex
	arrived := make(map[string]time.Time)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		arrived[r.Header.Get(webhook.HeaderID)] = now
	}))
	b.Cleanup(server.Close)
	business := k.business()
	_, _, err := k.store.Create(k.db.Gorm, business, webhook.Fields{URL: server.URL, EventTypes: []string{"*"}, MaxConcurrency: 16})
	require.NoError(b, err)
	k.start(nil)
	notifier := outbox.NewNotifier(k.db)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go notifier.Run(ctx)
	committed := make(map[string]time.Time, b.N)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	body := []byte(`{"data":"` + strings.Repeat("x", 1000) + `"}`)
	for range b.N {
		<-tick.C
		event := models.Event{
			BusinessID: business, ID: models.NewID[models.EventPrefix](), Type: models.EventTransactionCreated,
			Body: body, CreatedAt: database.Now(),
		}
		require.NoError(b, k.db.InPgxTx(ctx, func(tx pgx.Tx) error { return outbox.AppendMany(ctx, tx, []models.Event{event}) }))
		committed[event.ID.String()] = time.Now()
		notifier.Wake()
	}
	k.settled(10 * time.Second)
	mu.Lock()
	defer mu.Unlock()
	lags := make([]time.Duration, 0, len(committed))
	for id, at := range committed {
		require.Contains(b, arrived, id)
		lags = append(lags, arrived[id].Sub(at))
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "p99-ms")
}
