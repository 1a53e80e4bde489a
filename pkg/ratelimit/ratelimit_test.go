package ratelimit

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"github.com/ulule/limiter/v3"

	"github.com/txn-service/txn/pkg/dbtest"
)

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func newStore(t *testing.T, url string) *Store {
	t.Helper()
	client, err := NewClient(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return NewStore(client, prometheus.NewRegistry(), quiet())
}

// value reads a counter or gauge.
func value(t *testing.T, metric prometheus.Metric) float64 {
	t.Helper()
	var read dto.Metric
	require.NoError(t, metric.Write(&read))
	return read.GetCounter().GetValue() + read.GetGauge().GetValue()
}

func newLimit(t *testing.T, store *Store, notation string) *Limit {
	t.Helper()
	limit, err := New("test", notation, store)
	require.NoError(t, err)
	require.NotNil(t, limit)
	return limit
}

func TestNotation(t *testing.T) {
	t.Parallel()
	store := NewStore(nil, prometheus.NewRegistry(), quiet())
	for _, off := range []string{"", "0", "0-M"} {
		limit, err := New("ip", off, store)
		require.NoError(t, err)
		require.Nil(t, limit)
	}
	for notation, period := range map[string]time.Duration{
		"20-S": time.Second, "20-M": time.Minute, "20-H": time.Hour, "20-D": 24 * time.Hour, "20-m": time.Minute,
	} {
		require.Equal(t, period, newLimit(t, store, notation).rate.Period)
		require.Equal(t, int64(20), newLimit(t, store, notation).rate.Limit)
	}
	for _, bad := range []string{"20", "M", "20-W", "-1-M", "20-M-1", "x-M", " ", "1.5-M", "99999999999999999999-M", "20M"} {
		_, err := New("ip", bad, store)
		require.ErrorContains(t, err, "rate limit", bad)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]*Store{
		"memory": NewStore(nil, prometheus.NewRegistry(), quiet()),
		"redis":  newStore(t, dbtest.Redis(t)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := newLimit(t, store, "2-S")
			for i := range 4 {
				d := limit.Take(t.Context(), "a")
				require.Equal(t, int64(2), d.Limit)
				require.Equal(t, max(int64(1-i), 0), d.Remaining)
				require.Equal(t, i >= 2, d.Refused)
				require.Positive(t, d.RetryAfter())
				require.WithinDuration(t, time.Now(), d.Reset, 2*time.Second)
			}
			require.False(t, limit.Take(t.Context(), "b").Refused, "another key")
			require.Eventually(t, func() bool { return !limit.Take(t.Context(), "a").Refused },
				5*time.Second, 20*time.Millisecond, "the window ends though requests keep coming")
		})
	}
}

func TestLimitsAreCountedApart(t *testing.T) {
	t.Parallel()
	store := newStore(t, dbtest.Redis(t))
	one, err := New("ip", "1-H", store)
	require.NoError(t, err)
	two, err := New("key", "1-H", store)
	require.NoError(t, err)
	require.False(t, one.Take(t.Context(), "a").Refused)
	require.False(t, two.Take(t.Context(), "a").Refused)
	require.True(t, one.Take(t.Context(), "a").Refused)
}

func TestFirstRequestsAtOnceAreCountedExactly(t *testing.T) {
	t.Parallel()
	url := dbtest.Redis(t)
	limits := []*Limit{newLimit(t, newStore(t, url), "20-H"), newLimit(t, newStore(t, url), "20-H")}
	var allowed atomic.Int64
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			if !limits[i%2].Take(t.Context(), "a").Refused {
				allowed.Add(1)
			}
		})
	}
	wait.Wait()
	require.Equal(t, int64(20), allowed.Load())
}

func TestRedisForgetsItsScripts(t *testing.T) {
	t.Parallel()
	server := dbtest.RedisServer(t)
	store := newStore(t, server.URL())
	limit := newLimit(t, store, "20-H")
	require.Equal(t, int64(19), limit.Take(t.Context(), "a").Remaining)
	require.NoError(t, store.client.ScriptFlush(t.Context()).Err())
	require.Equal(t, int64(18), limit.Take(t.Context(), "a").Remaining)
	require.Zero(t, value(t, store.failures))
}

// TestACallerWhoHangsUpIsNoOutage: its request is counted in Redis all the same.
func TestACallerWhoHangsUpIsNoOutage(t *testing.T) {
	t.Parallel()
	store := newStore(t, dbtest.Redis(t))
	limit := newLimit(t, store, "20-H")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, int64(19), limit.Take(gone, "a").Remaining)
	require.Equal(t, int64(18), limit.Take(t.Context(), "a").Remaining)
	require.Zero(t, value(t, store.failures))
}

// TestARedisThatHangs accepts connections and never answers, as behind a broken
// network.
func TestARedisThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	store := newStore(t, "redis://"+listener.Addr().String())
	limit := newLimit(t, store, "3-H")
	begun := time.Now()
	var wait sync.WaitGroup
	var refused atomic.Int64
	for range 100 {
		wait.Go(func() {
			if limit.Take(t.Context(), "a").Refused {
				refused.Add(1)
			}
		})
	}
	wait.Wait()
	require.Less(t, time.Since(begun), 2*time.Second, "those who come at once wait together, not one after another")
	require.Equal(t, int64(97), refused.Load())
	begun = time.Now()
	for range 100 {
		limit.Take(t.Context(), "a")
	}
	require.Less(t, time.Since(begun), 100*time.Millisecond, "then nobody waits")
	failures := value(t, store.failures)
	store.retryAt.Store(1) // the interval is over
	for range 100 {
		wait.Go(func() { limit.Take(t.Context(), "a") })
	}
	wait.Wait()
	require.InDelta(t, failures+1, value(t, store.failures), 0, "one of those who come at once tries again")
	require.InDelta(t, 1, value(t, store.inMemory), 0)
	require.Error(t, store.Ping(t.Context()))
}

func TestOneRequestTriesAgain(t *testing.T) {
	t.Parallel()
	store := newStore(t, "redis://127.0.0.1:1")
	store.retryIn = 50 * time.Millisecond
	limit := newLimit(t, store, "1000-H")
	limit.Take(t.Context(), "a")
	require.InDelta(t, 1, value(t, store.failures), 0)
	require.Eventually(t, func() bool {
		limit.Take(t.Context(), "a")
		return value(t, store.failures) == 3
	}, 5*time.Second, time.Millisecond)
	require.Less(t, limit.Take(t.Context(), "a").Remaining, int64(990), "most requests did not try")
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWindows(100)
	rate := limiter.Rate{Period: time.Hour, Limit: 5}
	first := w.store
	for i := range 100 {
		w.take(t.Context(), strconv.Itoa(i), rate)
		w.take(t.Context(), strconv.Itoa(i), rate)
	}
	require.Same(t, first, w.store, "repeated requests open no window")
	require.Equal(t, int64(2), w.take(t.Context(), "0", rate).Remaining)
	w.take(t.Context(), "100", rate)
	require.NotSame(t, first, w.store)
	require.Equal(t, int64(4), w.take(t.Context(), "0", rate).Remaining)
}

func TestBadURLIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://:hunter2@host:port/x", "http://:hunter2@host", "%zz:hunter2"} {
		_, err := NewClient(url)
		require.ErrorContains(t, err, "redis.url")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func BenchmarkTakeRedis(b *testing.B) {
	client, err := NewClient(dbtest.Redis(b))
	require.NoError(b, err)
	b.Cleanup(func() { _ = client.Close() })
	limit, err := New("ip", "1000000-H", NewStore(client, prometheus.NewRegistry(), quiet()))
	require.NoError(b, err)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			limit.Take(b.Context(), "203.0.113.9")
		}
	})
}

// TestConcurrentRequestsAreEachCounted sends many requests of a few keys at once
// from two replicas: every one must get a number of its own, though they share
// round trips and script calls.
func TestConcurrentRequestsAreEachCounted(t *testing.T) {
	t.Parallel()
	const each, keys = 400, 3
	url := dbtest.Redis(t)
	limits := []*Limit{newLimit(t, newStore(t, url), "1000-H"), newLimit(t, newStore(t, url), "1000-H")}
	var mu sync.Mutex
	seen := map[string]map[int64]int{}
	var running sync.WaitGroup
	slots := make(chan struct{}, 100) // more at once would wait for longer than Redis is given
	for i := range each * keys {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			key := strconv.Itoa(i % keys)
			decision := limits[i/keys%2].Take(context.Background(), key)
			mu.Lock()
			defer mu.Unlock()
			if seen[key] == nil {
				seen[key] = map[int64]int{}
			}
			seen[key][decision.Limit-decision.Remaining]++
		})
	}
	running.Wait()
	for key, counts := range seen {
		require.Len(t, counts, each, key)
		for n := range int64(each) {
			require.Equal(t, 1, counts[n+1], "key %s, number %d", key, n+1)
		}
	}
}
